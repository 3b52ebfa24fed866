/** Count-downs of code compiled in haste, to its promotion: words of guest memory that no guest sees. */
import type { MemoryPort } from "./ports.ts";

const PAGE_BYTES = 4096;
const BYTES = 4;

export class CountDowns {
  private readonly memory: Pick<MemoryPort, "view" | "allocateBlock">;
  private readonly free: number[] = [];
  private block = 0;
  /** How many of the block were never taken. */
  private left = 0;

  constructor(memory: Pick<MemoryPort, "view" | "allocateBlock">) {
    this.memory = memory;
  }

  /** Byte offset of one that begins at `count`; 0 when memory is full. */
  take(count: number): number {
    const place = this.free.pop() ?? this.fresh();
    if (place !== 0) this.memory.view.setInt32(place, count, true);
    return place;
  }

  private fresh(): number {
    if (this.left === 0) {
      this.block = this.memory.allocateBlock(1);
      if (this.block === 0) return 0;
      this.left = PAGE_BYTES / BYTES;
    }
    return this.block + BYTES * --this.left;
  }

  isUsedUp(place: number): boolean {
    return this.memory.view.getInt32(place, true) < 0;
  }

  /** No code counts there any more. */
  release(place: number): void {
    this.free.push(place);
  }
}
