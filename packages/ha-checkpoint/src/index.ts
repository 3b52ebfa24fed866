// Keeping a machine alive on another host: checkpoints, held output, purgeable memory, failover.
export { Adapter } from "./adapter/adapter.ts";
export type { AdapterOptions, OutgoingFrame } from "./adapter/adapter.ts";
export type { MacAddress } from "./adapter/mac.ts";
export { TokenFilter } from "./adapter/token-filter.ts";
export type {
  Protection,
  Sent,
  VirtualFunction,
  VirtualFunctionEvents,
  VirtualFunctionSettings,
} from "./adapter/virtual-function.ts";
export { maximumPageBytes } from "./checkpointable.ts";
export type { Checkpointable, Standing } from "./checkpointable.ts";
export type { Timers } from "./timers.ts";
