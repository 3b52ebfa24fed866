/**
 * Address translation: 4-level paging with pages of 4 KiB, 2 MiB and 1 GiB, and no paging at all (Intel SDM vol. 3,
 * chapter 4). What soft TLBs miss comes here; what they hold was found here.
 */
import { SPACE_DEVICE, SPACE_GLOBAL, SPACE_PAGE_SHIFT, SPACE_WRITABLE } from "@doppel/dbt-core";
import { RFlags } from "@doppel/guest-x86";
import { type GuestRam, PAGE_BYTES } from "../memory/guest-ram.ts";
import { Cr0, Cr4, Efer, type Registers } from "./registers.ts";

const TWO_32 = 2 ** 32;

/** Bits of a paging-structure entry's low word, and of its high one. */
const Entry = { present: 1, writable: 2, user: 4, accessed: 0x20, dirty: 0x40, large: 0x80, global: 0x100 } as const;
const NO_EXECUTE = 1 << 31;
/** Physical addresses have 40 bits (CPUID 80000008H); those above, up to bit 51, are reserved. */
const RESERVED_HIGH = 0x000fff00;
const ADDRESS_HIGH = 0xff;

export const PageFaultBit = { present: 1, write: 2, user: 4, reserved: 8, fetch: 16 } as const;

/** Answers of `translate` for page faults: this less the error code. */
export const PAGE_FAULT_BASE = -16;

export const LARGE_SHIFT = 21;
export const HUGE_SHIFT = 30;

export class PageWalker {
  private readonly registers: Registers;
  private readonly ram: GuestRam;
  private readonly words: Int32Array;
  /** Guest-physical address of the last successful translation. */
  physical = 0;
  /** Regions of 2 MiB (by number) that soft TLBs may hold pieces of a large page of; one INVLPG is for all of it. */
  readonly largeRegions: Set<number> = new Set();
  /** The same for pages of 1 GiB, of which it is known only that there are some. */
  sawHugePage = false;
  /** User pages that the supervisor has reached while AC let it: soft TLBs must forget them when it does no more. */
  readonly userPages: number[] = [];

  constructor(registers: Registers, ram: GuestRam) {
    this.registers = registers;
    this.ram = ram;
    this.words = ram.pages.words;
  }

  /** For translated code, with the rights of the current privilege level. See `SpacePort`. */
  translate = (address: number, access: 0 | 1 | 2): number => {
    const { cpl, systemFlags } = this.registers;
    return this.walk(address, access, cpl === 3, (systemFlags & RFlags.alignmentCheck) !== 0);
  };

  /**
   * Translates for reading (0), writing (1) or fetching (2). `userAccess`: a supervisor may reach user pages in spite of
   * CR4.SMAP. Answers as `SpacePort.translate` does; the physical address is in `physical`.
   */
  walk(address: number, access: 0 | 1 | 2, isUser: boolean, userAccess: boolean): number {
    const { registers, ram, words } = this;
    const { cr0, cr4, efer } = registers;
    if ((cr0 & Cr0.pg) === 0) {
      // Linear addresses outside 64-bit mode have 32 bits.
      this.physical = address < 0 ? address + TWO_32 : address % TWO_32;
      return this.answer(this.physical, access, true, 0);
    }
    const low = address | 0;
    const high = Math.floor(address / TWO_32) | 0;
    const reserved = (efer & Efer.nxe) === 0 ? RESERVED_HIGH | NO_EXECUTE : RESERVED_HIGH;
    let tableLow = registers.cr3 & -PAGE_BYTES;
    let tableHigh = Math.floor(registers.cr3 / TWO_32) & ADDRESS_HIGH;
    let rights = Entry.writable | Entry.user;
    let noExecute = 0;
    for (let level = 4; ; level--) {
      const index =
        level === 4
          ? (high >>> 7) & 511
          : level === 3
            ? ((high & 127) << 2) | (low >>> 30)
            : level === 2
              ? (low >>> 21) & 511
              : (low >>> 12) & 511;
      const tablePage = ram.pageOf(tableHigh * TWO_32 + (tableLow >>> 0));
      // Page tables outside RAM hold nothing that is present.
      if (tablePage < 0) return this.fault(0, access, isUser);
      const at = tablePage * (PAGE_BYTES / 4) + 2 * index;
      const entry = words[at];
      const entryHigh = words[at + 1];
      if ((entry & Entry.present) === 0) return this.fault(0, access, isUser);
      if ((entryHigh & reserved) !== 0) return this.fault(PageFaultBit.reserved, access, isUser);
      rights &= entry;
      noExecute |= entryHigh;
      const isLeaf = level === 1 || (entry & Entry.large) !== 0;
      if (!isLeaf) {
        if ((entry & Entry.accessed) === 0) this.update(tablePage, at, entry | Entry.accessed);
        tableLow = entry & -PAGE_BYTES;
        tableHigh = entryHigh & ADDRESS_HIGH;
        continue;
      }
      if (level === 4) return this.fault(PageFaultBit.reserved, access, isUser);
      // Of a large page's address, bit 12 is PAT; what is below its size is reserved.
      const sizeMask = level === 1 ? 0xfff : level === 2 ? 0x1fffff : 0x3fffffff;
      if ((entry & sizeMask & ~0x1fff) !== 0) return this.fault(PageFaultBit.reserved, access, isUser);
      const isUserPage = (rights & Entry.user) !== 0;
      if (isUser) {
        if (!isUserPage) return this.fault(PageFaultBit.present, access, true);
      } else if (isUserPage) {
        if (access === 2 ? (cr4 & Cr4.smep) !== 0 : (cr4 & Cr4.smap) !== 0 && !userAccess)
          return this.fault(PageFaultBit.present, access, false);
      }
      const mayWrite = (rights & Entry.writable) !== 0 || (!isUser && (cr0 & Cr0.wp) === 0);
      if ((access === 1 && !mayWrite) || (access === 2 && (noExecute & NO_EXECUTE) !== 0))
        return this.fault(PageFaultBit.present, access, isUser);
      const wanted = entry | Entry.accessed | (access === 1 ? Entry.dirty : 0);
      if (wanted !== entry) this.update(tablePage, at, wanted);
      if (level === 2) this.largeRegions.add(Math.floor(address / 2 ** LARGE_SHIFT));
      else if (level === 3) this.sawHugePage = true;
      if (!isUser && isUserPage && (cr4 & Cr4.smap) !== 0) this.userPages.push(address);
      this.physical =
        (entryHigh & ADDRESS_HIGH) * TWO_32 + (((entry & ~sizeMask & -PAGE_BYTES) | (low & sizeMask)) >>> 0);
      const global = (entry & Entry.global) !== 0 && (cr4 & Cr4.pge) !== 0 ? SPACE_GLOBAL : 0;
      return this.answer(this.physical, access, mayWrite && (wanted & Entry.dirty) !== 0, global);
    }
  }

  /** The page is entered as writable only when no store to it has to be seen any more: D is set, and it is known as dirty. */
  private answer(physical: number, access: number, writable: boolean, global: number): number {
    const { ram } = this;
    const page = ram.pageOf(physical);
    if (page < 0) return SPACE_DEVICE;
    let stays = writable;
    if (access === 1) ram.markDirty(page);
    else if (ram.logging && !ram.isDirty(page)) stays = false;
    return (page << SPACE_PAGE_SHIFT) | (stays ? SPACE_WRITABLE : 0) | global;
  }

  private update(page: number, at: number, entry: number): void {
    this.ram.noteWrite(page, (at * 4) % PAGE_BYTES, 4);
    this.words[at] = entry;
  }

  private fault(kind: number, access: number, isUser: boolean): number {
    const { cr4, efer } = this.registers;
    const present = kind === 0 ? 0 : PageFaultBit.present;
    const fetch = access === 2 && ((cr4 & Cr4.smep) !== 0 || (efer & Efer.nxe) !== 0) ? PageFaultBit.fetch : 0;
    const user = isUser ? PageFaultBit.user : 0;
    return PAGE_FAULT_BASE - (kind | present | (access === 1 ? PageFaultBit.write : 0) | user | fetch);
  }
}
