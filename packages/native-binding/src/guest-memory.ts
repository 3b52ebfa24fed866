/**
 * Guest memory as native functions see it: by guest-virtual address, page by page, under the guest's own protection.
 *
 * Every access asks the port for the page, as a translated access would; what may not be accessed throws `GuestFault`,
 * which becomes the guest's page fault. Writes to bytes that code was translated from discard that code.
 */
import type { Abi, CType } from "./c-types.ts";

const PAGE_BYTES = 4096;
const TWO_32 = 2 ** 32;

/** Structural: `Context` of dbt-core over `PhysicalMemory` of guard-memory fits it. */
export interface GuestMemoryPort {
  /** Emulated physical memory, whole. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Byte offset in it of a range on one guest-virtual page that may be read (written); 0 where it may not simply be. */
  hostRange(low: number, high: number, length: number, write: boolean): number;
  /** The same for a write, which goes through to guarded bytes, too: what was made from them is discarded. */
  storeRange(low: number, high: number, length: number): number;
}

/** An access that the guest may not make. */
export class GuestFault extends Error {
  readonly address: number;
  readonly write: boolean;

  constructor(address: number, write: boolean) {
    super(`the guest cannot ${write ? "write" : "read"} at 0x${address.toString(16)}`);
    this.name = "GuestFault";
    this.address = address;
    this.write = write;
  }
}

export class GuestMemory {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  private readonly port: GuestMemoryPort;

  constructor(port: GuestMemoryPort) {
    this.port = port;
    this.bytes = port.bytes;
    this.view = port.view;
  }

  /** Bytes from an address to the end of its page. */
  onPage(address: number): number {
    return PAGE_BYTES - (address % PAGE_BYTES);
  }

  /** Byte offset in `bytes` of a range on one page that may be read, or 0. */
  readable(address: number, length: number): number {
    return this.port.hostRange(address | 0, Math.floor(address / TWO_32) | 0, length, false);
  }

  /** The same for writing; 0 for guarded bytes, too, whose writing has consequences. */
  writable(address: number, length: number): number {
    return this.port.hostRange(address | 0, Math.floor(address / TWO_32) | 0, length, true);
  }

  private source(address: number, length: number): number {
    const host = this.readable(address, length);
    if (host === 0) throw new GuestFault(address, false);
    return host;
  }

  private destination(address: number, length: number): number {
    const host = this.port.storeRange(address | 0, Math.floor(address / TWO_32) | 0, length);
    if (host === 0) throw new GuestFault(address, true);
    return host;
  }

  /**
   * Bytes, at most `limit`, from `address` on that lie together in `bytes`, too: pages that follow one another there
   * are one piece. `host` is where the first one is.
   */
  run(address: number, host: number, limit: number, write: boolean): number {
    let count = this.onPage(address);
    while (count < limit) {
      const next = write ? this.writable(address + count, 1) : this.readable(address + count, 1);
      if (next === 0 || next !== host + count) break;
      count += PAGE_BYTES;
    }
    return Math.min(count, limit);
  }

  /** Whether all of a range may be written, and nothing was translated from it. */
  allWritable(address: number, length: number): boolean {
    for (let at = address; at < address + length; at += this.onPage(at)) {
      if (this.writable(at, Math.min(this.onPage(at), address + length - at)) === 0) return false;
    }
    return true;
  }

  allReadable(address: number, length: number): boolean {
    for (let at = address; at < address + length; at += this.onPage(at)) {
      if (this.readable(at, Math.min(this.onPage(at), address + length - at)) === 0) return false;
    }
    return true;
  }

  /** Copies bytes out of the guest. */
  copyIn(address: number, into: Uint8Array): void {
    for (let done = 0; done < into.length;) {
      const count = Math.min(this.onPage(address + done), into.length - done);
      const host = this.source(address + done, count);
      into.set(this.bytes.subarray(host, host + count), done);
      done += count;
    }
  }

  /** Copies bytes into the guest, in order: what comes before a fault is written, nothing behind it. */
  copyOut(address: number, from: Uint8Array): void {
    for (let done = 0; done < from.length;) {
      const count = Math.min(this.onPage(address + done), from.length - done);
      this.bytes.set(from.subarray(done, done + count), this.destination(address + done, count));
      done += count;
    }
  }

  u8(address: number): number {
    return this.bytes[this.source(address, 1)];
  }

  setU8(address: number, value: number): void {
    this.bytes[this.destination(address, 1)] = value;
  }

  private readonly bounce: DataView = new DataView(new ArrayBuffer(8));

  /** The low and high 32 bits of a little-endian value of 1, 2, 4 or 8 bytes, in `low` and `high`. */
  private load(address: number, bytes: number): void {
    const { bounce } = this;
    if (this.onPage(address) >= bytes) {
      const host = this.source(address, bytes);
      const { view } = this;
      this.low =
        bytes === 1 ? view.getUint8(host) : bytes === 2 ? view.getUint16(host, true) : view.getInt32(host, true);
      this.high = bytes === 8 ? view.getInt32(host + 4, true) : 0;
      return;
    }
    bounce.setBigUint64(0, 0n);
    this.copyIn(address, new Uint8Array(bounce.buffer, 0, bytes));
    this.low = bounce.getInt32(0, true);
    this.high = bounce.getInt32(4, true);
  }
  private low = 0;
  private high = 0;

  private store(address: number, bytes: number, low: number, high: number): void {
    if (this.onPage(address) >= bytes) {
      const host = this.destination(address, bytes);
      const { view } = this;
      if (bytes === 1) view.setUint8(host, low);
      else if (bytes === 2) view.setUint16(host, low, true);
      else view.setInt32(host, low, true);
      if (bytes === 8) view.setInt32(host + 4, high, true);
      return;
    }
    // A store across pages faults before it writes anything.
    const second = address + this.onPage(address);
    this.destination(address, this.onPage(address));
    this.destination(second, address + bytes - second);
    this.bounce.setInt32(0, low, true);
    this.bounce.setInt32(4, high, true);
    this.copyOut(address, new Uint8Array(this.bounce.buffer, 0, bytes));
  }

  u32(address: number): number {
    this.load(address, 4);
    return this.low >>> 0;
  }
  setU32(address: number, value: number): void {
    this.store(address, 4, value | 0, 0);
  }

  /** A 64-bit value that is an address or a size, as a number. */
  word(address: number): number {
    this.load(address, 8);
    return (this.high >>> 0) * TWO_32 + (this.low >>> 0);
  }
  setWord(address: number, value: number): void {
    this.store(address, 8, value | 0, Math.floor(value / TWO_32) | 0);
  }

  /** A value of a C type. */
  read<T>(type: CType<T>, address: number, abi: Abi): T {
    this.load(address, type.bytes(abi));
    return type.decode(this.low, this.high, abi, this);
  }
  write<T>(type: CType<T>, address: number, value: T, abi: Abi): void {
    const { low, high } = type.encode(value, abi);
    this.store(address, type.bytes(abi), low, high);
  }

  /** The bytes of a C string, without its end; `limit` bytes are looked at. */
  string(address: number, limit: number = Infinity): Uint8Array {
    const pieces: Uint8Array[] = [];
    for (let at = address; at < address + limit;) {
      const count = Math.min(this.onPage(at), address + limit - at);
      const host = this.source(at, count);
      const end = this.bytes.indexOf(0, host);
      const found = end >= 0 && end < host + count;
      pieces.push(this.bytes.slice(host, found ? end : host + count));
      if (found) break;
      at += count;
    }
    const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
    let done = 0;
    for (const piece of pieces) {
      whole.set(piece, done);
      done += piece.length;
    }
    return whole;
  }
}
