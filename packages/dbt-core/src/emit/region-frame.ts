/** What a region's function is made of besides its code: parameters, locals, imports, links. */
import { VALUE_TYPE_CODE, type ValueType } from "../ir/operations.ts";
import type { ByteWriter } from "../wasm/byte-writer.ts";
import { clear } from "../clear.ts";

/** `depth`: bytes of the host's stack that are left for calls; those that find none become jumps. */
export const Parameter = { context: 0, address: 1, slot: 2, depth: 3, count: 4 } as const;

/** A region that dispatches is entered at a guest offset other than 0 when its slot parameter is this and that offset. */
export const OTHER_ENTRY: number = -(2 ** 30);

/** Wasm's empty block type. */
export const BLOCK_EMPTY = 0x40;

/** Function and type indices in the module a region is emitted into. */
export interface RegionImports {
  readonly regionType: number;
  readonly slowLoad: number;
  readonly slowStore: number;
  readonly slowStoreVector: number;
  readonly service: number;
  /** The soft-TLB check out of line. */
  readonly load: number;
  /** By access size: (context, address, value as i64 or v128, info) -> leave? */
  store(size: number): number;
  /** Goes to a guest address whose code has become hot. Same type as a region. */
  readonly promote: number;
  /** Goes to the guest address given, through the jump cache. Same type as a region. */
  readonly jump: number;
  /** The function index of helper n; asking for it makes the module import it. */
  helper(index: number): number;
  /** The global that holds the number of a table slot; -1 where its number itself is to be in the code. */
  slotGlobal(slot: number): number;
}

/**
 * Which way branches usually go (the custom section metadata.code.branch_hint): compilers that heed it keep slow paths,
 * and the registers these would clobber, out of the way of the others.
 */
export class BranchHints {
  /** Place in the code and whether it is likely, in turn. */
  private readonly entries: number[] = [];

  reset(): void {
    clear(this.entries);
  }

  /** The `if` or `br_if` that comes next in `out`. */
  mark(out: ByteWriter, likely: boolean): void {
    this.entries.push(out.length, likely ? 1 : 0);
  }

  /** The hints of a function whose code begins so many bytes into its body. */
  write(out: ByteWriter, codeStart: number): void {
    const { entries } = this;
    out.u32(entries.length / 2);
    for (let index = 0; index < entries.length; index += 2) {
      out.u32(codeStart + entries[index]);
      out.u8(1);
      out.u8(entries[index + 1]);
    }
  }
}

/** Gives the table slot for a direct transfer to a guest offset (relative to the region's entry). */
export interface LinkTarget {
  slotFor(offset: number): number;
  /** Byte offset in memory of the notes on the indirect jump or call at a guest offset; 0: none are taken. */
  siteFor?(offset: number): number;
  /** Where the indirect jump or call at a guest offset usually goes, as a guest offset. */
  usualTarget?(offset: number): number | undefined;
}

/** Code addresses wrap around, at least those of 32 bits: whatever goes as far as this may lead back. */
const FAR = 1 << 28;

/**
 * Whether a direct jump or call out of the region, to a guest offset, costs budget. Of regions that lead to one another
 * in a circle, at least one leads to its own entry or before.
 */
export function leadsBack(offset: number): boolean {
  return offset <= 0 || offset >= FAR;
}

const TYPES: readonly ValueType[] = ["i32", "i64", "f32", "f64", "v128"];

/** Of a function without locals: what the host keeps there, parameters, and operands across calls. */
export const FRAME_BYTES = 256;

/**
 * The locals of a function. Permanent ones keep their value; temporary ones are free again at the end of a block.
 */
export class LocalPool {
  private readonly types: number[] = [];
  private readonly free: number[][] = TYPES.map(() => []);
  private readonly used: number[][] = TYPES.map(() => []);

  reset(): void {
    clear(this.types);
    for (const list of this.free) clear(list);
    for (const list of this.used) clear(list);
  }

  permanent(type: ValueType): number {
    this.types.push(VALUE_TYPE_CODE[type]);
    return Parameter.count + this.types.length - 1;
  }

  temporary(type: ValueType): number {
    const kind = TYPES.indexOf(type);
    const local = this.free[kind].pop() ?? this.permanent(type);
    this.used[kind].push(local);
    return local;
  }

  /** Bytes of host stack that the function takes at most: V8's baseline compiler gives each local a place there. */
  get frameBytes(): number {
    let bytes = FRAME_BYTES;
    for (const type of this.types) bytes += type === VALUE_TYPE_CODE.v128 ? 16 : 8;
    return bytes;
  }

  releaseTemporaries(): void {
    for (let kind = 0; kind < TYPES.length; kind++) {
      const used = this.used[kind];
      for (const local of used) this.free[kind].push(local);
      clear(used);
    }
  }

  /** The declaration vector: runs of equal types. */
  declare(out: ByteWriter): void {
    let runs = 0;
    for (let index = 0; index < this.types.length; index++)
      if (index === 0 || this.types[index] !== this.types[index - 1]) runs++;
    out.u32(runs);
    for (let index = 0; index < this.types.length;) {
      let end = index;
      while (end < this.types.length && this.types[end] === this.types[index]) end++;
      out.u32(end - index);
      out.u8(this.types[index]);
      index = end;
    }
  }
}
