/**
 * The bytes a read or write moves, handed out piece by piece. A file asks for as much as it really has or takes
 * (`next`), so a `read(fd, buffer, 1 GiB)` of a 10-byte pipe touches one page of the guest; and every piece is looked
 * up when it is asked for, so a transfer may be continued after a wait although physical memory moved meanwhile.
 */
import { EFAULT, SyscallError } from "../kernel/errno.ts";
import type { UserMemory } from "../kernel/memory.ts";

/** MAX_RW_COUNT: what one read or write moves at most (read(2)). */
export const MAX_TRANSFER_BYTES = 0x7ffff000;

export interface Transfer {
  /** Bytes not yet handed out. */
  readonly remaining: number;
  /** The next `limit` bytes at most, as pieces; consumed. Throws SyscallError(EFAULT) if the first byte is bad. */
  next(limit: number): Uint8Array[];
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
    const pieces: Uint8Array[] = [];
    while (wanted > 0) {
      const range = this.#ranges[this.#index]!;
      const length = Math.min(wanted, range.length - this.#offset);
      if (length > 0) {
        const got = this.#piece(range.address + this.#offset, length, pieces);
        this.#offset += got;
        this.#remaining -= got;
        wanted -= got;
        if (got < length) {
          // The rest is not accessible: the transfer ends here, short; with nothing moved it is EFAULT.
          if (pieces.length === 0) throw new SyscallError(EFAULT);
          this.#remaining = 0;
          break;
        }
      }
      if (this.#offset === range.length) {
        this.#index++;
        this.#offset = 0;
      }
    }
    return pieces;
  }

  #piece(address: number, length: number, pieces: Uint8Array[]): number {
    let got = 0;
    for (const view of this.#memory.viewsUntilFault(address, length, this.#access)) {
      pieces.push(view);
      got += view.length;
    }
    return got;
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
