/**
 * Which calls of a region are replaced by a copy of the function called.
 *
 * An inlined call still pushes its return address, and an inlined return still takes an address from the stack and compares:
 * what the guest sees is the same, and the region may be left anywhere in between. What is saved is the way through the
 * context block, where caller and callee exchange all registers.
 */
import { Flow } from "../port-frontend.ts";
import { clear, clearAll } from "../clear.ts";

/** Guest instructions of a function that is inlined, at most. */
export const CALLEE_INSTRUCTIONS = 48;
/** Calls inlined into inlined calls: functions that call themselves. */
export const DEEPEST = 4;

/** The decoded instructions of a region, by place. */
export interface DecodedCode {
  isDecoded(place: number): boolean;
  lengthAt(place: number): number;
  flowAt(place: number): number;
  /** Of a direct jump, branch or call, the target's place. */
  targetAt(place: number): number;
}

/** One inlined call. */
interface Copy {
  /** The copy that it is called from; 0: the region's own code. */
  readonly caller: number;
  /** Where it returns to. */
  readonly returnPlace: number;
  readonly depth: number;
}

export class Inlining {
  private readonly code: DecodedCode;
  private readonly copies: Copy[] = [];
  /** By place of a function's entry: its instructions, or 0 when it is not inlined. */
  private readonly sizes: Map<number, number> = new Map();
  /** Guest instructions that may still be added. */
  private left = 0;

  constructor(code: DecodedCode) {
    this.code = code;
  }

  /** A region begins, to which inlined calls may add so many guest instructions. */
  begin(instructions: number): void {
    clear(this.copies);
    this.copies.push({ caller: 0, returnPlace: -1, depth: 0 });
    clearAll(this.sizes);
    this.left = instructions;
  }

  copy(index: number): Copy {
    return this.copies[index];
  }

  /** A number for the copy of the function at `place` that `caller` calls; 0 when it is not inlined there. */
  inline(caller: number, place: number, returnPlace: number): number {
    const depth = this.copies[caller].depth + 1;
    const size = this.sizeOf(place);
    if (size === 0 || depth > DEEPEST || size > this.left) return 0;
    this.left -= size;
    return this.copies.push({ caller, returnPlace, depth }) - 1;
  }

  /** Instructions of the function at `place`, all of which are decoded; 0 unless it is small, and returns. */
  sizeOf(place: number): number {
    let size = this.sizes.get(place);
    if (size === undefined) this.sizes.set(place, (size = this.measure(place)));
    return size;
  }

  private measure(entry: number): number {
    const { code } = this;
    const seen = new Set<number>();
    const pending = [entry];
    let returns = false;
    while (pending.length > 0) {
      const place = pending.pop()!;
      if (seen.has(place)) continue;
      if (seen.size >= CALLEE_INSTRUCTIONS || !code.isDecoded(place)) return 0;
      seen.add(place);
      switch (code.flowAt(place)) {
        case Flow.return:
          returns = true;
          break;
        case Flow.jump:
          pending.push(code.targetAt(place));
          break;
        case Flow.branch:
          pending.push(code.targetAt(place), place + code.lengthAt(place));
          break;
        case Flow.next:
        case Flow.call:
        case Flow.indirectCall:
          pending.push(place + code.lengthAt(place));
          break;
        default:
          return 0;
      }
    }
    return returns ? seen.size : 0;
  }
}
