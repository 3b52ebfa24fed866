export { nodeHost } from "./node-host.ts";
export { type ProgramOptions, startProgram } from "./program.ts";
export { TranslationCache, type TranslationCacheOptions } from "./translation-cache.ts";
export type { RunningProgram } from "../emulator.ts";
export { MountError, StraceObserver } from "@doppel/linux-user";
export { cpuidLevels, DEFAULT_CPUID_LEVEL } from "@doppel/guest-x86";
export { UnknownCpuError } from "../processor-level.ts";
export type { GuardChoice } from "../user-engine.ts";
export { defaultTwins, type NativeFunction, selectBindings, twins, UnknownBindingError } from "@doppel/native-binding";
export {
  type GatewayNetwork,
  parseStreamAddress,
  type PluggedCable,
  plugIntoGateway,
  plugIntoSwitch,
  type StreamAddress,
  StreamAddressError,
} from "./machine-network.ts";
export { parseNetworkPlan, type PortForward } from "@doppel/virtual-network";
