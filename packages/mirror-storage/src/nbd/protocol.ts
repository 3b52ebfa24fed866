// Network Block Device, as far as a server with fixed newstyle negotiation speaks it (doc/proto.md of NetworkBlockDevice/nbd;
// names are the document's, without their NBD_ prefixes). Everything is big-endian.
//
//   server                              client
//     | -- greeting (flags) -------------> |
//     | <---------------- flags ---------- |
//     | <---------------- option ... ----- |     haggling: LIST, INFO, ABORT; GO or EXPORT_NAME ends it
//     | -- reply to the option ----------> |
//     | <================ request ======== |     transmission: READ, WRITE, FLUSH, TRIM, WRITE_ZEROES; DISC ends it
//     | == simple reply (handle) ========> |     in any order

export const magic = {
  /** "NBDMAGIC", "IHAVEOPT" */
  greeting: [0x4e42_444d, 0x4147_4943],
  option: [0x4948_4156, 0x454f_5054],
  optionReply: [0x0003_e889, 0x0455_65a9],
  request: 0x2560_9513,
  simpleReply: 0x6744_6698,
} as const;

export const handshakeFlag = { fixedNewstyle: 1, noZeroes: 2 } as const;

export const option = { exportName: 1, abort: 2, list: 3, info: 6, go: 7 } as const;

export const optionReply = {
  ack: 1,
  server: 2,
  info: 3,
  unsupported: 0x8000_0001,
  invalid: 0x8000_0003,
  unknown: 0x8000_0006,
  tooBig: 0x8000_0009,
} as const;

export const info = { export: 0, blockSize: 3 } as const;

export const transmissionFlag = {
  hasFlags: 1,
  readOnly: 2,
  sendFlush: 4,
  sendFua: 8,
  sendTrim: 32,
  sendWriteZeroes: 64,
  canMultiConn: 256,
} as const;

export const command = { read: 0, write: 1, disconnect: 2, flush: 3, trim: 4, writeZeroes: 6 } as const;

export const commandFlag = { fua: 1, noHole: 2 } as const;
/** Flags that a request may have here. FAST_ZERO and the rest were not offered. */
export const knownCommandFlags: number = commandFlag.fua | commandFlag.noHole;

export const errno = { perm: 1, io: 5, inval: 22, nospc: 28, shutdown: 108 } as const;

/** Bytes of fixed parts. */
export const clientFlagsBytes = 4;
export const optionHeaderBytes = 16;
export const requestHeaderBytes = 28;
/** Longest data of an option: far more than the longest name and every information there is. */
export const maximumOptionBytes = 8192;
/** Longest name of an export, by the document. */
export const maximumNameBytes = 4096;
/** Longest payload, which is what the document has a client assume that is not told. */
export const maximumPayloadBytes: number = 32 << 20;

export interface Request {
  readonly flags: number;
  readonly type: number;
  /** The client's, given back in the reply. */
  readonly handle: bigint;
  readonly offset: bigint;
  readonly length: number;
}

/** Undefined: this is no request, and nobody knows where the next one begins. */
export function decodeRequest(bytes: Uint8Array): Request | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, requestHeaderBytes);
  if (view.getUint32(0) !== magic.request) return undefined;
  return {
    flags: view.getUint16(4),
    type: view.getUint16(6),
    handle: view.getBigUint64(8),
    offset: view.getBigUint64(16),
    length: view.getUint32(24),
  };
}

export function encodeGreeting(): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(18);
  const view = new DataView(bytes.buffer);
  for (const [at, word] of [...magic.greeting, ...magic.option].entries()) view.setUint32(4 * at, word);
  view.setUint16(16, handshakeFlag.fixedNewstyle | handshakeFlag.noZeroes);
  return bytes;
}

export function encodeOptionReply(
  to: number,
  type: number,
  data: Uint8Array = new Uint8Array(),
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(20 + data.length);
  const view = new DataView(bytes.buffer);
  for (const [at, word] of magic.optionReply.entries()) view.setUint32(4 * at, word);
  view.setUint32(8, to);
  view.setUint32(12, type);
  view.setUint32(16, data.length);
  bytes.set(data, 20);
  return bytes;
}

export function encodeSimpleReply(
  handle: bigint,
  error: number,
  data: Uint8Array = new Uint8Array(),
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(16 + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, magic.simpleReply);
  view.setUint32(4, error);
  view.setBigUint64(8, handle);
  bytes.set(data, 16);
  return bytes;
}

/** Size and flags: what EXPORT_NAME is answered, and INFO's first piece. */
export function encodeExport(sizeBytes: number, flags: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(10);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(sizeBytes));
  view.setUint16(8, flags);
  return bytes;
}

export function encodeBlockSizes(minimum: number, preferred: number, maximum: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(12);
  const view = new DataView(bytes.buffer);
  for (const [at, size] of [minimum, preferred, maximum].entries()) view.setUint32(4 * at, size);
  return bytes;
}
