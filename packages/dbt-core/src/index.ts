export { Op } from "./ir/op.ts";
export { operations, operationIndex, type Operation, type ValueType } from "./ir/operations.ts";
export {
  type Block,
  blockKey,
  type HelperDeclaration,
  keyOffset,
  RegionBuilder,
  type StateSet,
  type StateSlot,
  Terminator,
} from "./ir/region.ts";
export { Flow, type Frontend } from "./port-frontend.ts";
