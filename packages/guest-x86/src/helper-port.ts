/** What the helpers of translated code need, and what they look like from there. */

import type { CpuidLeaf } from "./cpuid.ts";

/** What helpers need of the machine around them. */
export interface HelperPort {
  /** The WebAssembly memory that holds context blocks and guest memory, as it is now. */
  readonly buffer: ArrayBufferLike;
  /**
   * Translates the `length` bytes at a guest-virtual address, which do not cross a page, for reading or writing.
   * @returns their byte offset in `buffer`, or 0 where ordinary accesses have to do it (faults, devices, guarded code)
   */
  hostRange(cpu: number, addressLow: number, addressHigh: number, length: number, write: boolean): number;
  /** The time-stamp counter, an integer below 2 ** 53. */
  timestamp(cpu: number): number;
  /** 32 random bits. */
  random(cpu: number): number;
  /** The base a segment register gets by loading `selector`, or -1 where that raises #GP(selector). Absent: flat. */
  loadSegment?(cpu: number, segment: number, selector: number): number;
  /** Whether an interrupt waits for the interrupt flag. Absent: never. */
  interruptWaits?(cpu: number): boolean;
  /** I/O of 1, 2 or 4 bytes, of a supervisor's code in a machine. Absent: nobody answers. */
  readPort?(cpu: number, port: number, bytes: number): number;
  writePort?(cpu: number, port: number, bytes: number, value: number): void;
  /** The supervisor's right to reach user pages has ended (AC is clear). Absent: nobody minds. */
  userAccessEnds?(cpu: number): void;
  /**
   * Serves a leaf of CPUID that is a call: it finds and leaves registers in the context block. False: it is a leaf like any
   * other. Absent: they all are.
   */
  call?(cpu: number, leaf: number): boolean;
  /** What CPUID says of a leaf and subleaf. Absent: everything that is translated. */
  readonly cpuid?: (leaf: number, subleaf: number) => CpuidLeaf;
}

/** A helper as imported: the context pointer, then its parameters. */
export type Helper = (cpu: number, ...args: number[]) => number;
