export { nodeClock, random32 } from "./clock.ts";
export { nodeHostNetwork } from "./host-network.ts";
export {
  connectStream,
  parseStreamAddress,
  serveSwitch,
  StreamAddressError,
  streamPort,
  type StreamAddress,
  type StreamPort,
  type StreamServer,
} from "./stream-port.ts";
