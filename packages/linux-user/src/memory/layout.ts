// Where things go in an address space: what Linux does with address randomisation off (personality(2),
// ADDR_NO_RANDOMIZE), so that a run is repeatable. Guest-virtual addresses.

import type { GuestMode } from "../engine-port.ts";

export interface Layout {
  readonly mode: GuestMode;
  /** First address that is never mapped (TASK_SIZE). */
  readonly limit: number;
  /** mmap_min_addr: nothing is placed below. */
  readonly minimum: number;
  /** Placement goes down from here (mmap_base). */
  readonly mmapBase: number;
  readonly stackTop: number;
  /** Where a position-independent program goes (ELF_ET_DYN_BASE). */
  readonly programBase: number;
}

export const LAYOUT_X86_64: Layout = {
  mode: "x86-64",
  limit: 0x7fff_ffff_f000,
  minimum: 0x1_0000,
  mmapBase: 0x7fff_f7ff_f000,
  stackTop: 0x7fff_ffff_f000,
  programBase: 0x5555_5555_4000,
};

export const LAYOUT_I386: Layout = {
  mode: "i386",
  limit: 0xffff_e000,
  minimum: 0x1_0000,
  mmapBase: 0xf7ff_e000,
  stackTop: 0xffff_e000,
  programBase: 0x5655_5000,
};
