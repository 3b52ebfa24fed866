/** All vector lifters, put together. */
import { sseComparisons } from "./sse-compare.ts";
import { sseConversions } from "./sse-convert.ts";
import { sseCrypto } from "./sse-crypto.ts";
import { sseFloats } from "./sse-float.ts";
import { sseMoves } from "./sse-move.ts";
import type { LifterTable } from "./sse-operands.ts";
import { ssePacked } from "./sse-packed.ts";
import { sseShifts } from "./sse-shift.ts";
import { sseShuffles } from "./sse-shuffle.ts";
import { sseState } from "./sse-state.ts";

export const sse: LifterTable = {
  ...sseMoves,
  ...ssePacked,
  ...sseShuffles,
  ...sseShifts,
  ...sseFloats,
  ...sseComparisons,
  ...sseConversions,
  ...sseCrypto,
  ...sseState,
};
