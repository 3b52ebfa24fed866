export { bigintAlgebra, type FlagAlgebra, numberAlgebra } from "./algebra.ts";
export { flagsOf, normalisedRecord, type PackedRecord, plainFlagsOf, unpack } from "./packed.ts";
export {
  CarryRule,
  FlagBit,
  FlagCondition,
  FlagKind,
  FLAGS_MASK,
  type FlagRecord,
  isPending,
  operationCarryRule,
  operationKind,
  operationWidth,
  OperationWord,
  operationWord,
} from "./record.ts";
export { PlainFlags } from "./plain-flags.ts";
export { adjust, carry, overflow, parity, resolveCondition, resolveFlag, resultOf, sign, zero } from "./resolve.ts";
