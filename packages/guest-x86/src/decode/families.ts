// The instruction tables, in the order that numbers the forms.
import { control } from "./forms/control.ts";
import { extensions } from "./forms/extensions.ts";
import { integer } from "./forms/integer.ts";
import { mmx } from "./forms/mmx.ts";
import { sseArith } from "./forms/sse-arith.ts";
import { sseMove } from "./forms/sse-move.ts";
import { string } from "./forms/string.ts";
import { system } from "./forms/system.ts";
import { x87 } from "./forms/x87.ts";

/** Families in form order, with the name under which documentation lists them. */
export const families: readonly (readonly [name: string, table: string])[] = [
  ["integer", integer],
  ["control", control],
  ["string", string],
  ["extensions", extensions],
  ["system", system],
  ["x87", x87],
  ["mmx", mmx],
  ["sse-move", sseMove],
  ["sse-arith", sseArith],
];
