/**
 * A perfect hash of the targets of indirect jumps, to branch to one of many by a table: of a guest offset, multiplied by
 * a constant, the upper bits are the index.
 */
import type { ByteWriter } from "../wasm/byte-writer.ts";
import { Parameter } from "./region-frame.ts";
import { Wasm } from "./wasm-opcodes.ts";

export interface TargetHash {
  readonly multiplier: number;
  /** How far to shift the 32-bit product right. */
  readonly shift: number;
  /** For each index the number of the target that may be meant, or -1. */
  readonly table: Int16Array;
}

/** Knuth's multiplicative hashing: 2^32 divided by the golden ratio; its odd multiples are tried in turn. */
const GOLDEN = 0x9e3779b1;
const TRIES = 256;
const LARGEST_BITS = 12;

/** Undefined when no table of 4,096 entries keeps them apart, which takes more targets than a region has. */
export function hashTargets(offsets: readonly number[]): TargetHash | undefined {
  const fewest = Math.max(1, Math.ceil(Math.log2(offsets.length)));
  for (let bits = fewest; bits <= LARGEST_BITS; bits++) {
    const shift = 32 - bits;
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const multiplier = Math.imul(GOLDEN, 2 * attempt + 1);
      const table = new Int16Array(1 << bits).fill(-1);
      const apart = offsets.every((offset, number) => {
        const index = Math.imul(offset, multiplier) >>> shift;
        if (table[index] !== -1) return false;
        table[index] = number;
        return true;
      });
      if (apart) return { multiplier, shift, table };
    }
  }
  return undefined;
}

/**
 * Branches to label n where the guest address in local `target` may be target n, the innermost label being 0, and to the
 * one around all those for what is no target.
 */
export function branchByHash(out: ByteWriter, hash: TargetHash, target: number, targets: number): void {
  const { multiplier, shift, table } = hash;
  out.u8(Wasm.localGet);
  out.u32(target);
  out.u8(Wasm.localGet);
  out.u32(Parameter.address);
  out.u8(Wasm.i64Sub);
  out.u8(Wasm.i32WrapI64);
  out.u8(Wasm.i32Const);
  out.s32(multiplier);
  out.u8(Wasm.i32Mul);
  out.u8(Wasm.i32Const);
  out.s32(shift);
  out.u8(Wasm.i32ShrU);
  out.u8(Wasm.brTable);
  out.u32(table.length);
  for (const number of table) out.u32(number < 0 ? targets : number);
  out.u32(targets);
}
