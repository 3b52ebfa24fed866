// Reads what the edge captured, as the file grows.
import { closeSync, existsSync, openSync, readSync } from "node:fs";
import { captureInterfaces, pcapng } from "../src/pair/capture.ts";
import type { CaptureInterface } from "../src/pair/capture.ts";

export interface CapturedFrame {
  readonly interface: CaptureInterface;
  readonly frame: Uint8Array;
  readonly ms: number;
  /** Of frames of the machine: which host sent it, with which token. */
  readonly from: { readonly host: string; readonly token: number } | undefined;
}

const CHUNK_BYTES = 1 << 20;

export class CaptureReader {
  readonly #path: string;
  #position = 0;
  #rest: Buffer = Buffer.alloc(0);

  constructor(path: string) {
    this.#path = path;
  }

  /** What was added since; a block of which a part is there waits for the rest. @throws Error if it is no capture */
  *read(): Iterable<CapturedFrame> {
    if (!existsSync(this.#path)) return;
    const file = openSync(this.#path, "r");
    try {
      for (;;) {
        const chunk = Buffer.alloc(CHUNK_BYTES);
        const length = readSync(file, chunk, 0, CHUNK_BYTES, this.#position);
        if (length === 0) return;
        this.#position += length;
        this.#rest = Buffer.concat([this.#rest, chunk.subarray(0, length)]);
        yield* this.#blocks();
      }
    } finally {
      closeSync(file);
    }
  }

  *#blocks(): Iterable<CapturedFrame> {
    let at = 0;
    while (this.#rest.length - at >= 12) {
      const length = this.#rest.readUInt32LE(at + 4);
      if (length < 12 || length % 4 !== 0) throw new Error(`${this.#path}: no block of pcapng at ${this.#position}`);
      if (this.#rest.length - at < length) break;
      const block = this.#rest.subarray(at, at + length);
      if (block.readUInt32LE(0) === pcapng.enhancedPacket) yield packet(block);
      at += length;
    }
    this.#rest = this.#rest.subarray(at);
  }
}

function packet(block: Buffer): CapturedFrame {
  const microseconds = (BigInt(block.readUInt32LE(12)) << 32n) | BigInt(block.readUInt32LE(16));
  const length = block.readUInt32LE(20);
  const options = 28 + ((length + 3) & ~3);
  let from: CapturedFrame["from"];
  for (let at = options; at + 4 <= block.length - 4;) {
    const [code, size] = [block.readUInt16LE(at), block.readUInt16LE(at + 2)];
    if (code === pcapng.option.end) break;
    if (code === pcapng.option.comment) {
      const match = /^host (.+), token (\d+)$/.exec(block.toString("utf8", at + 4, at + 4 + size));
      if (match !== null) from = { host: match[1], token: Number(match[2]) };
    }
    at += 4 + ((size + 3) & ~3);
  }
  return {
    interface: captureInterfaces[block.readUInt32LE(8)],
    frame: block.subarray(28, 28 + length),
    ms: Number(microseconds) / 1000,
    from,
  };
}
