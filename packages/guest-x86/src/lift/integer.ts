/** All integer lifters, put together. */
import { atomic } from "./atomic.ts";
import { bit } from "./bit.ts";
import { bmi } from "./bmi.ts";
import type { Lifter } from "./context.ts";
import { control } from "./control.ts";
import { integerArithmetic } from "./integer-arithmetic.ts";
import { integerMove } from "./integer-move.ts";
import { legacy32 } from "./legacy-32.ts";
import { multiplyDivide } from "./multiply-divide.ts";
import { shiftRotate } from "./shift-rotate.ts";
import { string } from "./string.ts";
import { system } from "./system.ts";

export const integer: Readonly<Record<string, Lifter>> = {
  ...integerArithmetic,
  ...integerMove,
  ...shiftRotate,
  ...bit,
  ...multiplyDivide,
  ...control,
  ...string,
  ...atomic,
  ...system,
  ...legacy32,
  ...bmi,
};
