/**
 * A guest's memory as its page tables have it, for the registry of purgeable memory: any address space, at any time, without
 * a trace in accessed or dirty bits (Intel SDM vol. 3, 4.5).
 *
 * A space is named by the physical address of its top-level table, plus 1 for the view of programs, which reach user pages
 * alone.
 */
import { PAGE_BYTES, PAGE_SHIFT } from "@doppel/guard-memory";
import type { GuestMapping } from "@doppel/ha-checkpoint";
import type { GuestRam } from "@doppel/pc-machine";

/** Bits of a paging-structure entry. */
const PRESENT = 1n;
const WRITABLE = 2n;
const USER = 4n;
const LARGE = 0x80n;
const ADDRESS = 0xff_ffff_f000n;
const LEVEL_BITS = 9n;
const TOP_LEVEL = 3n;

export const programsView = 1;

export function guestMapping(ram: GuestRam, random: () => bigint): GuestMapping {
  const view = new DataView(ram.pages.bytes.buffer);
  const translate = (space: number, virtualPage: bigint): number | undefined => {
    const wanted = PRESENT | WRITABLE | ((space & programsView) === 0 ? 0n : USER);
    let table = BigInt(space - (space & programsView));
    for (let level = TOP_LEVEL; ; level--) {
      const page = ram.pageOf(Number(table));
      if (page < 0) return undefined;
      const index = (virtualPage >> (LEVEL_BITS * level)) & 511n;
      const entry = view.getBigUint64(page * PAGE_BYTES + 8 * Number(index), true);
      if ((entry & wanted) !== wanted) return undefined;
      const isLarge = (entry & LARGE) !== 0n && level !== 0n;
      if (!isLarge && level > 0n) {
        table = entry & ADDRESS;
        continue;
      }
      const within = virtualPage & ((1n << (LEVEL_BITS * level)) - 1n);
      const physical =
        (entry & ADDRESS & ~((1n << (LEVEL_BITS * level + BigInt(PAGE_SHIFT))) - 1n)) / BigInt(PAGE_BYTES);
      const found = ram.pageOf(Number(physical + within) * PAGE_BYTES);
      return found < 0 ? undefined : found - ram.firstPage;
    }
  };
  const offsetOf = (page: number, offset: number): number => (ram.firstPage + page) * PAGE_BYTES + offset;
  return {
    pageBytes: PAGE_BYTES,
    pageCount: ram.ramBytes / PAGE_BYTES,
    translate,
    read: (page, offset, length) => ram.pages.bytes.subarray(offsetOf(page, offset), offsetOf(page, offset) + length),
    write: (page, offset, bytes) => {
      ram.noteWrite(ram.firstPage + page, offset, bytes.length);
      ram.pages.bytes.set(bytes, offsetOf(page, offset));
    },
    nonce: random,
  };
}
