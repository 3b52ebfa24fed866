/** What the translator makes, as text: for `inspect` and for golden tests. Nothing of it is needed to run. */
export { foldFunction, type StateName } from "./fold-wasm.ts";
export { formatRegion } from "./format-region.ts";
export { inspectRegion, type InspectedRegion, type InspectOptions, type RegionCounts } from "./inspect-region.ts";
export { formatFunction, readModule, type WasmFunction, type WasmInstruction } from "./wasm-text.ts";
