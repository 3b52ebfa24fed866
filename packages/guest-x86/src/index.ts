export { ExtendedState, FXSAVE_BYTES } from "./extended-state.ts";
export { type CpuidLeaf, cpuid, hwcap } from "./cpuid.ts";
export { type CpuidLevel, cpuidLevels, DEFAULT_CPUID_LEVEL } from "./cpuid-levels.ts";
export {
  decode,
  Flow,
  Instruction,
  Mnemonic,
  mnemonicNames,
  type Mode,
  Operand,
  OperandKind,
  registerRip,
  Segment,
} from "./decode/index.ts";
export { faultsInStack, wantedToWrite } from "./fault.ts";
export { readConditionFlags, readFlags, RFlags, SYSTEM_FLAGS, USER_SYSTEM_FLAGS, writeFlags } from "./flags-word.ts";
export { X86Frontend } from "./frontend.ts";
export { isX87, usesFloatUnit } from "./lift/index.ts";
export type { FlagStatistics } from "./lift/flags.ts";
export type { Helper, HelperPort } from "./helper-port.ts";
export { createHelpers, helperIndex, helpers } from "./helpers.ts";
export { modeForMxcsr, Mxcsr } from "./mxcsr.ts";
export {
  NATIVE_RESULT,
  nativeEntry,
  type NativeEntry,
  nativeTwinName,
  NativeOutcome,
  NativePhase,
} from "./native-entry.ts";
export { packPrivileged, unpackPrivileged } from "./privileged-payload.ts";
export { ExitCode, ModeBit, registerNames, Service, Slot, slots, StateOffset, Vector, VECTOR_STRIDE } from "./state.ts";
