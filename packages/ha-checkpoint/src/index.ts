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
export { maximumHintBytes, maximumPageBytes } from "./checkpointable.ts";
export type { Checkpointable, Hints, Standing } from "./checkpointable.ts";
export { EdgeClient } from "./edge/edge-client.ts";
export type { EdgeClientEvent, EdgeClientOptions } from "./edge/edge-client.ts";
export { announcement } from "./adapter/announcement.ts";
export { EdgeServer } from "./edge/edge-server.ts";
export type { EdgeEvent, EdgeServerOptions } from "./edge/edge-server.ts";
export { plainCodec } from "./epochs/codec.ts";
export type { Codec } from "./epochs/codec.ts";
export { MemoryReceiver } from "./epochs/memory-receiver.ts";
export type { MemoryReceiverOptions } from "./epochs/memory-receiver.ts";
export { MemorySender } from "./epochs/memory-sender.ts";
export type { EpochCounts, MemorySenderOptions } from "./epochs/memory-sender.ts";
export { decodeMessage, encodeMessage, FrameReader, protocolVersion } from "./epochs/messages.ts";
export type { LeaderMessage, Message, RefuseReason, SessionId, StandbyMessage } from "./epochs/messages.ts";
export { decodeLeadership, encodeLeadership, LeadershipRegister, sameLeadership } from "./failover/arbiter.ts";
export type { Arbiter, ArbiterAnswer, Leadership } from "./failover/arbiter.ts";
export type { DiskRoles, LeaderDisk, LeaderDiskEvent, StandbyDisk, StandbyDiskEvent } from "./failover/disk.ts";
export { FailureDetector } from "./failover/failure-detector.ts";
export type { FailureDetectorOptions } from "./failover/failure-detector.ts";
export { Host } from "./failover/host.ts";
export type { HostOptions, HostPorts } from "./failover/host.ts";
export type { Leader, LeaderMode } from "./failover/leader.ts";
export type { Link, LinkHandler } from "./failover/link.ts";
export { defaultSettings } from "./failover/settings.ts";
export type { OutputPort, PairEvent, PairPorts, PairSettings } from "./failover/settings.ts";
export type { Standby, StandbyPhase } from "./failover/standby.ts";
export { purgeableCall, purgeableLeaf, purgeableSignature, purgeableVersion } from "./purgeable/guest-call.ts";
export type { CallArguments, CallResults } from "./purgeable/guest-call.ts";
export { PurgeableRegistry } from "./purgeable/registry.ts";
export type { CallError, CallResult, GuestMapping, RegionState } from "./purgeable/registry.ts";
export type { Timers } from "./timers.ts";
