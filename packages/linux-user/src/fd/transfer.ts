/**
 * The bytes a read or write moves, handed out piece by piece. A file asks for as much as it really has or takes
 * (`next`), so a `read(fd, buffer, 1 GiB)` of a 10-byte pipe touches one page of the guest; and every piece is looked
 * up when it is asked for, so a transfer may be continued after a wait although physical memory moved meanwhile.
 */
import { EFAULT, SyscallError } from "../kernel/errno.ts";
import type { UserMemory } from "../kernel/memory.ts";

/** MAX_RW_COUNT: what one read or write moves at most (read(2)). */
export const MAX_TRANSFER_BYTES = 0x7ffff000;

/** The most that one call of the host is given. */
export const HOST_CALL_BYTES: number = 1 << 20;

export interface Transfer {
  /** Bytes not yet handed out. */
  readonly remaining: number;
  /** The next `limit` bytes at most, as pieces; consumed. Throws SyscallError(EFAULT) if the first byte is bad. */
  next(limit: number): Uint8Array[];
  /** Takes back the last `count` bytes that `next` handed out: the file had no room for them after all. */
  giveBack(count: number): void;
}

/** A range of guest memory: address and length in bytes. */
export interface UserRange {
  readonly address: number;
  readonly length: number;
}

/** A transfer from or to guest memory; `access` is what the kernel does to it. */
export class UserTransfer implements Transfer {
  readonly #memory: UserMemory;
  readonly #ranges: readonly UserRange[];
  readonly #access: "read" | "write";
  #index = 0;
  #offset = 0;
  #remaining: number;

  constructor(memory: UserMemory, ranges: readonly UserRange[], access: "read" | "write") {
    this.#memory = memory;
    this.#ranges = ranges;
    this.#access = access;
    let total = 0;
    for (const range of ranges) total += range.length;
    this.#remaining = Math.min(total, MAX_TRANSFER_BYTES);
  }

  get remaining(): number {
    return this.#remaining;
  }

  next(limit: number): Uint8Array[] {
    let wanted = Math.min(limit, this.#remaining);
    const spans: UserRange[] = [];
    let pieces: Uint8Array[] = [];
    while (wanted > 0) {
      const range = this.#ranges[this.#index];
      const address = range.address + this.#offset;
      const length = Math.min(wanted, range.length - this.#offset);
      const got = length === 0 ? 0 : this.#views(address, length, pieces);
      if (got > 0) spans.push({ address, length: got });
      this.#offset += got;
      this.#remaining -= got;
      wanted -= got;
      if (got < length) {
        // The rest is not accessible: the transfer ends here, short; with nothing moved it is EFAULT.
        if (spans.length === 0) throw new SyscallError(EFAULT);
        this.#remaining = 0;
        break;
      }
      if (this.#offset === range.length) {
        this.#index++;
        this.#offset = 0;
      }
    }
    // Faulting in a later range may have grown the memory, which detaches the views of the earlier ones.
    if (spans.length > 1) {
      pieces = [];
      for (const { address, length } of spans) this.#views(address, length, pieces);
    }
    return pieces;
  }

  #views(address: number, length: number, pieces: Uint8Array[]): number {
    let got = 0;
    for (const view of this.#memory.viewsUntilFault(address, length, this.#access)) {
      pieces.push(view);
      got += view.length;
    }
    return got;
  }

  giveBack(count: number): void {
    this.#remaining += count;
    while (count > this.#offset) {
      count -= this.#offset;
      this.#offset = this.#ranges[--this.#index].length;
    }
    this.#offset -= count;
  }
}

/** A transfer from or to the kernel's own bytes: splice, sendfile, tests. */
export class BytesTransfer implements Transfer {
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  next(limit: number): Uint8Array[] {
    const length = Math.min(limit, this.remaining);
    if (length <= 0) return [];
    const piece = this.#bytes.subarray(this.#offset, this.#offset + length);
    this.#offset += length;
    return [piece];
  }

  giveBack(count: number): void {
    this.#offset -= count;
  }
}

/** Copies `bytes` into the transfer; returns how many went in. */
export function fill(into: Transfer, bytes: Uint8Array): number {
  let done = 0;
  for (const piece of into.next(bytes.length)) {
    piece.set(bytes.subarray(done, done + piece.length));
    done += piece.length;
  }
  return done;
}

/** Takes at most `limit` bytes out of the transfer, as a copy. */
export function drain(from: Transfer, limit: number): Uint8Array {
  const pieces = from.next(limit);
  return pieces.length === 1 ? pieces[0].slice() : join(pieces);
}

/** The same without a copy when the bytes lie together; good until anything touches guest memory. */
export function gather(from: Transfer, limit: number): Uint8Array {
  const pieces = from.next(limit);
  return pieces.length === 1 ? pieces[0] : join(pieces);
}

function join(pieces: readonly Uint8Array[]): Uint8Array {
  let total = 0;
  for (const piece of pieces) total += piece.length;
  const bytes = new Uint8Array(total);
  let done = 0;
  for (const piece of pieces) {
    bytes.set(piece, done);
    done += piece.length;
  }
  return bytes;
}

/** Fills the next `limit` bytes by one call of `read` per mebibyte; returns the count or its failure. */
export function readInto(into: Transfer, limit: number, read: (bytes: Uint8Array, done: number) => number): number {
  let done = 0;
  for (let left = Math.min(limit, into.remaining); left > 0;) {
    const wanted = Math.min(left, HOST_CALL_BYTES);
    const pieces = into.next(wanted);
    const whole =
      pieces.length === 1 ? pieces[0] : new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
    const count = read(whole, done);
    if (count < 0) return done > 0 ? done : count;
    if (pieces.length > 1) scatter(whole.subarray(0, count), pieces);
    done += count;
    left -= count;
    if (count < wanted) break;
  }
  return done;
}

function scatter(bytes: Uint8Array, pieces: readonly Uint8Array[]): void {
  let at = 0;
  for (const piece of pieces) {
    piece.set(bytes.subarray(at, at + piece.length));
    at += piece.length;
  }
}
