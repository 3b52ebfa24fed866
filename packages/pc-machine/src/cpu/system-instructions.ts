/**
 * Privileged instructions, far transfers and system calls, carried out one at a time on the architectural state
 * (Intel SDM vol. 2). Translated code leaves for them; the instruction is decoded here once more.
 */
import { type Instruction, isX87, Mnemonic, OperandKind, RFlags, usesFloatUnit } from "@doppel/guest-x86";
import type { BusAccess, ProcessorInterrupts } from "../ports.ts";
import type { EventDelivery } from "./delivery.ts";
import { deviceNotAvailable, generalProtection, invalidOpcode } from "./fault.ts";
import type { LinearMemory } from "./linear-memory.ts";
import type { ModelSpecificRegisters } from "./model-specific.ts";
import type { Operands } from "./operands.ts";
import { Cr0, Cr4, DescriptorBit, Efer, isCanonical, type Registers, SegmentIndex } from "./registers.ts";
import { FLAT_CODE_32, FLAT_CODE_64, FLAT_DATA, FLAT_LIMIT, isNull, type Segmentation } from "./segments.ts";

const RAX = 0;
const RCX = 1;
const RDX = 2;
const RSP = 4;
const RSI = 6;
const RDI = 7;
const R11 = 11;
const TWO_32 = 2 ** 32;
const CR0_KNOWN = 0xe005003f;
const CR4_SUPPORTED: number =
  Cr4.tsd | Cr4.de | Cr4.pse | Cr4.pae | Cr4.mce | Cr4.pge | Cr4.pce | Cr4.osfxsr | Cr4.osxmmexcpt | Cr4.fsgsbase |
  Cr4.pcide | Cr4.smep | Cr4.smap; // prettier-ignore
/** Bits of CR0 and CR4 that translations depend on. */
const CR0_PAGING: number = Cr0.pg | Cr0.wp | Cr0.pe;
const CR4_PAGING: number = Cr4.pae | Cr4.pge | Cr4.pse | Cr4.smep | Cr4.smap | Cr4.pcide;
/** Process-context identifiers are the lowest 12 bits of CR3. */
const PCIDS = 4096;
const PORT_DIRECTION = 0x400;

/** What instructions need of the processor around them. */
export interface ProcessorCore {
  readonly registers: Registers;
  readonly memory: LinearMemory;
  readonly segments: Segmentation;
  readonly operands: Operands;
  readonly delivery: EventDelivery;
  readonly msrs: ModelSpecificRegisters;
  readonly bus: BusAccess;
  readonly interrupts: ProcessorInterrupts;
  /** Of translations: all; those of one address space; those of the page at an address. */
  flushAll(): void;
  flushLocal(): void;
  flushPage(address: number): void;
  /** CS, privilege or floating-point mode changed. */
  modeChanged(): void;
  /** The instruction after this one runs before any interrupt is taken (MOV SS, POP SS). */
  shadowInterrupts(): void;
}

/** Carries the instruction at `rip` out; RIP stands behind it already, and a far transfer moves it on. */
type Execute = (core: ProcessorCore, instruction: Instruction, rip: number) => void;

function requireSupervisor({ registers }: ProcessorCore): void {
  if (registers.cpl !== 0) throw generalProtection();
}

/** Only ring 0 may: what the decoder's table calls privileged never comes here from elsewhere, but costs nothing to check. */
function supervisor(execute: Execute): Execute {
  return (core, instruction, rip) => {
    requireSupervisor(core);
    execute(core, instruction, rip);
  };
}

const nothing: Execute = () => {};

// Control and debug registers.

function readControl({ registers, interrupts }: ProcessorCore, register: number): [number, number] {
  switch (register) {
    case 0:
      return [registers.cr0, 0];
    case 2:
      return [registers.cr2Low, registers.cr2High];
    case 3:
      return [registers.cr3 | 0, Math.floor(registers.cr3 / TWO_32)];
    case 4:
      return [registers.cr4, 0];
    default:
      return [interrupts.taskPriority, 0];
  }
}

function writeControl(core: ProcessorCore, register: number, low: number, high: number): void {
  const { registers } = core;
  switch (register) {
    case 0:
      if (high !== 0) throw generalProtection();
      writeCr0(core, low);
      break;
    case 2:
      registers.cr2Low = low;
      registers.cr2High = high;
      break;
    case 3:
      writeCr3(core, low, high);
      break;
    case 4:
      if (high !== 0 || (low & ~CR4_SUPPORTED) !== 0) throw generalProtection();
      if ((low & ~registers.cr4 & Cr4.pcide) !== 0) {
        if ((registers.efer & Efer.lma) === 0 || registers.cr3 % PCIDS !== 0) throw generalProtection();
      }
      if ((registers.efer & Efer.lma) !== 0 && (low & Cr4.pae) === 0) throw generalProtection();
      if (((registers.cr4 ^ low) & CR4_PAGING) !== 0) core.flushAll();
      registers.cr4 = low;
      break;
    default:
      if (high !== 0 || (low & ~15) !== 0) throw generalProtection();
      core.interrupts.taskPriority = low;
  }
}

/**
 * With CR4.PCIDE, bit 63 says that what is cached under the new identifier may stay, and is not kept (SDM vol. 3, 4.10.4.1).
 * Soft TLBs have no identifiers: all but global entries go at each load, as they always may.
 */
function writeCr3(core: ProcessorCore, low: number, high: number): void {
  const { registers } = core;
  const address = (registers.cr4 & Cr4.pcide) === 0 ? high : high & 0x7fff_ffff;
  if ((address & ~0xff) !== 0) throw generalProtection();
  registers.cr3 = address * TWO_32 + (low >>> 0);
  core.flushLocal();
}

function writeCr0(core: ProcessorCore, value: number): void {
  const { registers } = core;
  const wanted = (value & CR0_KNOWN) | Cr0.et;
  if ((wanted & Cr0.pg) !== 0 && (wanted & Cr0.pe) === 0) throw generalProtection();
  if ((wanted & Cr0.pg) === 0 && (registers.cr4 & Cr4.pcide) !== 0) throw generalProtection();
  const changed = registers.cr0 ^ wanted;
  if ((changed & Cr0.pg) !== 0) {
    const isOn = (wanted & Cr0.pg) !== 0;
    if ((registers.efer & Efer.lme) !== 0) {
      if (isOn && (registers.cr4 & Cr4.pae) === 0) throw generalProtection();
      registers.efer = isOn ? registers.efer | Efer.lma : registers.efer & ~Efer.lma;
      core.modeChanged();
    }
  }
  registers.cr0 = wanted;
  if ((changed & CR0_PAGING) !== 0) core.flushAll();
  if ((changed & (Cr0.ts | Cr0.em)) !== 0) core.modeChanged();
}

const moveSystemRegister: Execute = (core, instruction, rip) => {
  const { o0, o1 } = instruction;
  const { registers, operands } = core;
  if (o0.kind === OperandKind.segment) {
    operands.read(instruction, o1, rip, 16);
    core.segments.load(o0.register, operands.low & 0xffff);
    core.modeChanged();
    if (o0.register === SegmentIndex.ss) core.shadowInterrupts();
    return;
  }
  requireSupervisor(core);
  if (o1.kind === OperandKind.control) {
    const [low, high] = readControl(core, o1.register);
    operands.writeRegister(o0.register, o0.width, low, high);
  } else if (o0.kind === OperandKind.control) {
    const high = o1.width === 64 ? registers.high(o1.register) : 0;
    writeControl(core, o0.register, registers.low(o1.register), high);
  } else if (o1.kind === OperandKind.debug) {
    const value = registers.debug[debugRegister(o1.register)];
    operands.writeRegister(
      o0.register,
      o0.width,
      Number(BigInt.asIntN(32, value)),
      Number(BigInt.asIntN(32, value >> 32n)),
    );
  } else {
    const value = (BigInt(registers.high(o1.register) >>> 0) << 32n) | BigInt(registers.low(o1.register) >>> 0);
    const which = debugRegister(o0.register);
    if (which >= 6 && value >= 1n << 32n) throw generalProtection();
    registers.debug[which] = which === 6 ? value | 0xffff0ff0n : which === 7 ? value | 0x400n : value;
  }
};

/** DR4 and DR5 are DR6 and DR7 unless CR4.DE says otherwise; Linux sets neither. */
function debugRegister(register: number): number {
  return register === 4 || register === 5 ? register + 2 : register;
}

const clts: Execute = (core) => {
  core.registers.cr0 &= ~Cr0.ts;
  core.modeChanged();
};

/** An x87, MMX or SSE instruction, which comes here with CR0.TS or CR0.EM set only (SDM vol. 3, 2.5 and table 9-3). */
const refuseFloat: Execute = ({ registers }, { mnemonic }) => {
  const { cr0 } = registers;
  if (mnemonic === Mnemonic.fwait) {
    if ((cr0 & Cr0.mp) === 0 || (cr0 & Cr0.ts) === 0) return;
  } else if ((cr0 & Cr0.em) !== 0 && !isX87(mnemonic) && !isImage(mnemonic)) {
    throw invalidOpcode();
  }
  throw deviceNotAvailable();
};

function isImage(mnemonic: number): boolean {
  const { fxsave, fxsave64, fxrstor, fxrstor64 } = Mnemonic;
  return mnemonic === fxsave || mnemonic === fxsave64 || mnemonic === fxrstor || mnemonic === fxrstor64;
}

const lmsw: Execute = (core, instruction, rip) => {
  core.operands.read(instruction, instruction.o0, rip, 16);
  // PE can be set, not cleared.
  writeCr0(core, (core.registers.cr0 & ~0xe) | (core.operands.low & 0xf));
};

const smsw: Execute = (core, instruction, rip) => {
  core.operands.write(instruction, instruction.o0, rip, core.registers.cr0, 0);
};

// Interrupt flag and privileges.

/** CLI and STI where IOPL decides: outside ring 0. */
function setInterruptFlag(value: number): Execute {
  return ({ registers }) => {
    if (registers.cpl > (registers.systemFlags & RFlags.ioPrivilege) >>> 12) throw generalProtection();
    registers.systemFlags = (registers.systemFlags & ~RFlags.interrupt) | value;
  };
}

function setUserAccess(value: number): Execute {
  return (core) => {
    const { registers } = core;
    if (registers.cpl !== 0) throw invalidOpcode();
    registers.systemFlags = (registers.systemFlags & ~RFlags.alignmentCheck) | value;
  };
}

const swapgs: Execute = ({ registers }) => {
  const base = registers.base(SegmentIndex.gs);
  registers.setBase(SegmentIndex.gs, registers.kernelGsBase);
  registers.kernelGsBase = base;
};

// Translations.

const invlpg: Execute = (core, instruction, rip) => {
  const address = core.operands.address(instruction, rip);
  if (isCanonical(address)) core.flushPage(address);
};

// Model-specific registers.

const rdmsr: Execute = ({ registers, msrs }) => {
  const value = msrs.read(registers.low(RCX) >>> 0);
  if (value === undefined) throw generalProtection();
  registers.set(RAX, Number(BigInt.asIntN(32, value)), 0);
  registers.set(RDX, Number(BigInt.asIntN(32, value >> 32n)), 0);
};

const wrmsr: Execute = ({ registers, msrs }) => {
  const value = (BigInt(registers.low(RDX) >>> 0) << 32n) | BigInt(registers.low(RAX) >>> 0);
  if (!msrs.write(registers.low(RCX) >>> 0, value)) throw generalProtection();
};

// Descriptor tables.

function loadTable(register: "gdtr" | "idtr"): Execute {
  return ({ registers, operands, memory }, instruction, rip) => {
    const address = operands.address(instruction, rip);
    const { long } = registers;
    memory.read(address, long ? 10 : 6, false);
    const { scratch } = memory;
    const limit = scratch.getUint16(0, true);
    const base = long ? scratch.getInt32(6, true) * TWO_32 + scratch.getUint32(2, true) : scratch.getUint32(2, true);
    if (!isCanonical(base)) throw generalProtection();
    registers[register].base = base;
    registers[register].limit = limit;
  };
}

function storeTable(register: "gdtr" | "idtr"): Execute {
  return ({ registers, operands, memory }, instruction, rip) => {
    const address = operands.address(instruction, rip);
    const { base, limit } = registers[register];
    memory.scratch.setUint16(0, limit, true);
    memory.scratch.setInt32(2, base | 0, true);
    memory.scratch.setInt32(6, Math.floor(base / TWO_32), true);
    memory.write(address, registers.long ? 10 : 6, registers.cpl === 3);
  };
}

function loadSystemSegment(isTask: boolean): Execute {
  return (core, instruction, rip) => {
    core.operands.read(instruction, instruction.o0, rip, 16);
    core.segments.loadSystem(isTask ? core.registers.tr : core.registers.ldtr, core.operands.low & 0xffff, isTask);
  };
}

function storeSystemSegment(register: "tr" | "ldtr"): Execute {
  return (core, instruction, rip) => {
    core.operands.write(instruction, instruction.o0, rip, core.registers[register].selector, 0);
  };
}

function setZeroFlag({ registers }: ProcessorCore, isSet: boolean): void {
  registers.flags = isSet ? registers.flags | RFlags.zero : registers.flags & ~RFlags.zero;
}

/** System segments that LAR and LSL know in 64-bit mode: LDT, available and busy TSS, call gate (LAR only). */
const LAR_TYPES = 0x1a04;
const LSL_TYPES = 0x0a04;

const lar: Execute = (core, instruction, rip) => {
  const { operands, segments } = core;
  operands.read(instruction, instruction.o1, rip, 16);
  const isVisible = segments.isVisible(operands.low & 0xffff) && isKnown(segments.high, LAR_TYPES);
  if (isVisible) operands.writeRegister(instruction.o0.register, instruction.o0.width, segments.high & 0x00ffff00, 0);
  setZeroFlag(core, isVisible);
};

const lsl: Execute = (core, instruction, rip) => {
  const { operands, segments } = core;
  operands.read(instruction, instruction.o1, rip, 16);
  const isVisible = segments.isVisible(operands.low & 0xffff) && isKnown(segments.high, LSL_TYPES);
  if (isVisible) operands.writeRegister(instruction.o0.register, instruction.o0.width, segments.limit | 0, 0);
  setZeroFlag(core, isVisible);
};

function isKnown(high: number, systemTypes: number): boolean {
  return (high & DescriptorBit.segment) !== 0 || ((systemTypes >>> ((high >>> 8) & 15)) & 1) !== 0;
}

/** VERR and VERW: whether a code or data segment may be read, or written. */
function verify(isWrite: boolean): Execute {
  return (core, instruction, rip) => {
    const { operands, segments } = core;
    operands.read(instruction, instruction.o0, rip, 16);
    let may = segments.isVisible(operands.low & 0xffff) && (segments.high & DescriptorBit.segment) !== 0;
    const isCode = (segments.high & DescriptorBit.code) !== 0;
    const bit = (segments.high & DescriptorBit.readWrite) !== 0;
    if (may) may = isWrite ? !isCode && bit : !isCode || bit;
    setZeroFlag(core, may);
  };
}

const popSegment: Execute = (core, instruction) => {
  const bytes = instruction.operandWidth / 8;
  core.operands.peek(bytes);
  core.segments.load(instruction.o0.register, core.operands.low & 0xffff);
  core.operands.moveStack(bytes);
  core.modeChanged();
  if (instruction.o0.register === SegmentIndex.ss) core.shadowInterrupts();
};

/** LSS, LDS and relatives: an offset and, behind it, a selector. */
function loadFarPointer(segment: number): Execute {
  return (core, instruction, rip) => {
    const { operands, memory, registers } = core;
    const width = instruction.o0.width;
    const address = operands.address(instruction, rip);
    memory.read(address, width / 8 + 2, registers.cpl === 3);
    const low = width === 16 ? memory.scratch.getUint16(0, true) : memory.scratch.getInt32(0, true);
    const high = width === 64 ? memory.scratch.getInt32(4, true) : 0;
    core.segments.load(segment, memory.scratch.getUint16(width / 8, true));
    operands.writeRegister(instruction.o0.register, width, low, high);
    core.modeChanged();
  };
}

// Ports.

/** #GP unless IOPL or the permission map of the task-state segment allows the ports (SDM vol. 1, 19.5). */
function checkPorts({ registers, memory }: ProcessorCore, port: number, bytes: number): void {
  if (registers.cpl <= (registers.systemFlags & RFlags.ioPrivilege) >>> 12) return;
  const { base, limit } = registers.tr;
  if (limit < 103) throw generalProtection();
  memory.readSystem(base + 102, 2);
  const at = memory.scratch.getUint16(0, true) + (port >>> 3);
  if (at + 1 > limit) throw generalProtection();
  memory.readSystem(base + at, 2);
  const bits = memory.scratch.getUint16(0, true) >>> (port & 7);
  if ((bits & ((1 << bytes) - 1)) !== 0) throw generalProtection();
}

function portOf(core: ProcessorCore, instruction: Instruction, operand: 0 | 1): number {
  return instruction.operands[operand].kind === OperandKind.imm
    ? instruction.immediateLow & 0xff
    : core.registers.low(RDX) & 0xffff;
}

/** I/O moves at most 32 bits. */
function portBytes(width: number): number {
  return Math.min(width, 32) / 8;
}

const portIn: Execute = (core, instruction) => {
  const bytes = portBytes(instruction.o0.width);
  const port = portOf(core, instruction, 1);
  checkPorts(core, port, bytes);
  core.operands.writeRegister(RAX, bytes * 8, core.bus.readPort(port, bytes) | 0, 0);
};

const portOut: Execute = (core, instruction) => {
  const bytes = portBytes(instruction.o1.width);
  const port = portOf(core, instruction, 0);
  checkPorts(core, port, bytes);
  const value = core.registers.low(RAX);
  core.bus.writePort(port, bytes, bytes === 4 ? value >>> 0 : value & (bytes === 2 ? 0xffff : 0xff));
};

/** INS and OUTS, one item each time round: interrupts and faults come between items. */
function portString(isInput: boolean): Execute {
  return (core, instruction, rip) => {
    const { registers, memory } = core;
    const { addressWidth } = instruction;
    const mask = addressWidth === 16 ? 0xffff : -1;
    const bytes = portBytes(instruction.operandWidth);
    const port = registers.low(RDX) & 0xffff;
    checkPorts(core, port, bytes);
    const repeats = instruction.rep !== 0;
    if (repeats && (registers.low(RCX) & mask) === 0 && (addressWidth < 64 || registers.high(RCX) === 0)) return;
    const pointer = isInput ? RDI : RSI;
    const segment = isInput ? SegmentIndex.es : instruction.segment >= 0 ? instruction.segment : SegmentIndex.ds;
    const offset = addressWidth === 64 ? registers.value(pointer) : (registers.low(pointer) & mask) >>> 0;
    const based = !registers.long || segment >= SegmentIndex.fs;
    const address = offset + (based ? registers.base(segment) : 0);
    const { scratch } = memory;
    if (isInput) {
      // A page that cannot be written faults before the port is read.
      memory.read(address, bytes, registers.cpl === 3);
      memory.write(address, bytes, registers.cpl === 3);
      scratch.setInt32(0, core.bus.readPort(port, bytes), true);
      memory.write(address, bytes, registers.cpl === 3);
    } else {
      memory.read(address, bytes, registers.cpl === 3);
      const value =
        bytes === 4 ? scratch.getUint32(0, true) : bytes === 2 ? scratch.getUint16(0, true) : scratch.getUint8(0);
      core.bus.writePort(port, bytes, value);
    }
    const step = (registers.flags & PORT_DIRECTION) === 0 ? bytes : -bytes;
    advance(registers, pointer, step, addressWidth);
    if (!repeats) return;
    advance(registers, RCX, -1, addressWidth);
    registers.rip = rip;
  };
}

function advance(registers: Registers, register: number, step: number, width: number): void {
  if (width === 64) registers.setValue(register, registers.value(register) + step);
  else if (width === 32) registers.set(register, (registers.low(register) + step) | 0, 0);
  else {
    const low = registers.low(register);
    registers.set(register, (low & ~0xffff) | ((low + step) & 0xffff), registers.high(register));
  }
}

// Far transfers.

const interruptReturn: Execute = (core, instruction) => {
  core.delivery.interruptReturn(instruction.operandWidth);
  core.modeChanged();
};

/** Where a far jump or call leads: CS is loaded, and the offset returned. */
function enterFar(core: ProcessorCore, instruction: Instruction, rip: number): number {
  const { operands, memory, segments, registers } = core;
  let offset = instruction.immediateLow >>> 0;
  let selector = instruction.immediate2;
  if (instruction.o0.kind === OperandKind.mem) {
    const bytes = instruction.operandWidth / 8;
    memory.read(operands.address(instruction, rip), bytes + 2, registers.cpl === 3);
    const { scratch } = memory;
    offset = bytes === 2 ? scratch.getUint16(0, true) : scratch.getUint32(0, true);
    if (bytes === 8) offset += scratch.getInt32(4, true) * TWO_32;
    selector = scratch.getUint16(bytes, true);
  }
  segments.enterCode(selector);
  return registers.long ? offset : offset % TWO_32;
}

const farJump: Execute = (core, instruction, rip) => {
  const offset = enterFar(core, instruction, rip);
  if (!isCanonical(offset)) throw generalProtection();
  core.registers.rip = offset;
  core.modeChanged();
};

const farCall: Execute = (core, instruction, rip) => {
  const { registers, memory, operands } = core;
  const bytes = instruction.operandWidth / 8;
  const next = registers.rip;
  const selector = registers.selector(SegmentIndex.cs);
  const { long } = registers;
  const offset = enterFar(core, instruction, rip);
  const { scratch } = memory;
  const put = (at: number, value: number): void => {
    if (bytes === 2) scratch.setUint16(at, value, true);
    else scratch.setInt32(at, value | 0, true);
    if (bytes === 8) scratch.setInt32(at + 4, Math.floor(value / TWO_32), true);
  };
  put(0, next);
  put(bytes, selector);
  const stack = registers.value(RSP) - 2 * bytes;
  memory.write(long ? stack : stack >>> 0, 2 * bytes, registers.cpl === 3);
  operands.moveStack(-2 * bytes);
  registers.rip = offset;
  core.modeChanged();
};

/** RETF to the same or an outer level. */
const farReturn: Execute = (core, instruction) => {
  const { registers, operands, segments } = core;
  const bytes = instruction.operandWidth / 8;
  const extra = instruction.operandCount > 0 ? instruction.immediateLow & 0xffff : 0;
  operands.peek(bytes);
  const offset = operands.low >>> 0;
  const address = bytes === 8 ? operands.high * TWO_32 + offset : offset;
  operands.peek(bytes, bytes);
  const selector = operands.low & 0xffff;
  if (isNull(selector)) throw generalProtection();
  const level = selector & 3;
  const { cpl } = registers;
  segments.read(selector);
  segments.checkCode(selector);
  const dpl = (segments.high >>> 13) & 3;
  const isConforming = (segments.high & DescriptorBit.conforming) !== 0;
  if (level < cpl || (isConforming ? dpl > level : dpl !== level)) throw generalProtection(selector & 0xfffc);
  const { low, high } = segments;
  if (level === cpl) {
    segments.setCode(selector, level);
    operands.moveStack(2 * bytes + extra);
  } else {
    operands.peek(bytes, 2 * bytes + extra);
    const stackLow = operands.low;
    const stackHigh = operands.high;
    operands.peek(bytes, 3 * bytes + extra);
    const stackSelector = operands.low & 0xffff;
    segments.low = low;
    segments.high = high;
    segments.setCode(selector, level);
    segments.load(SegmentIndex.ss, stackSelector);
    registers.set(RSP, stackLow, bytes === 8 ? stackHigh : 0);
    segments.dropInnerSegments();
  }
  registers.rip = address;
  core.modeChanged();
};

// System calls (SDM vol. 3, 5.8.7 and 5.8.8).

function flat(registers: Registers, segment: number, selector: number, attributes: number, level: number): void {
  registers.setSegment(segment, selector, 0, FLAT_LIMIT, attributes | (level << 13));
}

/** RIP stands behind the instruction. */
export function syscall(core: ProcessorCore): void {
  const { registers } = core;
  if ((registers.efer & Efer.sce) === 0 || !registers.long) throw invalidOpcode();
  // Translated code has put the return address into RCX and the flags into R11.
  registers.rip = registers.lstar;
  registers.flags = registers.low(R11) & ~registers.syscallMask & ~RFlags.resume;
  const selector = registers.starHigh & 0xfffc;
  flat(registers, SegmentIndex.cs, selector, FLAT_CODE_64, 0);
  flat(registers, SegmentIndex.ss, selector + 8, FLAT_DATA, 0);
  registers.cpl = 0;
  core.modeChanged();
}

const sysret: Execute = (core, instruction) => {
  const { registers } = core;
  if ((registers.efer & Efer.sce) === 0) throw invalidOpcode();
  const isLong = instruction.operandWidth === 64;
  const target = registers.value(RCX);
  if (isLong && !isCanonical(target)) throw generalProtection();
  registers.rip = isLong ? target : registers.low(RCX) >>> 0;
  registers.flags = (registers.low(R11) & 0x3c7fd7 & ~RFlags.resume) | RFlags.fixed;
  const base = registers.starHigh >>> 16;
  if (isLong) flat(registers, SegmentIndex.cs, (base + 16) | 3, FLAT_CODE_64, 3);
  else flat(registers, SegmentIndex.cs, base | 3, FLAT_CODE_32, 3);
  flat(registers, SegmentIndex.ss, (base + 8) | 3, FLAT_DATA, 3);
  registers.cpl = 3;
  core.modeChanged();
};

export function sysenter(core: ProcessorCore): void {
  const { registers } = core;
  const selector = registers.sysenterCs & 0xfffc;
  if (selector === 0) throw generalProtection();
  registers.systemFlags &= ~(RFlags.interrupt | RFlags.virtual8086 | RFlags.resume);
  const isLong = (registers.efer & Efer.lma) !== 0;
  flat(registers, SegmentIndex.cs, selector, isLong ? FLAT_CODE_64 : FLAT_CODE_32, 0);
  flat(registers, SegmentIndex.ss, selector + 8, FLAT_DATA, 0);
  registers.setValue(RSP, isLong ? registers.sysenterEsp : registers.sysenterEsp >>> 0);
  registers.rip = isLong ? registers.sysenterEip : registers.sysenterEip >>> 0;
  registers.cpl = 0;
  core.modeChanged();
}

const sysexit: Execute = (core, instruction) => {
  const { registers } = core;
  const selector = registers.sysenterCs & 0xfffc;
  if (selector === 0) throw generalProtection();
  const isLong = instruction.operandWidth === 64;
  if (isLong && !(isCanonical(registers.value(RCX)) && isCanonical(registers.value(RDX)))) throw generalProtection();
  flat(registers, SegmentIndex.cs, (selector + (isLong ? 32 : 16)) | 3, isLong ? FLAT_CODE_64 : FLAT_CODE_32, 3);
  flat(registers, SegmentIndex.ss, (selector + (isLong ? 40 : 24)) | 3, FLAT_DATA, 3);
  registers.setValue(RSP, isLong ? registers.value(RCX) : registers.low(RCX) >>> 0);
  registers.rip = isLong ? registers.value(RDX) : registers.low(RDX) >>> 0;
  registers.cpl = 3;
  core.modeChanged();
};

const undefinedInstruction: Execute = () => {
  throw invalidOpcode();
};

const byMnemonic: ReadonlyMap<number, Execute> = new Map<number, Execute>([
  [Mnemonic.mov, moveSystemRegister],
  [Mnemonic.pop, popSegment],
  [Mnemonic.lds, loadFarPointer(SegmentIndex.ds)],
  [Mnemonic.les, loadFarPointer(SegmentIndex.es)],
  [Mnemonic.lss, loadFarPointer(SegmentIndex.ss)],
  [Mnemonic.lfs, loadFarPointer(SegmentIndex.fs)],
  [Mnemonic.lgs, loadFarPointer(SegmentIndex.gs)],
  [Mnemonic.clts, supervisor(clts)],
  [Mnemonic.lmsw, supervisor(lmsw)],
  [Mnemonic.smsw, smsw],
  [Mnemonic.cli, setInterruptFlag(0)],
  [Mnemonic.sti, setInterruptFlag(RFlags.interrupt)],
  [Mnemonic.clac, setUserAccess(0)],
  [Mnemonic.stac, setUserAccess(RFlags.alignmentCheck)],
  [Mnemonic.swapgs, supervisor(swapgs)],
  [Mnemonic.invlpg, supervisor(invlpg)],
  [Mnemonic.rdmsr, supervisor(rdmsr)],
  [Mnemonic.wrmsr, supervisor(wrmsr)],
  [Mnemonic.lgdt, supervisor(loadTable("gdtr"))],
  [Mnemonic.lidt, supervisor(loadTable("idtr"))],
  [Mnemonic.sgdt, storeTable("gdtr")],
  [Mnemonic.sidt, storeTable("idtr")],
  [Mnemonic.lldt, supervisor(loadSystemSegment(false))],
  [Mnemonic.ltr, supervisor(loadSystemSegment(true))],
  [Mnemonic.sldt, storeSystemSegment("ldtr")],
  [Mnemonic.str, storeSystemSegment("tr")],
  [Mnemonic.lar, lar],
  [Mnemonic.lsl, lsl],
  [Mnemonic.verr, verify(false)],
  [Mnemonic.verw, verify(true)],
  [Mnemonic.in, portIn],
  [Mnemonic.out, portOut],
  [Mnemonic.ins, portString(true)],
  [Mnemonic.outs, portString(false)],
  [Mnemonic.invd, supervisor(nothing)],
  [Mnemonic.wbinvd, supervisor(nothing)],
  // There are no counters, and no monitor, to ask (CPUID).
  [Mnemonic.rdpmc, supervisor(undefinedInstruction)],
  [Mnemonic.iret, interruptReturn],
  [Mnemonic.jmpf, farJump],
  [Mnemonic.callf, farCall],
  [Mnemonic.retf, farReturn],
  [Mnemonic.sysret, supervisor(sysret)],
  [Mnemonic.sysexit, supervisor(sysexit)],
]);

/** Carries `instruction` at `rip` out; throws ProcessorFault with the state as before it. */
export function executeSystemInstruction(core: ProcessorCore, instruction: Instruction, rip: number): void {
  const { mnemonic } = instruction;
  const execute = byMnemonic.get(mnemonic) ?? (usesFloatUnit(mnemonic) ? refuseFloat : undefinedInstruction);
  execute(core, instruction, rip);
}
