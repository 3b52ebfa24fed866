// Compares one decoded instruction with iced-x86's reading of the same bytes. iced knows the instruction set independently of our
// table, so each difference is a mistake of one of the two, or a choice that `disagreements.ts` explains.
import * as iced from "iced-x86";
import {
  Flow,
  Instruction,
  OperandKind,
  decode,
  flagsChanged,
  flagsOverwritten,
  flagsRead,
  flagsUndefined,
  mnemonicNames,
  registerRip,
} from "../index.ts";
import type { Mode } from "../index.ts";

/** What differs: `field` names it, the texts say how. */
export interface Difference {
  readonly field: string;
  readonly ours: string;
  readonly theirs: string;
  /** iced's name of the instruction form, "INVALID" if it found none. */
  readonly code: string;
}

const mnemonicText: readonly string[] = names(iced.Mnemonic);
const codeText: readonly string[] = names(iced.Code);
function names(values: object): string[] {
  const result: string[] = [];
  for (const [key, value] of Object.entries(values)) if (typeof value === "number") result[value] = key;
  return result;
}

const conditional = /^(j|set|cmov)/;
const x87Conditions: Record<string, number> = {
  fcmovb: 2,
  fcmovnb: 3,
  fcmove: 4,
  fcmovne: 5,
  fcmovbe: 6,
  fcmovnbe: 7,
  fcmovu: 10,
  fcmovnu: 11,
};
const stringMnemonic = /^(movs|cmps|stos|lods|scas|ins|outs)[bwdq]$/;
const stringWidths: Record<string, string> = { b: "8", w: "16", d: "32", q: "64" };
const counterWidths: Record<string, number> = { jcxz: 16, jecxz: 32, jrcxz: 64 };
// Spellings that differ; widths that Intel puts in the name are `operandWidth` here.
const spelling: Record<string, string> = {
  wait: "fwait",
  xlatb: "xlat",
  pushad: "pusha",
  popad: "popa",
  pushfd: "pushf",
  pushfq: "pushf",
  popfd: "popf",
  popfq: "popf",
  iretd: "iret",
  iretq: "iret",
  sysretq: "sysret",
  sysexitq: "sysexit",
  sal: "shl",
  reservednop: "nop",
  fstpnce: "fstp",
  feni: "fneni",
  pcmpestri64: "pcmpestri",
  pcmpestrm64: "pcmpestrm",
};

const instruction = new Instruction();
const reference = new iced.Instruction();

const rflags: readonly (readonly [theirs: number, ours: number])[] = [
  [iced.RflagsBits.CF, 0x1],
  [iced.RflagsBits.PF, 0x4],
  [iced.RflagsBits.AF, 0x10],
  [iced.RflagsBits.ZF, 0x40],
  [iced.RflagsBits.SF, 0x80],
  [iced.RflagsBits.IF, 0x200],
  [iced.RflagsBits.DF, 0x400],
  [iced.RflagsBits.OF, 0x800],
  [iced.RflagsBits.AC, 0x4_0000],
];
function eflags(theirs: number): number {
  let result = 0;
  for (const [bit, ours] of rflags) if (theirs & bit) result |= ours;
  return result;
}

const flowOf: Record<number, string> = {
  [iced.FlowControl.Next]: "next",
  [iced.FlowControl.UnconditionalBranch]: "jump",
  [iced.FlowControl.IndirectBranch]: "indirectJump",
  [iced.FlowControl.ConditionalBranch]: "branch",
  [iced.FlowControl.Return]: "return",
  [iced.FlowControl.Call]: "call",
  [iced.FlowControl.IndirectCall]: "indirectCall",
  [iced.FlowControl.Interrupt]: "system",
  [iced.FlowControl.XbeginXabortXend]: "branch",
  [iced.FlowControl.Exception]: "undefined",
};
const flowText: readonly string[] = names(Flow);

function registerText(register: iced.Register): string {
  const Ext = iced.RegisterExt;
  const number = Ext.number(register);
  if (Ext.isGPR8(register)) {
    if (register >= iced.Register.AH && register <= iced.Register.BH) return `gpr8h:${register - iced.Register.AH}`;
    return `gpr8:${register >= iced.Register.SPL ? register - iced.Register.SPL + 4 : register - iced.Register.AL}`;
  }
  if (Ext.isGPR(register)) return `gpr${Ext.size(register) * 8}:${number}`;
  if (Ext.isXMM(register)) return `xmm128:${number}`;
  if (Ext.isYMM(register)) return `xmm256:${number}`;
  if (Ext.isMM(register)) return `mmx64:${number}`;
  if (Ext.isST(register)) return `st80:${number}`;
  if (Ext.isSegmentRegister(register)) return `segment:${number}`;
  if (Ext.isCR(register)) return `control:${number}`;
  if (Ext.isDR(register)) return `debug:${number}`;
  return `register ${register}`;
}

function ourRegister(number: number, addressWidth: number): string {
  return number < 0 ? "none" : number === registerRip ? `rip${addressWidth}` : `gpr${addressWidth}:${number}`;
}

function theirRegister(register: iced.Register): string {
  if (register === iced.Register.None) return "none";
  if (register === iced.Register.RIP) return "rip64";
  if (register === iced.Register.EIP) return "rip32";
  return registerText(register);
}

const kindText: readonly string[] = names(OperandKind);

function ourOperand(index: number): string {
  const operand = instruction.operands[index as 0 | 1 | 2 | 3];
  switch (operand.kind) {
    case OperandKind.gpr:
      return `gpr${operand.width}${operand.high ? "h" : ""}:${operand.register}`;
    case OperandKind.xmm:
      return `xmm${operand.width}:${operand.register}`;
    case OperandKind.mmx:
    case OperandKind.st:
      return `${kindText[operand.kind]}${operand.width}:${operand.register}`;
    case OperandKind.imm:
      return `imm ${BigInt.asUintN(operand.width, (BigInt(instruction.immediateHigh) << 32n) | BigInt(instruction.immediateLow >>> 0))}`;
    case OperandKind.imm2:
      return `imm ${instruction.immediate2}`;
    case OperandKind.far:
      return `far ${instruction.immediate2}:${instruction.immediateLow >>> 0}`;
    case OperandKind.relative:
      return `to ${BigInt.asUintN(operand.width, BigInt(instruction.length + instruction.target))}`;
    case OperandKind.mem: {
      const { base, index: ind, scale, addressWidth } = instruction;
      let displacement = (BigInt(instruction.displacementHigh) << 32n) | BigInt(instruction.displacement >>> 0);
      if (base === registerRip) displacement += BigInt(instruction.length);
      const segment = instruction.segment < 0 ? "" : `segment ${instruction.segment} `;
      const text = `${segment}${ourRegister(base, addressWidth)} + ${ourRegister(ind, addressWidth)}*${scale}`;
      return `mem${operand.width} ${text} + ${BigInt.asUintN(addressWidth, displacement)}`;
    }
    default:
      return `${kindText[operand.kind]}:${operand.register}`;
  }
}

// `ours` gives the widths at which immediates and displacements are compared.
function theirOperand(index: number, mode: Mode): string {
  const ours = instruction.operands[index as 0 | 1 | 2 | 3];
  const Kind = iced.OpKind;
  const kind = reference.opKind(index);
  switch (kind) {
    case Kind.Register:
      return registerText(reference.opRegister(index));
    case Kind.NearBranch16:
    case Kind.NearBranch32:
    case Kind.NearBranch64:
      return `to ${reference.nearBranchTarget}`;
    case Kind.FarBranch16:
      return `far ${reference.farBranchSelector}:${reference.farBranch16}`;
    case Kind.FarBranch32:
      return `far ${reference.farBranchSelector}:${reference.farBranch32}`;
    case Kind.Memory: {
      const prefix = reference.segmentPrefix;
      const segment =
        prefix === iced.Register.None || (mode === 64 && prefix < iced.Register.FS)
          ? ""
          : `segment ${prefix - iced.Register.ES} `;
      const base = theirRegister(reference.memoryBase);
      const ind = theirRegister(reference.memoryIndex);
      // iced keeps the SIB byte's scale when there is no index.
      const scale = reference.memoryIndex === iced.Register.None ? 1 : reference.memoryIndexScale;
      const text = `${segment}${base} + ${ind}*${scale}`;
      const width = ours.width === 0 ? 0 : iced.MemorySizeExt.size(reference.memorySize) * 8;
      const displacement = reference.memoryDisplacement;
      return `mem${width} ${text} + ${BigInt.asUintN(instruction.addressWidth, displacement)}`;
    }
    case Kind.Immediate8:
    case Kind.Immediate8_2nd:
    case Kind.Immediate16:
    case Kind.Immediate32:
    case Kind.Immediate64:
    case Kind.Immediate8to16:
    case Kind.Immediate8to32:
    case Kind.Immediate8to64:
    case Kind.Immediate32to64: {
      const widths: Record<number, number> = {
        [Kind.Immediate8]: 8,
        [Kind.Immediate8_2nd]: 8,
        [Kind.Immediate16]: 16,
        [Kind.Immediate8to16]: 16,
        [Kind.Immediate32]: 32,
        [Kind.Immediate8to32]: 32,
      };
      return `imm ${BigInt.asUintN(widths[kind] ?? 64, reference.immediate(index))}`;
    }
    default:
      return `operand kind ${kind}`;
  }
}

/** Decoders are kept per mode over one shared buffer: making one costs more than decoding. */
export class Comparison {
  readonly #buffer: Uint8Array;
  readonly #decoders: Record<number, iced.Decoder>;

  /** @param buffer all byte strings to compare; iced copies it here */
  constructor(buffer: Uint8Array) {
    this.#buffer = buffer;
    this.#decoders = {
      16: new iced.Decoder(16, buffer, iced.DecoderOptions.None),
      32: new iced.Decoder(32, buffer, iced.DecoderOptions.None),
      64: new iced.Decoder(64, buffer, iced.DecoderOptions.None),
    };
  }

  free(): void {
    for (const decoder of Object.values(this.#decoders)) decoder.free();
  }

  /** Every difference between the two readings of the bytes at `position`. */
  compare(position: number, end: number, mode: Mode): Difference[] {
    const length = decode(this.#buffer, position, end, mode, instruction);
    const decoder = this.#decoders[mode];
    decoder.position = position;
    decoder.ip = 0n;
    decoder.decodeOut(reference);
    const report = new Report(codeText[reference.code]);
    if (reference.isInvalid) {
      if (length >= 0) report.compare("valid", describe(), "invalid");
    } else if (length < 0) report.compare("valid", `error ${length}`, "valid");
    else compareValid(report, length, mode);
    return report.differences;
  }
}

/** Collects differences. */
class Report {
  readonly differences: Difference[] = [];
  readonly code: string;

  constructor(code: string) {
    this.code = code;
  }

  /** Whether the two are equal; if not, a difference is noted. */
  compare(field: string, ours: unknown, theirs: unknown): boolean {
    if (ours === theirs) return true;
    this.differences.push({ field, ours: String(ours), theirs: String(theirs), code: this.code });
    return false;
  }

  compareMasks(field: string, ours: number, theirs: number): void {
    this.compare(field, ours.toString(16), theirs.toString(16));
  }
}

// What the mnemonic, or iced's name for it, says beside itself: condition, item width, address width, repetition.
function compareMnemonic(report: Report): boolean {
  let theirs = mnemonicText[reference.mnemonic].toLowerCase();
  let ours: string = mnemonicNames[instruction.mnemonic];
  if (x87Conditions[theirs] !== undefined) {
    theirs = `fcmovcc ${x87Conditions[theirs]}`;
    ours += ` ${instruction.condition}`;
  } else if (reference.conditionCode !== iced.ConditionCode.None && conditional.test(theirs)) {
    theirs = `${(conditional.exec(theirs) as RegExpExecArray)[1]}cc ${reference.conditionCode - 1}`;
    ours += ` ${instruction.condition}`;
  } else if (isString(theirs)) {
    let addressWidth = 0;
    for (let i = 0; i < reference.opCount; i++) {
      const kind = reference.opKind(i) - iced.OpKind.MemorySegSI;
      if (kind >= 0) addressWidth = 16 << (kind % 3);
    }
    const repetition = reference.hasRepnePrefix ? 0xf2 : reference.hasRepPrefix ? 0xf3 : 0;
    theirs = `${theirs.slice(0, -1)} ${stringWidths[theirs.at(-1) as string]} a${addressWidth} rep ${repetition}`;
    ours += ` ${instruction.operandWidth} a${instruction.addressWidth} rep ${instruction.rep}`;
  } else if (counterWidths[theirs] !== undefined) {
    theirs = `jcxz ${counterWidths[theirs]}`;
    ours += ` ${instruction.addressWidth}`;
  } else {
    theirs = spelling[theirs] ?? theirs;
    const { isCallFar, isCallFarIndirect, isJmpFar, isJmpFarIndirect } = reference;
    if (isCallFar || isCallFarIndirect || isJmpFar || isJmpFarIndirect) theirs += "f";
  }
  return report.compare("mnemonic", ours, theirs);
}

function isString(mnemonic: string): boolean {
  return reference.isStringInstruction && stringMnemonic.test(mnemonic);
}

// Where the operands are implicit, iced's code name has the operand size: Retnq, Pushad, Enterw_imm16_imm8.
const sizedCode = /^(?:Retn|Retf|Enter|Leave|Push|Pop|Pusha|Popa|Pushf|Popf|Iret)([wdq])(?:_|$)/;

function compareValid(report: Report, length: number, mode: Mode): void {
  if (!compareMnemonic(report)) return;
  report.compare("length", length, reference.length);
  report.compare("lock", instruction.lock, reference.hasLockPrefix);
  const name = mnemonicNames[instruction.mnemonic];
  const sized = sizedCode.exec(report.code);
  if (sized !== null) report.compare("operand width", instruction.operandWidth, Number(stringWidths[sized[1]]));
  if (isString(mnemonicText[reference.mnemonic].toLowerCase()) || /^(xlat|maskmov)/.test(name)) {
    const prefix = reference.segmentPrefix;
    const none = prefix === iced.Register.None || (mode === 64 && prefix < iced.Register.FS);
    report.compare("segment", instruction.segment, none ? -1 : prefix - iced.Register.ES);
  } else {
    report.compare("operand count", instruction.operandCount, reference.opCount);
    const count = Math.min(instruction.operandCount, reference.opCount);
    for (let i = 0; i < count; i++) report.compare(`operand ${i}`, ourOperand(i), theirOperand(i, mode));
  }
  report.compare("flow", flowText[instruction.flow], flowOf[reference.flowControl]);
  const changed = eflags(reference.rflagsModified);
  report.compareMasks("flags read", flagsRead(instruction), eflags(reference.rflagsRead));
  report.compareMasks("flags changed", flagsChanged(instruction), changed);
  report.compareMasks("flags overwritten and not changed", flagsOverwritten(instruction) & ~changed, 0);
  report.compareMasks("flags undefined", flagsUndefined(instruction), eflags(reference.rflagsUndefined));
}

function describe(): string {
  let text: string = instruction.name;
  for (let i = 0; i < instruction.operandCount; i++) text += ` ${ourOperand(i)}`;
  return text;
}
