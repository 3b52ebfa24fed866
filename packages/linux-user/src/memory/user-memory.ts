// A process's memory as system-call handlers use it: every access goes through `translate`, as the program's own
// would, so it faults pages in, breaks copy-on-write and honours protection; stores are announced first.

import { EFAULT, ENAMETOOLONG, SyscallError } from "../kernel/errno.ts";
import type { UserMemory } from "../kernel/memory.ts";
import { ACCESS_READ, ACCESS_WRITE, PAGE_BYTES, TRANSLATION_PAGE_SHIFT } from "../engine-port.ts";
import type { AddressSpace } from "./address-space.ts";

const PATH_MAX = 4096;
const TWO_32 = 2 ** 32;

function isLatinPiece(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 2048) text += String.fromCharCode(...bytes.subarray(at, at + 2048));
  return text;
}

export class GuestMemory implements UserMemory {
  readonly space: AddressSpace;

  constructor(space: AddressSpace) {
    this.space = space;
  }

  views(address: number, length: number, access: "read" | "write"): Uint8Array[] {
    const pieces = this.viewsUntilFault(address, length, access);
    let total = 0;
    for (const piece of pieces) total += piece.length;
    if (total < length) throw new SyscallError(EFAULT);
    return pieces;
  }

  viewsUntilFault(address: number, length: number, access: "read" | "write"): Uint8Array[] {
    const { space } = this;
    const { memory } = space.frames;
    // First all pages, then the views: faulting in may grow the memory and detach earlier views.
    const spans: number[] = [];
    for (let at = address; at < address + length;) {
      const entry = space.translate(at, access === "write" ? ACCESS_WRITE : ACCESS_READ);
      if (entry < 0) break;
      const within = at % PAGE_BYTES;
      const count = Math.min(PAGE_BYTES - within, address + length - at);
      const page = entry >> TRANSLATION_PAGE_SHIFT;
      if (access === "write") memory.noteWrite(page, within, count);
      const start = memory.pageOffset(page) + within;
      const last = spans.length;
      if (last > 0 && spans[last - 1] === start) spans[last - 1] = start + count;
      else spans.push(start, start + count);
      at += count;
    }
    const { bytes } = memory;
    const pieces: Uint8Array[] = [];
    for (let index = 0; index < spans.length; index += 2) pieces.push(bytes.subarray(spans[index], spans[index + 1]));
    return pieces;
  }

  readBytes(address: number, length: number): Uint8Array {
    const pieces = this.views(address, length, "read");
    const result = new Uint8Array(length);
    let at = 0;
    for (const piece of pieces) {
      result.set(piece, at);
      at += piece.length;
    }
    return result;
  }

  writeBytes(address: number, bytes: Uint8Array): void {
    let at = 0;
    for (const piece of this.views(address, bytes.length, "write")) {
      piece.set(bytes.subarray(at, at + piece.length));
      at += piece.length;
    }
  }

  fill(address: number, length: number, byte: number): void {
    for (const piece of this.views(address, length, "write")) piece.fill(byte);
  }

  readCStringBytes(address: number, limit: number = PATH_MAX): Uint8Array {
    const parts: Uint8Array[] = [];
    let total = 0;
    while (total < limit) {
      const at = address + total;
      const count = Math.min(PAGE_BYTES - (at % PAGE_BYTES), limit - total);
      const piece = this.views(at, count, "read")[0];
      const end = piece.indexOf(0);
      if (end >= 0) {
        parts.push(piece.slice(0, end));
        total += end;
        if (parts.length === 1) return parts[0];
        const joined = new Uint8Array(total);
        let offset = 0;
        for (const part of parts) {
          joined.set(part, offset);
          offset += part.length;
        }
        return joined;
      }
      parts.push(piece.slice());
      total += count;
    }
    throw new SyscallError(ENAMETOOLONG);
  }

  readCString(address: number, limit: number = PATH_MAX): string {
    return isLatinPiece(this.readCStringBytes(address, limit));
  }

  /** Offset in physical memory when [address, address + length) lies in one page, else -1. Throws EFAULT. */
  #offset(address: number, length: number, write: boolean): number {
    const within = address % PAGE_BYTES;
    if (within + length > PAGE_BYTES) return -1;
    const entry = this.space.translate(address, write ? ACCESS_WRITE : ACCESS_READ);
    if (entry < 0) throw new SyscallError(EFAULT);
    const page = entry >> TRANSLATION_PAGE_SHIFT;
    const { memory } = this.space.frames;
    if (write) memory.noteWrite(page, within, length);
    return memory.pageOffset(page) + within;
  }

  #read(address: number, length: number): number {
    const offset = this.#offset(address, length, false);
    let value = 0;
    if (offset < 0) {
      const bytes = this.readBytes(address, length);
      for (let index = length - 1; index >= 0; index--) value = value * 256 + bytes[index];
      return value;
    }
    const { bytes } = this.space.frames.memory;
    for (let index = length - 1; index >= 0; index--) value = value * 256 + bytes[offset + index];
    return value;
  }

  #write(address: number, length: number, lo: number, hi: number): void {
    const offset = this.#offset(address, length, true);
    const target = offset < 0 ? new Uint8Array(length) : this.space.frames.memory.bytes;
    const base = offset < 0 ? 0 : offset;
    for (let index = 0; index < length; index++) {
      target[base + index] = index < 4 ? lo >>> (index * 8) : hi >>> ((index - 4) * 8);
    }
    if (offset < 0) this.writeBytes(address, target);
  }

  readU8(address: number): number {
    return this.#read(address, 1);
  }

  readU16(address: number): number {
    return this.#read(address, 2);
  }

  readU32(address: number): number {
    return this.#read(address, 4);
  }

  readI32(address: number): number {
    return this.#read(address, 4) | 0;
  }

  readU64(address: number): number {
    return this.#read(address, 4) + this.#read(address + 4, 4) * TWO_32;
  }

  readI64(address: number): number {
    return this.#read(address, 4) + (this.#read(address + 4, 4) | 0) * TWO_32;
  }

  readWord(address: number, wordBytes: 8 | 4): number {
    return wordBytes === 8 ? this.readU64(address) : this.readU32(address);
  }

  writeU8(address: number, value: number): void {
    this.#write(address, 1, value, 0);
  }

  writeU16(address: number, value: number): void {
    this.#write(address, 2, value, 0);
  }

  writeU32(address: number, value: number): void {
    this.#write(address, 4, value, 0);
  }

  writeU64(address: number, value: number): void {
    this.#write(address, 8, value % TWO_32, Math.floor(value / TWO_32));
  }

  writeU64Pair(address: number, lo: number, hi: number): void {
    this.#write(address, 8, lo, hi);
  }

  writeWord(address: number, value: number, wordBytes: 8 | 4): void {
    if (wordBytes === 8) this.writeU64(address, value);
    else this.#write(address, 4, value % TWO_32, 0);
  }
}
