export { type Abi, C, type CType, type Fields, pointerTo, PrototypeError, type StructView } from "./c-types.ts";
export { type CodeSignature, SignatureIndex, signatureOf } from "./code-signature.ts";
export { type ByteSource, type ElfFunction, type ElfFunctions, readElfFunctions } from "./elf-functions.ts";
export { GuestFault, GuestMemory, type GuestMemoryPort } from "./guest-memory.ts";
export { type NativeFrame, NativeFrames, type SavedFrame } from "./native-frames.ts";
export {
  type BindPoint,
  type Callee,
  type Callees,
  type CallStep,
  type Declined,
  DECLINED,
  type LibrarySymbol,
  type NativeCall,
  type NativeFunction,
  nativeFunction,
  observedFunction,
  resumableFunction,
  type Step,
} from "./native-function.ts";
export { type BindingSet, type BindingStatistics, NativeProcess, Outcome, type ProcessPort } from "./native-process.ts";
export { type Prototype, prototype, type RegistersPort, type Values, type VariableArguments } from "./prototype.ts";
export { selectBindings, UnknownBindingError } from "./selection.ts";
export { type WasmTwinLayout, wasmTwinModule, type WasmTwinName, wasmTwinNames } from "./wasm/twins.ts";
export { defaultBindPoints, defaultTwins, twins } from "./twins/index.ts";
