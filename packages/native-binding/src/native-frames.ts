/**
 * The calls of native twins that wait for a guest function to return.
 *
 * A native frame is two words on the guest's stack and, here, plain data under their address:
 *
 * ```text
 *   stack pointer of the caller at the call, R      return address into the twin's caller
 *                                       R - 8       resume address
 *                                       R - 16      resume address: where the called guest function returns to
 * ```
 * The resume address lies inside the first instruction of the function that the twin replaces. There its unwind
 * information says "just entered", so an unwinder walks through both words as through two frames of that function and
 * comes out at the caller: exceptions and backtraces pass native frames. The words alone decide whether a frame is alive:
 * after `longjmp` they are overwritten some time, and the data goes when somebody looks or takes their place. No frame of
 * the host's stack is involved: threads, signals and fork meet guest memory and plain data, nothing else.
 */
import type { GuestMemory } from "./guest-memory.ts";

export interface NativeFrame {
  /** Name of the binding, and of the callee that it waits for. */
  readonly name: string;
  readonly callee: string;
  readonly resumeAddress: number;
  readonly state: unknown;
}

/** A saved frame: what a checkpoint keeps. */
export interface SavedFrame extends NativeFrame {
  readonly stack: number;
}

/** Sweeps begin when there are so many, and then at twice of what the last one left. */
const FIRST_SWEEP = 64;

/** Of one address space. */
export class NativeFrames {
  private readonly frames: Map<number, NativeFrame> = new Map();
  private sweepAt: number = FIRST_SWEEP;

  get size(): number {
    return this.frames.size;
  }

  /** `stack`: R. */
  get(stack: number): NativeFrame | undefined {
    return this.frames.get(stack);
  }

  set(stack: number, frame: NativeFrame, memory: GuestMemory): void {
    this.frames.set(stack, frame);
    if (this.frames.size < this.sweepAt) return;
    this.sweep(memory);
    this.sweepAt = Math.max(FIRST_SWEEP, 2 * this.frames.size);
  }

  delete(stack: number): void {
    this.frames.delete(stack);
  }

  /** Forgets the frames whose words on the stack are no longer there. */
  sweep(memory: GuestMemory): void {
    for (const [stack, { resumeAddress }] of this.frames) {
      if (!holds(memory, stack - 8, resumeAddress) || !holds(memory, stack - 16, resumeAddress))
        this.frames.delete(stack);
    }
  }

  /** The frames of a copy of the address space (fork). */
  copy(): NativeFrames {
    const copied = new NativeFrames();
    copied.load(this.save());
    return copied;
  }

  save(): SavedFrame[] {
    return [...this.frames].map(([stack, frame]) => ({ stack, ...frame, state: structuredClone(frame.state) }));
  }

  load(saved: readonly SavedFrame[]): void {
    this.frames.clear();
    for (const { stack, ...frame } of saved) this.frames.set(stack, { ...frame, state: structuredClone(frame.state) });
  }
}

function holds(memory: GuestMemory, address: number, word: number): boolean {
  return memory.readable(address, 8) !== 0 && memory.word(address) === word;
}
