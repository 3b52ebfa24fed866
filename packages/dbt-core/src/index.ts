export { Op } from "./ir/op.ts";
export { operations, operationIndex, type Operation, type ValueType } from "./ir/operations.ts";
export {
  type Block,
  blockKey,
  type HelperDeclaration,
  keyOffset,
  RegionBuilder,
  SELDOM,
  type StateSet,
  type StateSlot,
  Terminator,
} from "./ir/region.ts";
export { Flow, type Frontend } from "./port-frontend.ts";
export {
  type CodeCuts,
  type EntryCode,
  entryBlock,
  GUEST_CODE,
  MAXIMUM_ZONES,
  REGION_REACH,
} from "./port-entry-code.ts";
export type {
  CodeName,
  Context,
  EngineOptions,
  EngineStatistics,
  EntryCodeAt,
  ServiceHandler,
} from "./engine/context.ts";
export { keepModules } from "./engine/keep-modules.ts";
export { RESERVED_SLOTS } from "./engine/code-table.ts";
export { Engine } from "./engine/engine.ts";
export * from "./engine/ports.ts";
export { type CodePlace, placeOf, prepareCode } from "./engine/prepare.ts";
export { type ByteStore, type CodeCodec, ModuleArchive, type ModuleArchiveContents } from "./engine/module-archive.ts";
export { CELL_BYTES } from "./threaded/record.ts";
export { UnitArchive, type UnitParts } from "./threaded/unit-archive.ts";
export { TierNumber } from "./engine/tier.ts";
export { type CodeView, Translator, type TranslatorOptions, type TranslatorStatistics } from "./engine/translator.ts";
export { ImportModule, ModuleEmitter } from "./emit/module-emitter.ts";
export { RegionEmitter } from "./emit/region-emitter.ts";
export { type CodeLayout, EngineExit, Header, type TlbLayout } from "./layout.ts";
export { ByteWriter } from "./wasm/byte-writer.ts";
export { RegionDiscovery } from "./region/discovery.ts";
export type { JumpDistances } from "./region/extent.ts";
export { ModuleName } from "./wasm/name-section.ts";
