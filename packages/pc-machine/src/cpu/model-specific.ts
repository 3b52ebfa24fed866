/**
 * Model-specific registers: RDMSR and WRMSR by register number (Intel SDM vol. 4). What belongs to other parts of the
 * machine (local APIC, paravirtual clock) is asked of these.
 */
import { Efer, isCanonical, type Registers, SegmentIndex } from "./registers.ts";

/** A part of the machine with registers of its own. Undefined, or false, where there is none such: #GP. */
export interface MsrOwner {
  readMsr(index: number): bigint | undefined;
  writeMsr(index: number, value: bigint): boolean;
}

/** The time-stamp counter as MSRs see it. */
export interface WritableTimeStamps {
  read(): bigint;
  write(value: bigint): void;
}

export const Msr = {
  timeStamp: 0x10,
  apicBase: 0x1b,
  featureControl: 0x3a,
  tscAdjust: 0x3b,
  microcode: 0x8b,
  mtrrCapabilities: 0xfe,
  sysenterCs: 0x174,
  sysenterEsp: 0x175,
  sysenterEip: 0x176,
  machineCheckCapabilities: 0x179,
  machineCheckStatus: 0x17a,
  miscEnable: 0x1a0,
  mtrrPhysicalFirst: 0x200,
  mtrrPhysicalLast: 0x20f,
  mtrrFix64k: 0x250,
  mtrrFix16k: 0x258,
  mtrrFix4kFirst: 0x268,
  mtrrFix4kLast: 0x26f,
  pat: 0x277,
  mtrrDefault: 0x2ff,
  efer: 0xc000_0080,
  star: 0xc000_0081,
  lstar: 0xc000_0082,
  cstar: 0xc000_0083,
  syscallMask: 0xc000_0084,
  fsBase: 0xc000_0100,
  gsBase: 0xc000_0101,
  kernelGsBase: 0xc000_0102,
  tscAux: 0xc000_0103,
} as const;

/** Variable ranges of the memory-type registers; fixed ranges; write-combining. */
const MTRR_CAPABILITIES = 8n | (1n << 8n) | (1n << 10n);
const PAT_RESET = 0x0007_0406_0007_0406n;
/** Fast strings; no performance monitoring, no BTS or PEBS. */
const MISC_ENABLE = 1n | (1n << 11n) | (1n << 12n);
const EFER_WRITABLE: number = Efer.sce | Efer.lme | Efer.nxe;

export interface MsrSurroundings {
  readonly timeStamps: WritableTimeStamps;
  readonly owners: readonly MsrOwner[];
  /** EFER or the segment bases changed what translations depend on. */
  modeChanged(): void;
}

export class ModelSpecificRegisters {
  private readonly registers: Registers;
  private readonly around: MsrSurroundings;
  /** Registers that only remember: memory types, which nothing here is cached by, and IA32_PAT. */
  private readonly remembered: Map<number, bigint> = new Map();

  constructor(registers: Registers, around: MsrSurroundings) {
    this.registers = registers;
    this.around = around;
    this.reset();
  }

  reset(): void {
    const { remembered } = this;
    remembered.clear();
    remembered.set(Msr.pat, PAT_RESET);
    remembered.set(Msr.mtrrDefault, 0n);
    remembered.set(Msr.mtrrFix64k, 0n);
    remembered.set(Msr.tscAdjust, 0n);
    remembered.set(Msr.microcode, 0n);
    remembered.set(Msr.miscEnable, MISC_ENABLE);
    for (let index = Msr.mtrrFix16k; index <= Msr.mtrrFix16k + 1; index++) remembered.set(index, 0n);
    for (let index: number = Msr.mtrrFix4kFirst; index <= Msr.mtrrFix4kLast; index++) remembered.set(index, 0n);
    for (let index: number = Msr.mtrrPhysicalFirst; index <= Msr.mtrrPhysicalLast; index++) remembered.set(index, 0n);
  }

  entries(): readonly (readonly [number, bigint])[] {
    return [...this.remembered];
  }
  restore(entries: Iterable<readonly [number, bigint]>): void {
    for (const [index, value] of entries) if (this.remembered.has(index)) this.remembered.set(index, value);
  }

  read(index: number): bigint | undefined {
    const { registers } = this;
    switch (index) {
      case Msr.timeStamp:
        return this.around.timeStamps.read();
      case Msr.mtrrCapabilities:
        return MTRR_CAPABILITIES;
      case Msr.featureControl:
        return 1n;
      case Msr.machineCheckCapabilities:
      case Msr.machineCheckStatus:
        return 0n;
      case Msr.sysenterCs:
        return BigInt(registers.sysenterCs);
      case Msr.sysenterEsp:
        return unsigned(registers.sysenterEsp);
      case Msr.sysenterEip:
        return unsigned(registers.sysenterEip);
      case Msr.efer:
        return BigInt(registers.efer);
      case Msr.star:
        return (BigInt(registers.starHigh >>> 0) << 32n) | BigInt(registers.starLow >>> 0);
      case Msr.lstar:
        return unsigned(registers.lstar);
      case Msr.cstar:
        return unsigned(registers.cstar);
      case Msr.syscallMask:
        return BigInt(registers.syscallMask >>> 0);
      case Msr.fsBase:
        return unsigned(registers.base(SegmentIndex.fs));
      case Msr.gsBase:
        return unsigned(registers.base(SegmentIndex.gs));
      case Msr.kernelGsBase:
        return unsigned(registers.kernelGsBase);
      case Msr.tscAux:
        return BigInt(registers.tscAux >>> 0);
    }
    const known = this.remembered.get(index);
    if (known !== undefined) return known;
    for (const owner of this.around.owners) {
      const value = owner.readMsr(index);
      if (value !== undefined) return value;
    }
    return undefined;
  }

  /** False where WRMSR raises #GP. */
  write(index: number, value: bigint): boolean {
    const { registers } = this;
    const low = Number(BigInt.asIntN(32, value));
    switch (index) {
      case Msr.timeStamp:
        this.around.timeStamps.write(value);
        return true;
      case Msr.machineCheckStatus:
        return value === 0n;
      case Msr.sysenterCs:
        registers.sysenterCs = low >>> 0;
        return true;
      case Msr.efer:
        return this.writeEfer(value);
      case Msr.star:
        registers.starLow = low;
        registers.starHigh = Number(BigInt.asIntN(32, value >> 32n));
        return true;
      case Msr.syscallMask:
        registers.syscallMask = low;
        return true;
      case Msr.tscAux:
        if (value >= 1n << 32n) return false;
        registers.tscAux = low;
        return true;
      case Msr.tscAdjust: {
        // The counter moves by as much as the adjustment does.
        const moved = value - this.remembered.get(Msr.tscAdjust)!;
        this.remembered.set(Msr.tscAdjust, value);
        this.around.timeStamps.write(BigInt.asUintN(64, this.around.timeStamps.read() + moved));
        return true;
      }
    }
    const address = Number(BigInt.asIntN(64, value));
    switch (index) {
      case Msr.sysenterEsp:
      case Msr.sysenterEip:
      case Msr.lstar:
      case Msr.cstar:
      case Msr.fsBase:
      case Msr.gsBase:
      case Msr.kernelGsBase:
        if (!isCanonical(address)) return false;
        this.setAddress(index, address);
        return true;
    }
    if (this.remembered.has(index)) {
      this.remembered.set(index, value);
      return true;
    }
    return this.around.owners.some((owner) => owner.writeMsr(index, value));
  }

  private setAddress(index: number, address: number): void {
    const { registers } = this;
    if (index === Msr.fsBase) registers.setBase(SegmentIndex.fs, address);
    else if (index === Msr.gsBase) registers.setBase(SegmentIndex.gs, address);
    else if (index === Msr.kernelGsBase) registers.kernelGsBase = address;
    else if (index === Msr.lstar) registers.lstar = address;
    else if (index === Msr.cstar) registers.cstar = address;
    else if (index === Msr.sysenterEsp) registers.sysenterEsp = address;
    else registers.sysenterEip = address;
  }

  private writeEfer(value: bigint): boolean {
    const { registers } = this;
    const wanted = Number(BigInt.asUintN(32, value));
    if (value >= 1n << 32n || (wanted & ~(EFER_WRITABLE | Efer.lma)) !== 0) return false;
    const isPaging = registers.cr0 < 0;
    // Long mode is switched on and off with paging off only.
    if (isPaging && ((wanted ^ registers.efer) & Efer.lme) !== 0) return false;
    registers.efer = (wanted & EFER_WRITABLE) | (registers.efer & Efer.lma);
    this.around.modeChanged();
    return true;
  }
}

/** A signed address as the 64 bits of its register. */
function unsigned(address: number): bigint {
  return BigInt.asUintN(64, BigInt(address));
}
