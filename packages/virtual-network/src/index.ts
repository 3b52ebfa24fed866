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
