// What needs Node: disks in files.
export { FileDevice } from "./file-device.ts";
export type { FileDeviceOptions } from "./file-device.ts";
export { serveNbd } from "./nbd-server.ts";
export type { NbdAddress, NbdServer, NbdServerOptions } from "./nbd-server.ts";
