/**
 * Where units of threaded code are: blocks of guest memory, filled from one end. A unit that is discarded may still be on the
 * host's stack and in jump caches: it is to be freed only when it is in neither any more.
 */
import { ENTRY_BYTES, RecordField, UnitField } from "./record.ts";
import { Handler } from "./handlers.ts";

const PAGE_BYTES = 4096;
const BLOCK_PAGES = 16;
/** Units are in whole pieces of this size, so that what one leaves fits another. */
const PIECE_SHIFT = 6;

/** The part of the engine's memory port that is needed here. */
export interface UnitMemory {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  allocateBlock(pages: number): number;
}

export class UnitStore {
  private readonly memory: UnitMemory;
  private next = 0;
  private end = 0;
  /** Places free for reuse, by pieces. */
  private readonly free: number[][] = [];

  constructor(memory: UnitMemory) {
    this.memory = memory;
  }

  /** Byte offset of a copy of the unit, which begins at `start`, or 0 when memory is full. */
  add(bytes: Uint8Array, length: number, start = 0): number {
    const pieces = (length + (1 << PIECE_SHIFT) - 1) >> PIECE_SHIFT;
    const at = this.free[pieces]?.pop() ?? this.append(pieces << PIECE_SHIFT);
    if (at !== 0) this.memory.bytes.set(bytes.subarray(start, start + length), at);
    return at;
  }

  private append(bytes: number): number {
    if (this.next + bytes > this.end) {
      const pages = Math.max(BLOCK_PAGES, Math.ceil(bytes / PAGE_BYTES));
      const block = this.memory.allocateBlock(pages);
      if (block === 0) return 0;
      this.next = block;
      this.end = block + pages * PAGE_BYTES;
    }
    const at = this.next;
    this.next += bytes;
    return at;
  }

  /** From now on, who enters the unit is sent to the resolver. */
  discard(unit: number): void {
    const { view } = this.memory;
    const end = unit + this.bytesOf(unit);
    const entries = view.getInt32(unit + UnitField.entries, true);
    for (let entry = end - entries * ENTRY_BYTES; entry < end; entry += ENTRY_BYTES)
      view.setUint16(entry + RecordField.handler, Handler.gone, true);
  }

  private bytesOf(unit: number): number {
    return this.memory.view.getInt32(unit + UnitField.bytes, true);
  }

  /** Nobody can come to the unit any more. */
  release(unit: number): void {
    const pieces = (this.bytesOf(unit) + (1 << PIECE_SHIFT) - 1) >> PIECE_SHIFT;
    (this.free[pieces] ??= []).push(unit);
  }
}
