/**
 * Cases of several instructions: what one leaves the next one finds, in registers, flags and memory; one may be skipped,
 * and the whole may be repeated. A fault in the middle must show the state exactly as it was there.
 *
 * An address is chosen when its instruction is, from the registers as the case starts with them; so registers that serve
 * as addresses, and the loop's counter, are written by no instruction.
 */
import type { Form } from "../src/decode/index.ts";
import { flagsOverwritten, flagsRead } from "../src/decode/flags.ts";
import { OperandKind, registerRip } from "../src/decode/instruction.ts";
import { Slot } from "../src/state.ts";
import type { CaseBuilder } from "./case-builder.ts";
import { type Batch, maximumCode, StateAt } from "./format.ts";
import { biasImmediate, fillOperand } from "./operands.ts";
import { encodeForm } from "./random-encoding.ts";
import { ownUndefinedFlags } from "./undefined-flags.ts";

/** Instructions that may stand in a sequence: one way out, nothing to prepare but what is done here. */
export function chainable(form: Form): boolean {
  const special = /^(system|cpl0|iopl|rep|branch|jump|call|return|ijump|icall|undefined)$/;
  if (form.attributes.some((attribute) => special.test(attribute))) return false;
  if (!/^(integer|extensions|sse-move|sse-arith|mmx|x87)$/.test(form.family)) return false;
  return !notInSequences.test(form.mnemonic);
}

const approximate = "rcp[ps]s|rsqrt[ps]s|f2xm1|fyl2x|fyl2xp1|fptan|fpatan|fsin|fcos|fsincos";
const images = "fldenv|frstor|fnsave|fnstenv|fxsave|fxsave64|fxrstor|fxrstor64|fbld";
const addresses = "popf|pusha|popa|enter|leave|xlat|maskmovq|maskmovdqu|bound|arpl|movsxd";
const divisions = "div|idiv|aam|cmpxchg8b|cmpxchg16b|bswap|cvtp[ds]2pi|cvttp[ds]2pi|cvtpi2ps";
const notInSequences = new RegExp(`^(${approximate}|${images}|${addresses}|${divisions})$`);
/** With a bit offset in a register these reach far beyond their operand. */
const bitStrings = /^bt[src]?$/;
const stacking = /^(push|pop|pushf)$/;

const countRegisters = [Slot.rbx, Slot.rbp, Slot.rsi, Slot.rdi];
/** Registers that instructions use without naming them. */
const implied = (1 << Slot.rax) | (1 << Slot.rcx) | (1 << Slot.rdx);

export class Sequence {
  readonly #builder: CaseBuilder;
  readonly #code: Uint8Array = new Uint8Array(maximumCode);
  #length = 0;
  #undefinedFlags = 0;
  /** Registers that are addresses or the counter, and those that instructions so far have named or may have written. */
  #fixed = 0;
  #used = implied;
  #stack = false;

  constructor(builder: CaseBuilder) {
    this.#builder = builder;
  }

  /** Builds a sequence of forms from `chain` and appends it; false when nothing came of it. */
  build(chain: readonly Form[], batch: Batch): boolean {
    const { random, view } = this.#builder;
    // What an unmasked exception of the x87 does to a store is another matter.
    view.setUint8(StateAt.image, view.getUint8(StateAt.image) | 0x3f);
    view.setUint16(StateAt.image + 2, view.getUint16(StateAt.image + 2, true) & 0x7f7f, true);
    const counter = random.oneIn(3) ? random.pick(countRegisters) : -1;
    if (counter >= 0) {
      this.#builder.offer(counter, 1 + random.below(20), true);
      this.#fixed |= 1 << counter;
    }
    const room = maximumCode - (counter < 0 ? 1 : 6);
    const count = 2 + random.below(5);
    for (let i = 0; i < count; i++) {
      if (random.oneIn(5) && this.#length + 6 < room) this.#skip(chain, room);
      else this.#add(random.pick(chain), room);
    }
    if (this.#length === 0) return false;
    if (counter >= 0) this.#loop(counter);
    this.#builder.finish(batch, this.#code, this.#length);
    return true;
  }

  /** One instruction, unless it does not fit; returns whether it was added. */
  #add(form: Form, room: number): boolean {
    const builder = this.#builder;
    const { random, encoding, mode } = builder;
    const choice = bitStrings.test(form.mnemonic)
      ? "register"
      : random.pick(["register", "register", "memory", "any"] as const);
    if (!encodeForm(random, encoding, form.form, mode, choice)) return false;
    const { instruction } = encoding;
    if (this.#length + encoding.length > room) return false;
    if (/^sh[lr]d$/.test(form.mnemonic) && instruction.operandWidth === 16) return false;
    if ((flagsRead(instruction) & this.#undefinedFlags) !== 0) return false;
    if (stacking.test(form.mnemonic) && !this.#useStack()) return false;
    const named = this.#namedRegisters();
    if ((named & this.#fixed) !== 0) return false;
    if (builder.hasMemory()) {
      if (!this.#address(form, named)) return false;
    } else if (encoding.immediateBytes > 0 && random.oneIn(2)) {
      biasImmediate(builder);
    }
    this.#used |= named;
    this.#undefinedFlags = (this.#undefinedFlags & ~flagsOverwritten(instruction)) | ownUndefinedFlags(instruction, -1);
    this.#append(encoding.bytes.subarray(0, encoding.length));
    return true;
  }

  /** General registers among the operands. */
  #namedRegisters(): number {
    const { instruction } = this.#builder.encoding;
    let named = 0;
    for (let i = 0; i < instruction.operandCount; i++) {
      const { kind, register } = instruction.operands[i as 0];
      if (kind === OperandKind.gpr) named |= 1 << register;
    }
    return named;
  }

  /** Places the memory operand, if its registers are free for that. */
  #address(form: Form, named: number): boolean {
    const builder = this.#builder;
    const { instruction } = builder.encoding;
    let registers = 0;
    if (instruction.base >= 0 && instruction.base !== registerRip) registers |= 1 << instruction.base;
    if (instruction.index >= 0) registers |= 1 << instruction.index;
    // What is an address already would have to be this one's, too.
    if ((registers & (this.#used | named | this.#fixed)) !== 0 || instruction.addressWidth === 16) return false;
    const bytes = builder.memoryBytes();
    builder.codeOffset = this.#length;
    const reached = builder.aim(bytes === 0 ? 1 : bytes, Math.max(1, Math.min(64, bytes)));
    builder.codeOffset = 0;
    if (!reached) return false;
    this.#fixed |= registers;
    if (form.mnemonic === "ldmxcsr") builder.patchInteger(builder.target, BigInt(builder.mxcsr()), 4);
    else fillOperand(builder, form, bytes);
    return true;
  }

  /** RSP points into a window before the first use of the stack, and is nothing else after it. */
  #useStack(): boolean {
    if (this.#stack) return true;
    const builder = this.#builder;
    if (((this.#fixed | this.#used) & (1 << Slot.rsp)) !== 0) return false;
    builder.offer(Slot.rsp, builder.insideData(2048) + 1024, true);
    this.#fixed |= 1 << Slot.rsp;
    this.#stack = true;
    return true;
  }

  /** A condition, and an instruction that it may jump over. */
  #skip(chain: readonly Form[], room: number): void {
    const { random } = this.#builder;
    const condition = random.below(16);
    const readBy = [0x800, 0x1, 0x40, 0x41, 0x80, 0x4, 0x880, 0x8c0][condition >> 1];
    if ((readBy & this.#undefinedFlags) !== 0) return;
    const at = this.#length;
    const before = this.#undefinedFlags;
    this.#append(Uint8Array.of(0x70 | condition, 0));
    if (this.#add(random.pick(chain), room)) {
      this.#code[at + 1] = this.#length - at - 2;
      this.#undefinedFlags |= before;
    } else {
      this.#length = at;
    }
  }

  /** `sub counter, 1; jnz` to the start: what the flags were is gone, defined or not. */
  #loop(counter: number): void {
    this.#append(Uint8Array.of(0x83, 0xe8 | counter, 1, 0x75, -(this.#length + 5) & 0xff));
    this.#undefinedFlags = 0;
  }

  #append(bytes: Uint8Array): void {
    this.#code.set(bytes, this.#length);
    this.#length += bytes.length;
  }
}
