// A capture of what passes the edge, for Wireshark and for checkers: pcapng (draft-ietf-opsawg-pcapng), appended to.
//
//   interface "machine"   frames that passed, both ways
//   interface "fenced"    frames of a host that was replaced, which the edge dropped
//
// Each block is written at once: what passed before this process is killed is in the file. A frame of the machine has a
// comment that says whose it was: "host a, token 3".
import { closeSync, openSync, writeSync } from "node:fs";

export type CaptureInterface = "machine" | "fenced";
export const captureInterfaces: readonly CaptureInterface[] = ["machine", "fenced"];

/** Block types and options of the specification. */
export const pcapng = {
  sectionHeader: 0x0a0d0d0a,
  interfaceDescription: 1,
  enhancedPacket: 6,
  byteOrderMagic: 0x1a2b3c4d,
  ethernet: 1,
  option: { end: 0, comment: 1, interfaceName: 2, flags: 2 },
  inbound: 1,
  outbound: 2,
} as const;

const padded = (length: number): number => (length + 3) & ~3;

/** Options as the specification lays them out: code, length, value to a multiple of 4; a pair of zeros ends them. */
function optionBytes(options: readonly (readonly [code: number, value: Uint8Array])[]): Buffer {
  const bytes = Buffer.alloc(options.reduce((sum, [, value]) => sum + 4 + padded(value.length), 4));
  let at = 0;
  for (const [code, value] of options) {
    bytes.writeUInt16LE(code, at);
    bytes.writeUInt16LE(value.length, at + 2);
    bytes.set(value, at + 4);
    at += 4 + padded(value.length);
  }
  return bytes;
}

/** Type and length in front, length again behind. */
function block(type: number, ...parts: readonly Uint8Array[]): Buffer {
  const length = 12 + parts.reduce((sum, part) => sum + padded(part.length), 0);
  const bytes = Buffer.alloc(length);
  bytes.writeUInt32LE(type, 0);
  bytes.writeUInt32LE(length, 4);
  let at = 8;
  for (const part of parts) {
    bytes.set(part, at);
    at += padded(part.length);
  }
  bytes.writeUInt32LE(length, length - 4);
  return bytes;
}

function sectionHeader(): Buffer {
  const fields = Buffer.alloc(16);
  fields.writeUInt32LE(pcapng.byteOrderMagic, 0);
  fields.writeUInt16LE(1, 4);
  // Nobody knows how long the section gets.
  fields.writeBigInt64LE(-1n, 8);
  return block(pcapng.sectionHeader, fields);
}

function interfaceDescription(name: string): Buffer {
  const fields = Buffer.alloc(8);
  fields.writeUInt16LE(pcapng.ethernet, 0);
  return block(pcapng.interfaceDescription, fields, optionBytes([[pcapng.option.interfaceName, Buffer.from(name)]]));
}

export interface CaptureSource {
  readonly host: string;
  readonly token: number;
}

export class FrameCapture {
  readonly #file: number;

  /** @throws as `openSync` does */
  constructor(path: string) {
    this.#file = openSync(path, "a", 0o600);
    // A section for each time that the edge starts.
    writeSync(this.#file, sectionHeader());
    for (const name of captureInterfaces) writeSync(this.#file, interfaceDescription(name));
  }

  /** Of the machine. */
  outgoing(on: CaptureInterface, frame: Uint8Array, { host, token }: CaptureSource): void {
    this.#packet(on, frame, pcapng.outbound, `host ${host}, token ${token}`);
  }

  /** To the machine. */
  incoming(frame: Uint8Array): void {
    this.#packet("machine", frame, pcapng.inbound);
  }

  #packet(on: CaptureInterface, frame: Uint8Array, direction: number, comment?: string): void {
    const microseconds = BigInt(Math.round(1000 * (performance.timeOrigin + performance.now())));
    const fields = Buffer.alloc(20);
    fields.writeUInt32LE(captureInterfaces.indexOf(on), 0);
    fields.writeUInt32LE(Number(microseconds >> 32n), 4);
    fields.writeUInt32LE(Number(microseconds & 0xffff_ffffn), 8);
    fields.writeUInt32LE(frame.length, 12);
    fields.writeUInt32LE(frame.length, 16);
    const flags = Buffer.alloc(4);
    flags.writeUInt32LE(direction, 0);
    const options: [number, Uint8Array][] = [[pcapng.option.flags, flags]];
    if (comment !== undefined) options.push([pcapng.option.comment, Buffer.from(comment)]);
    writeSync(this.#file, block(pcapng.enhancedPacket, fields, frame, optionBytes(options)));
  }

  close(): void {
    closeSync(this.#file);
  }
}
