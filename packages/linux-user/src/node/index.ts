export { NodeFilesystem } from "./filesystem.ts";
export { nodeStream } from "./streams.ts";
export { NodeNetwork } from "./network.ts";
export { nodeTerminal } from "./terminal.ts";
export {
  type GuestStart,
  nodeGuestHost,
  type NodeGuestHost,
  type NodeGuestHostOptions,
  type StartOptions,
} from "./guest-host.ts";
