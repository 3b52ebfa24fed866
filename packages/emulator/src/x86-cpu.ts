/**
 * The registers of one guest thread, as the kernel sees them.
 *
 * They live in a block laid out like a context block: in the process's context while the thread is the one that runs
 * there, in a block of the thread's own otherwise. Switching threads copies the block.
 */
import { Header } from "@doppel/dbt-core";
import {
  ExtendedState,
  FXSAVE_BYTES,
  modeForMxcsr,
  ModeBit,
  Mxcsr,
  readFlags,
  RFlags,
  StateOffset,
  USER_SYSTEM_FLAGS,
  writeFlags,
} from "@doppel/guest-x86";
import type { GuestCpu, GuestMode } from "@doppel/linux-user";

const BLOCK_BYTES = 4096;
const TWO_32 = 2 ** 32;
const SEGMENTS = 6;
const FS = 4;
const GS = 5;
/** The selectors Linux gives user programs (arch/x86/include/asm/segment.h). */
const USER_CODE_64 = 0x33;
const USER_CODE_32 = 0x23;
const USER_DATA = 0x2b;
const TLS_FIRST = 12;
/** x87 control word after FNINIT. */
const FCW_RESET = 0x37f;
const SETTABLE_FLAGS: number = 0xcd5 | USER_SYSTEM_FLAGS | RFlags.direction;

export class X86Cpu implements GuestCpu {
  readonly extendedStateBytes: number = FXSAVE_BYTES;
  readonly extendedFeatures: number = 3;
  /** Where the registers are now. */
  private view: DataView;
  private base = 0;
  private extended: ExtendedState;
  private readonly own: ArrayBuffer = new ArrayBuffer(BLOCK_BYTES);
  private readonly ownView: DataView = new DataView(this.own);
  private readonly ownExtended: ExtendedState = new ExtendedState(this.own);
  private long = true;
  private readonly tls: (number | null)[] = [null, null, null];

  constructor(mode: GuestMode) {
    this.view = this.ownView;
    this.extended = this.ownExtended;
    this.reset(mode);
  }

  /** The translation mode this thread's code runs in now. */
  get mode(): number {
    const exact = modeForMxcsr(this.view.getInt32(this.base + StateOffset.mxcsr, true));
    return (this.long ? ModeBit.long : 0) | exact;
  }
  get isLong(): boolean {
    return this.long;
  }

  /** Moves the registers into the context block at `pointer` of `memory`. */
  enter(memory: DataView, bytes: Uint8Array, pointer: number, extended: ExtendedState): void {
    bytes.set(new Uint8Array(this.own, Header.instructionPointer, 8), pointer + Header.instructionPointer);
    bytes.set(
      new Uint8Array(this.own, Header.guestState, BLOCK_BYTES - Header.guestState),
      pointer + Header.guestState,
    );
    this.view = memory;
    this.base = pointer;
    this.extended = extended;
  }

  /** Moves them back into the thread's own block. */
  leave(bytes: Uint8Array): void {
    const own = new Uint8Array(this.own);
    own.set(
      bytes.subarray(this.base + Header.instructionPointer, this.base + Header.instructionPointer + 8),
      Header.instructionPointer,
    );
    own.set(bytes.subarray(this.base + Header.guestState, this.base + BLOCK_BYTES), Header.guestState);
    this.view = this.ownView;
    this.base = 0;
    this.extended = this.ownExtended;
  }

  getLo(register: number): number {
    return this.view.getInt32(this.base + StateOffset.gpr + 8 * register, true);
  }
  getHi(register: number): number {
    return this.view.getInt32(this.base + StateOffset.gpr + 8 * register + 4, true);
  }
  setRegister(register: number, lo: number, hi: number): void {
    this.view.setInt32(this.base + StateOffset.gpr + 8 * register, lo, true);
    this.view.setInt32(this.base + StateOffset.gpr + 8 * register + 4, hi, true);
  }

  private address(offset: number): number {
    return this.view.getUint32(this.base + offset + 4, true) * TWO_32 + this.view.getUint32(this.base + offset, true);
  }
  private setAddress(offset: number, value: number): void {
    this.view.setUint32(this.base + offset, value % TWO_32, true);
    this.view.setUint32(this.base + offset + 4, Math.floor(value / TWO_32), true);
  }

  get rip(): number {
    return this.address(Header.instructionPointer);
  }
  set rip(value: number) {
    this.setAddress(Header.instructionPointer, value);
  }

  get flags(): number {
    // Interrupts are always enabled for a user program, and it sees that.
    return readFlags(this.view, this.base) | RFlags.interrupt;
  }
  set flags(value: number) {
    const kept = readFlags(this.view, this.base) & ~SETTABLE_FLAGS;
    writeFlags(this.view, this.base, (value & SETTABLE_FLAGS) | kept);
  }

  get fsBase(): number {
    return this.address(StateOffset.segmentBase + 8 * FS);
  }
  set fsBase(value: number) {
    this.setAddress(StateOffset.segmentBase + 8 * FS, value);
  }
  get gsBase(): number {
    return this.address(StateOffset.segmentBase + 8 * GS);
  }
  set gsBase(value: number) {
    this.setAddress(StateOffset.segmentBase + 8 * GS, value);
  }

  getSegment(segment: number): number {
    return this.view.getUint16(this.base + StateOffset.segmentSelector + 2 * segment, true);
  }
  setSegment(segment: number, selector: number): void {
    this.view.setUint16(this.base + StateOffset.segmentSelector + 2 * segment, selector, true);
    const base = this.baseOf(selector);
    if (base >= 0) this.setAddress(StateOffset.segmentBase + 8 * segment, base);
  }

  /** The base a selector stands for, or -1 when there is no such descriptor. */
  baseOf(selector: number): number {
    if ((selector & ~3) === 0) return 0;
    const index = selector >> 3;
    if (index >= TLS_FIRST && index < TLS_FIRST + 3) return this.tls[index - TLS_FIRST] ?? -1;
    return selector === USER_DATA || selector === USER_CODE_32 || selector === USER_CODE_64 ? 0 : -1;
  }

  setTlsDescriptor(entry: number, base: number | null): void {
    this.tls[entry - TLS_FIRST] = base;
    for (let segment = 0; segment < SEGMENTS; segment++) {
      if (this.getSegment(segment) >> 3 === entry && base !== null)
        this.setAddress(StateOffset.segmentBase + 8 * segment, base);
    }
  }

  saveExtendedState(into: Uint8Array): void {
    this.extended.save(this.base, into);
  }
  loadExtendedState(from: Uint8Array): void {
    this.extended.load(this.base, from);
  }

  copyFrom(other: GuestCpu): void {
    if (!(other instanceof X86Cpu)) throw new TypeError("registers can be copied between x86 threads only");
    const from = new Uint8Array(other.view.buffer, other.base, BLOCK_BYTES);
    const to = new Uint8Array(this.view.buffer, this.base, BLOCK_BYTES);
    to.set(from.subarray(Header.instructionPointer, Header.instructionPointer + 8), Header.instructionPointer);
    to.set(from.subarray(Header.guestState), Header.guestState);
    this.long = other.long;
    for (let index = 0; index < this.tls.length; index++) this.tls[index] = other.tls[index]!;
  }

  reset(mode: GuestMode): void {
    this.long = mode === "x86-64";
    new Uint8Array(this.view.buffer, this.base + Header.guestState, BLOCK_BYTES - Header.guestState).fill(0);
    this.rip = 0;
    writeFlags(this.view, this.base, RFlags.fixed);
    this.view.setInt32(this.base + StateOffset.mxcsr, Mxcsr.saturated, true);
    this.view.setUint16(this.base + StateOffset.fcw, FCW_RESET, true);
    new Uint8Array(this.view.buffer, this.base + StateOffset.ftag, 8).fill(1);
    this.tls.fill(null);
    const data = this.long ? 0 : USER_DATA;
    const selectors = [data, this.long ? USER_CODE_64 : USER_CODE_32, USER_DATA, data, 0, 0];
    selectors.forEach((selector, segment) => this.setSegment(segment, selector));
  }
}
