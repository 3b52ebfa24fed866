// What needs Node: connections, the arbiter's file, etcd, compression, time.
export { EtcdArbiter } from "./etcd-arbiter.ts";
export type { EtcdOptions } from "./etcd-arbiter.ts";
export { FileRegister } from "./file-register.ts";
export { dial, listen } from "./psk-transport.ts";
export type { Endpoint, Keys, Listener } from "./psk-transport.ts";
export { nodeTimers } from "./timers.ts";
export { deflateCodec, zstdCodec } from "./zlib-codec.ts";
