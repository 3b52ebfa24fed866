/**
 * What an instruction needs beyond random registers for something interesting to happen: a stack, strings, a divisor that
 * does not always overflow, a branch target inside the case.
 *
 * Each runs after the memory operand's address was chosen, and must leave registers alone that an address claimed.
 */
import { type MnemonicName, OperandKind } from "../src/decode/instruction.ts";
import { Slot } from "../src/state.ts";
import type { CaseBuilder } from "./case-builder.ts";
import { ImageAt, Layout, StateAt } from "./format.ts";

/** False: this attempt is of no use. */
type Preparation = (c: CaseBuilder) => boolean | void;

const { rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi } = Slot;

/** Points `register` at memory for an access of `bytes`, as an address of `width` bits. */
function point(c: CaseBuilder, register: number, bytes: number, alignment = 8, width: number = c.mode): number {
  const address = c.chooseAddress(bytes, alignment, width === 64);
  const segment = (c.claimed & (1 << register)) === 0;
  c.offerLow(register, address, width, true);
  return segment ? address : 0;
}

const stack: Preparation = (c) => {
  point(c, rsp, c.random.oneIn(8) ? 16 : 8);
  // Below 0 lies the kernel's half, where a fault is another one.
  return c.gpr(rsp) >= 16n && c.gpr(rsp) < 1n << 47n;
};

/** Near the case's code, where INT3 ends it. */
function nearby(c: CaseBuilder): number {
  const after = c.encoding.length + 8 + c.random.below(8);
  return c.codeAddress + (c.random.oneIn(4) ? -1 - c.random.below(15) : after);
}

/** Where an indirect branch may go: mostly to INT3. */
function branchTarget(c: CaseBuilder): bigint {
  const { random } = c;
  if (!random.oneIn(10)) return BigInt(Layout.landing + 16 * random.below(8));
  const elsewhere = random.pick([0x6000_0000, Layout.data + 16, 0x7000_0ffe]);
  // Nothing non-canonical: the translator finds out at the target, the processor at the branch.
  if (c.mode === 64 && random.oneIn(3)) return 0x2345_0000_0000n;
  return BigInt(elsewhere);
}

const directBranch: Preparation = (c) => {
  const { random, encoding } = c;
  const end = c.codeAddress + encoding.length;
  const far = encoding.immediateBytes === 4 && random.oneIn(20);
  c.setImmediate((far ? random.pick([0x6000_0000, Layout.data]) : nearby(c)) - end);
  if (random.oneIn(2)) c.offerLow(rcx, random.below(3), encoding.instruction.addressWidth);
};

const indirectBranch: Preparation = (c) => {
  const { o0, operandWidth } = c.encoding.instruction;
  // Where no patch can go, the pattern would be a non-canonical target.
  if (o0.kind === OperandKind.mem && inReadOnly(c.target)) return false;
  const target = branchTarget(c);
  if (o0.kind === OperandKind.mem) c.patchInteger(c.target, target, operandWidth >> 3);
  else c.offer(o0.register, target, true);
  return true;
};

const inReadOnly = (address: number): boolean =>
  address >= Layout.readOnly - 8 && address < Layout.readOnly + Layout.pageBytes;

const call: Preparation = (c) => {
  if (c.encoding.instruction.o0.kind === OperandKind.relative) directBranch(c);
  else if (indirectBranch(c) === false) return false;
  return stack(c);
};

const returns: Preparation = (c) => {
  const address = point(c, rsp, 8);
  if (inReadOnly(address)) return false;
  if (c.encoding.immediateBytes === 2) c.setImmediate(c.random.pick([0, 4, 8, 16, 0x7ff8, 0xffff]));
  c.patchInteger(address, branchTarget(c), c.mode >> 3);
  return true;
};

/** RSI, RDI and RCX for string instructions, with runs of equal elements for those that compare. */
const strings: Preparation = (c) => {
  const { random } = c;
  const { instruction } = c.encoding;
  const width = instruction.addressWidth;
  const size = instruction.operandWidth >> 3;
  const count = random.oneIn(8) ? random.below(64) : random.below(9);
  if (instruction.rep !== 0) c.offerLow(rcx, count, width, true);
  const span = instruction.rep === 0 ? size : Math.max(1, count) * size;
  const down = (c.view.getUint32(128, true) & 0x400) !== 0;
  const segment = instruction.segment === 4 ? Layout.fsBase : instruction.segment === 5 ? Layout.gsBase : 0;
  const wide = width === 64;
  let start = c.chooseAddress(span, size, wide) + (down ? span - size : 0);
  let destination = c.chooseAddress(span, size, wide) + (down ? span - size : 0);
  // Overlapping moves repeat a pattern.
  if (random.oneIn(3)) destination = start + random.pick([-size, -1, 0, 1, size, 2 * size, 7]);
  // Below 0 lies the kernel's half, where a fault is another one.
  if (start < 0 || destination < 0) return false;
  // Offsets that run over 4 GiB are beyond the segment's limit, which translated code does not check.
  const lowest = (down ? start - span + size : start) - segment;
  if (c.mode === 32 && lowest < 0 && lowest + span > 0) return false;
  // When both accesses fault, either may be the one that is reported.
  if (instruction.name === "cmps") {
    if (random.oneIn(2)) start = c.insideData(span) + (down ? span - size : 0);
    else destination = c.insideData(span) + (down ? span - size : 0);
  }
  c.offerLow(rsi, start - segment, width, true);
  c.offerLow(rdi, destination, width, true);
  const run = new Uint8Array(span + 16);
  for (let i = 0; i < run.length; i++) run[i] = random.oneIn(12) ? random.below(256) : 0x41;
  if (random.oneIn(4)) return true;
  c.patch(down ? start - span + size : start, run.subarray(0, span));
  if (random.oneIn(6)) run[random.below(span)] = random.below(256);
  c.patch(down ? destination - span + size : destination, run.subarray(0, span));
  if (random.oneIn(2)) c.offer(rax, random.pick([0x4141_4141, 0x4141_4141_4141_4141n, 0x42]));
  return true;
};

/** Dividends whose quotient often fits. */
const division: Preparation = (c) => {
  const { random } = c;
  const { operandWidth, name } = c.encoding.instruction;
  if (random.oneIn(5)) return;
  if (operandWidth === 8) {
    c.offerLow(rax, random.pick([random.below(256), random.below(4096), -random.below(256)]), 16);
    return;
  }
  const negative = name === "idiv" && (c.gpr(rax) >> BigInt(operandWidth - 1)) & 1n ? -1 : 0;
  c.offerLow(rdx, random.pick([0, negative, negative, random.below(16), -1]), operandWidth);
};

/** The accumulator equal to the destination, half of the time. */
const compareExchange: Preparation = (c) => {
  if (c.random.oneIn(2)) return;
  const { o0 } = c.encoding.instruction;
  if (o0.kind === OperandKind.mem) c.patchInteger(c.target, c.gpr(rax), o0.width >> 3);
  else if (!o0.high) c.offerLow(rax, BigInt.asUintN(o0.width, c.gpr(o0.register)), o0.width);
};

const compareExchangePair: Preparation = (c) => {
  if (c.random.oneIn(2)) return;
  const half = c.memoryBytes() >> 1;
  c.patchInteger(c.target, c.gpr(rax), half);
  c.patchInteger(c.target + half, c.gpr(rdx), half);
};

/** Bit offsets reach beyond the operand when it is in memory: keep them within the window, mostly. */
const bitTest: Preparation = (c) => {
  const { random } = c;
  const { o0, o1 } = c.encoding.instruction;
  if (o0.kind !== OperandKind.mem || o1.kind !== OperandKind.gpr) return true;
  if (!random.oneIn(16))
    c.offerLow(o1.register, random.oneIn(3) ? random.below(64) : random.below(16_384) - 8192, o1.width);
  const distance = Number(BigInt.asIntN(o1.width, c.gpr(o1.register)) >> 3n);
  // Whether the operand's own address has to be canonical as well as the byte's differs between processors.
  if (c.target >= 2 ** 47 && (distance < 0 || distance >= o1.width >> 3)) return false;
  // The code of other cases is not the same in both runs.
  const reached = c.target + distance;
  return reached < Layout.code - 8 || reached >= Layout.code + Layout.codeBytes;
};

/** Counts around the widths. */
const shift: Preparation = (c) => {
  const { random } = c;
  const { instruction } = c.encoding;
  const last = instruction.operands[(instruction.operandCount - 1) as 0];
  const double = instruction.name === "shld" || instruction.name === "shrd";
  let count = random.pick([0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 255, random.below(256)]);
  // With a count above 16 a double shift of 16 bits has no defined result.
  if (double && instruction.operandWidth === 16) count = random.below(17);
  const must = double && instruction.operandWidth === 16;
  if (last.kind === OperandKind.imm) c.setImmediate(count);
  else if (last.kind === OperandKind.gpr && (must || random.oneIn(2))) {
    c.offerLow(rcx, count, 8);
    // An address in RCX cannot be changed, so the operand size is.
    if (must && (c.claimed & 2) !== 0) c.setGpr(rcx, (c.gpr(rcx) & ~0xffn) | BigInt(count));
  }
};

/** What LDMXCSR and FXRSTOR read; a reserved bit now and then. */
const loadMxcsr: Preparation = (c) => {
  const value = c.mxcsr() | (c.random.oneIn(10) ? 0x1_0000 << c.random.pick([0, 3, 8, 15]) : 0);
  c.patchInteger(c.target, BigInt(value >>> 0), 4);
};

const restoreImage: Preparation = (c) => {
  const image = new Uint8Array(512);
  const view = new DataView(image.buffer);
  c.fillImage(view, 0);
  if (c.random.oneIn(8)) view.setUint32(24, c.random.u32() >>> 0, true);
  // AMD's processors have one more bit, for misaligned operands.
  view.setUint32(24, view.getUint32(24, true) & ~0x2_0000, true);
  c.patch(c.target, image);
};

const loadControl: Preparation = (c) => {
  const { random } = c;
  c.patchInteger(c.target, BigInt(random.oneIn(4) ? random.below(0x1_0000) : 0x3f | random.below(0x1_0000)), 2);
};

/** An environment whose exceptions are mostly masked. */
const loadEnvironment: Preparation = (c) => {
  const { random, encoding } = c;
  const bytes = c.memoryBytes();
  const content = new Uint8Array(bytes);
  for (let i = 0; i < bytes; i++) content[i] = random.below(256);
  if (!random.oneIn(4)) content[0] = 0x7f;
  const registers = encoding.instruction.name === "frstor" ? bytes - 80 : bytes;
  for (let i = registers + 8; i < bytes; i += 10) if (random.oneIn(3)) content[i] = 0x3f + random.below(2);
  c.patch(c.target, content);
};

/** With an exception unmasked that forbids the store, nobody has looked at the memory; the processor has. */
const conditionalStore: Preparation = (c) => {
  if (!c.hasMemory() || (c.view.getUint8(StateAt.image) & 0x3f) === 0x3f) return true;
  return c.target >= Layout.data && c.target + 16 < Layout.data + Layout.dataBytes;
};

const decimal: Preparation = (c) => {
  const { random } = c;
  if (random.oneIn(8)) return;
  const content = new Uint8Array(10);
  for (let i = 0; i < 9; i++) content[i] = (random.below(10) << 4) | random.below(10);
  content[9] = random.pick([0, 0x80, 0x80, 0x7f]);
  c.patch(c.target, content);
};

/** Explicit lengths of PCMPESTRx. */
const stringLengths: Preparation = (c) => {
  for (const register of [rax, rdx]) {
    if (!c.random.oneIn(4)) c.offer(register, c.random.pick([c.random.below(20), -c.random.below(20), 16, 0]));
  }
};

/** AMD's processors have left x87 mode when one of these raises #XM. */
const maskedConversion: Preparation = (c) => {
  const at = StateAt.image + ImageAt.mxcsr;
  c.view.setUint32(at, c.view.getUint32(at, true) | 0x1f80, true);
};

const flagsFromStack: Preparation = (c) => {
  const address = point(c, rsp, 8);
  if (inReadOnly(address)) return false;
  // Never TF, AC, NT or VM: they act beyond the case.
  c.patchInteger(address, BigInt(c.random.u32() & 0x20_3ed7), 8);
  return true;
};

const bounds: Preparation = (c) => {
  const { random } = c;
  const { operandWidth, o0 } = c.encoding.instruction;
  const low = random.below(100) - 50;
  c.patchInteger(c.target, BigInt(low), operandWidth >> 3);
  c.patchInteger(c.target + (operandWidth >> 3), BigInt(low + random.below(100)), operandWidth >> 3);
  c.offer(o0.register, low - 1 + random.below(103));
};

export const preparations: Readonly<Partial<Record<MnemonicName, Preparation>>> = {
  push: stack,
  pop: stack,
  pushf: stack,
  // In the middle of a page: what happened before a fault is every processor's own affair.
  pusha: (c) => c.offer(rsp, c.insideData(64) + 32, true),
  popa: (c) => c.offer(rsp, c.insideData(64) + 16, true),
  popf: flagsFromStack,
  enter: (c) => {
    c.setImmediate(c.random.pick([0, 8, 16, 100]), 0, 2);
    c.setImmediate(c.random.oneIn(2) ? 0 : c.random.below(256), 2, 1);
    // The processor tries a write where the stack pointer ends up, which translated code does not.
    c.offer(rsp, c.insideData(512) + 400, true);
    point(c, rbp, 8);
  },
  leave: (c) => void point(c, rbp, 8),
  call,
  ret: returns,
  jmp: (c) => (c.encoding.instruction.o0.kind === OperandKind.relative ? directBranch(c) : indirectBranch(c)),
  jcc: directBranch,
  loop: directBranch,
  loope: directBranch,
  loopne: directBranch,
  jcxz: directBranch,
  movs: strings,
  cmps: strings,
  stos: strings,
  lods: strings,
  scas: strings,
  ins: strings,
  outs: strings,
  xlat: (c) => {
    const { instruction } = c.encoding;
    const segment = instruction.segment === 4 ? Layout.fsBase : instruction.segment === 5 ? Layout.gsBase : 0;
    const address = c.chooseAddress(1, 1, instruction.addressWidth === 64);
    c.offerLow(rbx, BigInt(address - segment) - (c.gpr(rax) & 255n), instruction.addressWidth, true);
  },
  // In the middle of a page: AMD's processors have left x87 mode when the store faults.
  maskmovq: (c) => c.offerLow(rdi, c.insideData(8), c.encoding.instruction.addressWidth, true),
  maskmovdqu: (c) => void point(c, rdi, 16, 1, c.encoding.instruction.addressWidth),
  div: division,
  idiv: division,
  cmpxchg: compareExchange,
  cmpxchg8b: compareExchangePair,
  cmpxchg16b: compareExchangePair,
  bt: bitTest,
  bts: bitTest,
  btr: bitTest,
  btc: bitTest,
  rol: shift,
  ror: shift,
  rcl: shift,
  rcr: shift,
  shl: shift,
  shr: shift,
  sar: shift,
  shld: shift,
  shrd: shift,
  ldmxcsr: loadMxcsr,
  fxrstor: restoreImage,
  fxrstor64: restoreImage,
  fldcw: loadControl,
  fldenv: loadEnvironment,
  frstor: loadEnvironment,
  fbld: decimal,
  fst: conditionalStore,
  fstp: conditionalStore,
  fist: conditionalStore,
  fistp: conditionalStore,
  fisttp: conditionalStore,
  fbstp: conditionalStore,
  cvtps2pi: maskedConversion,
  cvttps2pi: maskedConversion,
  cvtpd2pi: maskedConversion,
  cvttpd2pi: maskedConversion,
  cvtpi2ps: (c) => {
    // With an operand in memory, AMD's processors stay in x87 mode and Intel's, by the manual, leave it.
    if (c.hasMemory()) return false;
    return maskedConversion(c);
  },
  pcmpestri: stringLengths,
  pcmpestrm: stringLengths,
  bound: bounds,
  // The processor writes only what changes.
  arpl: (c) => !c.hasMemory() || !inReadOnly(c.target),
  // AMD's processors read 32 bits into a 16-bit register.
  movsxd: (c) => !c.hasMemory() || c.encoding.instruction.operandWidth !== 16,
  aam: (c) => c.setImmediate(c.random.pick([10, 10, 0, 1, c.random.below(256)])),
  aad: (c) => c.setImmediate(c.random.pick([10, 10, 0, 1, c.random.below(256)])),
};
