/** One case in the making: its instruction, its registers, its memory, and which of them an address has claimed already. */
import { OperandKind, registerRip, Segment } from "../src/decode/instruction.ts";
import { Encoding } from "./random-encoding.ts";
import { type Batch, ImageAt, Layout, StateAt } from "./format.ts";
import { type Random, writeExtended, writeInteger, writeVector } from "./random.ts";

const mask64 = (1n << 64n) - 1n;

interface Patch {
  readonly address: number;
  readonly bytes: Uint8Array;
}

/** Where `bytes` from `address` on lie in memory that a patch may change. */
function patchable(address: number, bytes: number): boolean {
  const inData = address >= Layout.data && address + bytes <= Layout.data + Layout.dataBytes;
  return inData || (address >= Layout.high && address + bytes <= Layout.high + Layout.pageBytes);
}

export class CaseBuilder {
  readonly random: Random;
  readonly encoding: Encoding = new Encoding();
  readonly state: Uint8Array = new Uint8Array(StateAt.end);
  readonly view: DataView = new DataView(this.state.buffer);
  mode = 64;
  codeAddress = 0;
  /** Where the instruction stands in the case's code. */
  codeOffset = 0;
  /** General registers whose value an address depends on, as a bit mask. */
  claimed = 0;
  /** Where the memory operand lies, when there is one and its address is an ordinary one. */
  target = 0;
  readonly #patches: Patch[] = [];

  constructor(random: Random) {
    this.random = random;
  }

  /** Forgets the case before; fills every register. */
  begin(mode: number, codeAddress: number): void {
    const { random, view } = this;
    this.mode = mode;
    this.codeAddress = codeAddress;
    this.claimed = 0;
    this.target = 0;
    this.#patches.length = 0;
    for (let register = 0; register < 16; register++) writeInteger(random, view, 8 * register);
    // Aliases of value: two registers alike.
    if (random.oneIn(4)) this.setGpr(random.below(16), this.gpr(random.below(16)));
    const flags = random.u32() & 0x8d5;
    view.setUint32(StateAt.flags, flags | 2 | (random.oneIn(4) ? 0x400 : 0), true);
    this.fillImage(this.view, StateAt.image);
    if (mode === 32) {
      for (let register = 0; register < 16; register++) {
        view.setInt32(8 * register + 4, 0, true);
        if (register >= 8) view.setInt32(8 * register, 0, true);
      }
      for (let i = 0; i < 128; i += 4) view.setInt32(StateAt.image + ImageAt.xmm + 128 + i, 0, true);
    }
  }

  /**
   * Gives registers that the instruction does not name or imply plain contents, for cases that are to be stored: what
   * is left to store is what matters.
   */
  plainRest(usesX87: boolean): void {
    const { view } = this;
    const { instruction } = this.encoding;
    let general = 0b111;
    let vectors = 1;
    for (let i = 0; i < instruction.operandCount; i++) {
      const { kind, register } = instruction.operands[i as 0];
      if (kind === OperandKind.gpr) general |= 1 << register;
      if (kind === OperandKind.xmm) vectors |= 1 << register;
    }
    for (let register = 0; register < 16; register++) {
      if ((general & (1 << register)) === 0) this.setGpr(register, 0x0101_0101_0101_0101n * BigInt(register));
      if ((vectors & (1 << register)) !== 0 || (this.mode === 32 && register >= 8)) continue;
      const at = StateAt.image + ImageAt.xmm + 16 * register;
      for (let i = 0; i < 16; i++) view.setUint8(at + i, register);
    }
    if (usesX87) return;
    view.setInt32(StateAt.image, 0x37f, true);
    view.setInt32(StateAt.image + ImageAt.ftw, 0, true);
    for (let i = ImageAt.st; i < ImageAt.xmm; i += 4) view.setInt32(StateAt.image + i, 0, true);
  }

  /** x87 and vector state as FXRSTOR takes it. */
  fillImage(view: DataView, at: number): void {
    const { random } = this;
    let control = 0x37f;
    if (random.oneIn(3)) {
      control = 0x40 | (random.below(4) << 10) | (random.pick([0, 2, 3, 3]) << 8) | (random.below(2) << 12) | 0x3f;
    }
    if (random.oneIn(16)) control &= ~random.below(64);
    let status = (random.below(8) << 11) | (random.below(8) << 8) | (random.below(2) << 14);
    if (random.oneIn(4)) status |= random.below(64);
    // A pending exception answers nearly every x87 instruction; let it be rare.
    if (!random.oneIn(4)) status &= ~(~control & 0x3f);
    if ((status & ~control & 0x3f) !== 0) status |= 0x8080;
    view.setUint16(at + ImageAt.fcw, control, true);
    view.setUint16(at + ImageAt.fsw, status, true);
    view.setUint16(at + ImageAt.ftw, random.oneIn(2) ? 0xff : random.below(256) | random.below(256), true);
    view.setInt32(at + ImageAt.fop, 0, true);
    for (let i = ImageAt.fip; i < ImageAt.mxcsr; i += 4) view.setInt32(at + i, 0, true);
    view.setUint32(at + ImageAt.mxcsr, this.mxcsr(), true);
    view.setInt32(at + ImageAt.mxcsrMask, 0, true);
    for (let i = 0; i < 8; i++) {
      writeExtended(random, view, at + ImageAt.st + 16 * i);
      // What an MMX instruction left.
      if (random.oneIn(4)) {
        writeInteger(random, view, at + ImageAt.st + 16 * i);
        view.setUint16(at + ImageAt.st + 16 * i + 8, 0xffff, true);
      }
      view.setUint16(at + ImageAt.st + 16 * i + 10, 0, true);
      view.setInt32(at + ImageAt.st + 16 * i + 12, 0, true);
    }
    for (let i = 0; i < 16; i++) writeVector(random, view, at + ImageAt.xmm + 16 * i);
  }

  /** A valid MXCSR: what programs start with, the processor's reset value, or any rounding, masks and flags. */
  mxcsr(): number {
    const { random } = this;
    switch (random.below(8)) {
      case 0:
      case 1:
        return 0x1f80;
      case 2:
        return 0x1f80 | random.below(64) | (random.below(4) << 13) | (random.below(2) << 15) | (random.below(2) << 6);
      case 3:
        return random.oneIn(2) ? 0x1f80 | random.below(64) : random.below(0x1_0000);
      default:
        return 0x1fbf;
    }
  }

  // General registers.

  gpr(register: number): bigint {
    return this.view.getBigUint64(8 * register, true);
  }

  setGpr(register: number, value: bigint): void {
    if (this.mode === 32) this.view.setBigUint64(8 * register, register < 8 ? value & 0xffff_ffffn : 0n, true);
    else this.view.setBigUint64(8 * register, value & mask64, true);
  }

  /** Sets a register that no address uses; with `claim`, nobody changes it afterwards. */
  offer(register: number, value: bigint | number, claim = false): void {
    if ((this.claimed & (1 << register)) !== 0) return;
    this.setGpr(register, BigInt(value));
    if (claim) this.claimed |= 1 << register;
  }

  /** Sets only the low `width` bits, for a register used with that address or operand size: the rest stays rubbish. */
  offerLow(register: number, value: bigint | number, width: number, claim = false): void {
    if (width === 64 || this.mode === 32) {
      this.offer(register, value, claim);
      return;
    }
    const mask = (1n << BigInt(width)) - 1n;
    this.offer(register, (this.gpr(register) & ~mask) | (BigInt(value) & mask), claim);
  }

  // Memory.

  /** Bytes that memory at `address` starts with, cut where no patch may go. */
  patch(address: number, bytes: Uint8Array): void {
    let from = 0;
    let to = bytes.length;
    while (from < to && !patchable(address + from, 1)) from++;
    while (to > from && !patchable(address + to - 1, 1)) to--;
    if (from < to && patchable(address + from, to - from)) {
      this.#patches.push({ address: address + from, bytes: bytes.slice(from, to) });
    }
  }

  patchInteger(address: number, value: bigint, bytes: number): void {
    const content = new Uint8Array(8);
    new DataView(content.buffer).setBigUint64(0, value & mask64, true);
    this.patch(address, content.subarray(0, bytes));
  }

  /** An address for an access of `bytes`: mostly inside a window, now and then across an edge, or nowhere. */
  chooseAddress(bytes: number, alignment: number, wide: boolean): number {
    const { random } = this;
    const edge = 1 + random.below(Math.max(1, bytes - 1));
    switch (random.below(40)) {
      case 0:
        return Layout.data + Layout.dataBytes - edge;
      case 1:
        return Layout.data - edge;
      case 2:
        return Layout.data + Layout.dataBytes - bytes;
      case 3:
        return Layout.data;
      case 4:
      case 5:
        return Layout.data + Layout.pageBytes - edge;
      case 6:
        return Layout.readOnly + alignment * random.below(200);
      case 7:
        // Not across its end: which of two faults a modifying instruction reports is not ours to know.
        return Layout.readOnly - edge;
      case 8:
        return random.pick([0, 8, 0x1200_0000, 0x6000_0000, 0x10ff_f000, 0x1100_2000]);
      case 9:
        return wide ? random.pick([2 ** 46 + 64, 0x1234_5678_8fff, 0x1234_5678_a000]) : 16;
      case 10:
      case 11:
      case 12:
        if (wide)
          return Layout.high + random.pick([0, 16 * random.below(200), random.below(3000), 4096 - bytes, 4096 - edge]);
        break;
      default:
    }
    const at = Layout.data + 64 + random.below(Layout.dataBytes - 64 - Math.min(bytes, 4096));
    return random.oneIn(4) ? at : at - (at % alignment);
  }

  /** An address with `bytes` bytes to read and write on one page. */
  insideData(bytes: number): number {
    const unaligned = this.random.oneIn(8) ? this.random.below(16) : 0;
    const offset = 16 * this.random.below((Layout.pageBytes - bytes - 16) >> 4) + unaligned;
    return Layout.data + Layout.pageBytes * this.random.below(2) + offset;
  }

  /**
   * Makes the instruction's memory operand lie at an address of `bytes` bytes: by registers, or by the displacement.
   * @returns false when the addressing form cannot reach it
   */
  aim(bytes: number, alignment = 16, whole = false): boolean {
    const { encoding, random } = this;
    const { instruction } = encoding;
    const width = instruction.addressWidth;
    if (width === 16) return true;
    const { base, index, scale } = instruction;
    const wide = width === 64 && (base >= 0 || index >= 0) && base !== registerRip;
    let target = BigInt(whole ? this.insideData(bytes) : this.chooseAddress(bytes, alignment, wide));
    if (wide && !whole && random.oneIn(60))
      target = random.pick([(1n << 47n) + 64n, (1n << 63n) + 64n, 0xffff_7fff_ffff_ffffn]);
    this.target = Number(target);
    const segment =
      instruction.segment === Segment.fs ? Layout.fsBase : instruction.segment === Segment.gs ? Layout.gsBase : 0;
    const modulus = width === 64 ? 64n : 32n;
    let want = BigInt.asUintN(Number(modulus), target - BigInt(segment));
    // An offset that runs over 4 GiB is beyond the segment's limit, which translated code does not check.
    if (this.mode === 32 && want + BigInt(bytes) > 1n << 32n) return false;
    if (whole && width === 32 && this.target < segment) return false;
    if (base === registerRip) {
      return this.#setDisplacement(want - BigInt(this.codeAddress + this.codeOffset + encoding.length));
    }
    if (base < 0 && index < 0) return this.#setDisplacement(want);
    const displacement = BigInt.asUintN(
      64,
      (BigInt(instruction.displacementHigh) << 32n) | BigInt(instruction.displacement >>> 0),
    );
    if (base < 0 || base === index) {
      // One register, times `factor`; what does not divide goes into the displacement, or moves the target.
      const factor = BigInt(base < 0 ? scale : scale + 1);
      const rest = want % factor;
      if (encoding.displacementBytes === 0) {
        this.target -= Number(rest);
        want -= rest;
      } else if (!this.#setDisplacement(rest)) {
        return false;
      }
      this.#claim(index, (want - rest * (encoding.displacementBytes === 0 ? 0n : 1n)) / factor, width);
      return true;
    }
    let rest = want - displacement;
    if (index >= 0) {
      if (random.oneIn(2)) this.offer(index, random.pick([0, 1, 2, 8, 255, -1, -16]));
      this.claimed |= 1 << index;
      rest -= this.gpr(index) * BigInt(scale);
    }
    this.#claim(base, rest, width);
    return true;
  }

  #claim(register: number, value: bigint, width: number): void {
    this.offerLow(register, BigInt.asUintN(width, value), width, true);
  }

  #setDisplacement(value: bigint): boolean {
    const { encoding } = this;
    const { displacementBytes, displacementAt } = encoding;
    const signed = BigInt.asIntN(this.mode === 64 ? 64 : 32, value);
    const view = new DataView(encoding.bytes.buffer);
    if (displacementBytes === 8) {
      view.setBigInt64(displacementAt, signed, true);
    } else {
      const bits = 8 * displacementBytes;
      // Truncated addresses need no sign.
      const fits =
        BigInt.asIntN(bits, signed) === signed || (this.encoding.instruction.addressWidth === 32 && bits === 32);
      if (!fits) return false;
      for (let i = 0; i < displacementBytes; i++) {
        encoding.bytes[displacementAt + i] = Number((BigInt.asUintN(64, signed) >> BigInt(8 * i)) & 255n);
      }
    }
    return encoding.refresh(this.mode);
  }

  /** Replaces the trailing immediate; it keeps its size. */
  setImmediate(value: number, at = 0, bytes: number = this.encoding.immediateBytes - at): void {
    const { encoding } = this;
    for (let i = 0; i < bytes; i++) {
      const shift = 8 * i;
      encoding.bytes[encoding.immediateAt + at + i] = shift < 32 ? (value >> shift) & 255 : value < 0 ? 255 : 0;
    }
    encoding.refresh(this.mode);
  }

  /** The memory operand's width in bytes, or 0 when there is none (or it accesses nothing). */
  memoryBytes(): number {
    const { instruction } = this.encoding;
    for (let i = 0; i < instruction.operandCount; i++) {
      const operand = instruction.operands[i as 0];
      if (operand.kind === OperandKind.mem) return operand.width >> 3;
    }
    return 0;
  }

  hasMemory(): boolean {
    const { instruction } = this.encoding;
    for (let i = 0; i < instruction.operandCount; i++) {
      if (instruction.operands[i as 0].kind === OperandKind.mem) return true;
    }
    return false;
  }

  /** Appends the finished case, with `code` (or the instruction alone). */
  finish(batch: Batch, code: Uint8Array = this.encoding.bytes, length: number = this.encoding.length): number {
    const index = batch.beginCase(this.mode, this.codeAddress, code, length);
    batch.bytes.set(this.state, batch.stateOffset(index));
    for (const { address, bytes } of this.#patches) {
      const at = batch.addPatch(address, bytes.length);
      batch.bytes.set(bytes, at);
    }
    return index;
  }
}
