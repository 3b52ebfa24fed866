export {
  createEmulator,
  type Emulator,
  type EmulatorOptions,
  type MemoryProgramOptions,
  type RunningProgram,
  startInMemory,
} from "./emulator.ts";
export { type EmulatorHost, portableHost } from "./host.ts";
export { combineObservers } from "./observers.ts";
export type { EmulatorStatistics } from "./statistics.ts";
export { inputStream, outputStream } from "./streams.ts";
export { UnknownCpuError } from "./processor-level.ts";
export { type GuardChoice, UserEngine, type UserEngineOptions } from "./user-engine.ts";
export { X86Cpu } from "./x86-cpu.ts";
export { type NativeOptions } from "./native-layer.ts";
export {
  type BindPoint,
  defaultTwins,
  type NativeFunction,
  selectBindings,
  twins,
  UnknownBindingError,
} from "@doppel/native-binding";
export { cpuidLevels, DEFAULT_CPUID_LEVEL } from "@doppel/guest-x86";
export { type KernelObserver, type LoadFailure, MountError, StraceObserver } from "@doppel/linux-user";
export { CheckpointableMachine } from "./checkpointable-machine.ts";
export { type DebuggedMachine, MachineDebugger } from "./machine-debugger.ts";
export { type DeviceMaker, Machine, type MachineEnd, type MachineOptions } from "./machine.ts";
export { MachineEngine, type MachineEngineOptions } from "./machine-engine.ts";
export { BootError, SnapshotError, TripleFault as MachineFault } from "@doppel/pc-machine";
