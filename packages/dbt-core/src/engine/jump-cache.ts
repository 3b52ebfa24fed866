/**
 * Where code is found whose address is known only at run time: a cache in guest memory, of sets of two.
 *
 * ```text
 *   set      ((address ^ address >>> 12) & sets - 1) * 32 from where the cache begins
 *   + 0      the way filled last      address i64, slot i32, unit i32
 *   + 16     the way before it        the same
 * ```
 *
 * Two ways, since addresses meet in a set by chance and for a whole run: an interpreter whose two most frequent functions do
 * would otherwise ask the resolver at each call. An empty way holds an address of another set. What is discarded stays in: its
 * home slot holds a trap, or its threaded code a record, which asks again.
 */
import { clearAll } from "../clear.ts";
import type { MemoryPort } from "./ports.ts";

export const JUMP_CACHE_BITS = 12;
const WAY_BYTES = 16;
const SET_SHIFT = 5;
export const JUMP_CACHE_BYTES: number = 1 << (JUMP_CACHE_BITS + SET_SHIFT);
/** An empty set is for an address of another: this bit of the set counts once, however many bits a set has. */
const ELSEWHERE = 1 << 11;

export class JumpCache {
  private readonly memory: Pick<MemoryPort, "bytes" | "view">;
  private readonly place: number;
  private isUsed = false;
  /** Ways that lead to code which goes by optional bits of the mode, and by which. */
  private readonly modal: Map<number, number> = new Map();

  /** @param place byte offset in memory */
  constructor(memory: Pick<MemoryPort, "bytes" | "view">, place: number) {
    this.memory = memory;
    this.place = place;
    this.clear();
  }

  /** Jumps to the address go through the slot, threaded code at `unit`; the code there goes by these optional bits of the mode. */
  add(low: number, high: number, slot: number, unit: number, bits: number): void {
    const { view, bytes } = this.memory;
    const first = this.setOf(low, high);
    const second = first + WAY_BYTES;
    if (view.getInt32(first, true) !== low || view.getInt32(first + 4, true) !== high) {
      bytes.copyWithin(second, first, second);
      this.noteModal(second, this.modal.get(first) ?? 0);
      view.setInt32(first, low, true);
      view.setInt32(first + 4, high, true);
    }
    view.setInt32(first + 8, slot, true);
    view.setInt32(first + 12, unit, true);
    this.noteModal(first, bits);
    this.isUsed = true;
  }

  /** The address is not in the cache any more. */
  remove(low: number, high: number): void {
    const { view } = this.memory;
    const first = this.setOf(low, high);
    for (const way of [first, first + WAY_BYTES])
      if (view.getInt32(way, true) === low && view.getInt32(way + 4, true) === high) this.empty(way);
  }

  /** What goes by any of these bits of the mode is not in it any more. */
  removeModal(bits: number): void {
    for (const [way, used] of this.modal) if ((used & bits) !== 0) this.empty(way);
  }

  flush(): void {
    if (this.isUsed) this.clear();
  }

  private setOf(low: number, high: number): number {
    const set = (low ^ ((low >>> 12) | (high << 20))) & ((1 << JUMP_CACHE_BITS) - 1);
    return this.place + (set << SET_SHIFT);
  }

  private noteModal(way: number, bits: number): void {
    if (bits !== 0) this.modal.set(way, bits);
    else if (this.modal.size > 0) this.modal.delete(way);
  }

  private empty(way: number): void {
    const { view } = this.memory;
    view.setInt32(way, ((way - this.place) >> SET_SHIFT) ^ ELSEWHERE, true);
    view.setInt32(way + 4, 0, true);
    this.modal.delete(way);
  }

  private clear(): void {
    this.memory.bytes.set(nothing, this.place);
    clearAll(this.modal);
    this.isUsed = false;
  }
}

const nothing: Uint8Array = new Uint8Array(JUMP_CACHE_BYTES);
{
  const ways = new DataView(nothing.buffer);
  for (let way = 0; way < JUMP_CACHE_BYTES; way += WAY_BYTES) ways.setInt32(way, (way >> SET_SHIFT) ^ ELSEWHERE, true);
}
