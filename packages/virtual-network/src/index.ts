export * from "./ethernet/addresses.ts";
export { createCable, joinPorts, type NetworkPort } from "./network-port.ts";
export {
  EthernetSwitch,
  SwitchError,
  type SwitchOptions,
  type SwitchPort,
  type SwitchPortOptions,
  type SwitchPortStatistics,
} from "./switch.ts";
export { encodeStreamFrame, FramingError, MAXIMUM_STREAM_FRAME_BYTES, StreamFrameDecoder } from "./stream-framing.ts";
export { type FrameReceiver, MachinePort } from "./machine-port.ts";
export type { NetworkClock, NetworkTimer } from "./clock.ts";
export { Gateway, type GatewayOptions, type GatewayStatistics, type PortForward } from "./gateway/gateway.ts";
export { DEFAULT_PLAN, type NetworkPlan, parseNetworkPlan } from "./gateway/network-plan.ts";
export type {
  HostDatagrams,
  HostEndpoint,
  HostListener,
  HostNetwork,
  HostStream,
  HostStreamEnd,
  HostStreamEvents,
} from "./gateway/host-network.ts";
export {
  resetFor,
  TcpConnection,
  type TcpEnd,
  type TcpEvents,
  type TcpOptions,
  type TcpState,
} from "./tcp/connection.ts";
export type { TcpSegment } from "./ethernet/tcp.ts";
