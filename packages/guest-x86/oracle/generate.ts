/** Random cases over every form the decoder knows: a seed and a number make a case, always the same one. */
import { allForms, type Form } from "../src/decode/index.ts";
import { CaseBuilder } from "./case-builder.ts";
import { exclusion } from "./exclusions.ts";
import { type Batch, Layout } from "./format.ts";
import { biasImmediate, fillOperand } from "./operands.ts";
import { preparations } from "./preparations.ts";
import { encodeForm } from "./random-encoding.ts";
import { Random } from "./random.ts";
import { chainable, Sequence } from "./sequences.ts";

/** Distance between the code of two cases: 16 bytes before, the code, the harness's jump, and INT3 to land on. */
const slotBytes = 80;
const slotStart = 24;
const slotsPerPage = Math.floor(Layout.pageBytes / slotBytes);
const slotCount = slotsPerPage * (Layout.codeBytes / Layout.pageBytes - 1);

export interface GeneratorOptions {
  readonly seed: number;
  /** 64, 32, or both. */
  readonly modes: readonly number[];
  /** Only forms for which this holds. */
  readonly only?: (form: Form) => boolean;
  /** Single instructions on states with little in them, for cases that are to be stored. */
  readonly lean?: boolean;
  /** Only sequences of instructions. */
  readonly onlySequences?: boolean;
}

/** Bytes that an instruction accesses though its operand has no size. */
const unsized: Readonly<Record<string, number>> = { prefetch: 64, prefetchw: 64, clflush: 64 };

/** What they write before a fault in the middle, and so the address of that fault, is every processor's own affair. */
const piecemeal = new Set(["fldenv", "frstor", "fnsave", "fnstenv", "fxsave", "fxsave64", "fxrstor", "fxrstor64"]);

export class Generator {
  readonly #options: GeneratorOptions;
  readonly #forms: readonly Form[];
  readonly #chain: readonly Form[];
  readonly #allowed: readonly Form[];

  constructor(options: GeneratorOptions) {
    this.#options = options;
    this.#forms = [...allForms()].filter((form) => exclusion(form) === undefined && form.feature.indexOf("avx") < 0);
    const only = options.only;
    this.#allowed = only === undefined ? this.#forms : this.#forms.filter(only);
    this.#chain = this.#allowed.filter(chainable);
  }

  /** The forms that cases are made of. */
  get forms(): readonly Form[] {
    return this.#allowed;
  }

  /** Appends cases number `from` up to `to` to `batch`. Neighbours in a batch have code at different addresses. */
  generate(batch: Batch, from: number, to: number): void {
    if (this.#allowed.length === 0) return;
    for (let number = from; number < to; number++) this.#generateOne(batch, number);
  }

  #generateOne(batch: Batch, number: number): void {
    const random = new Random(this.#options.seed, number);
    const builder = new CaseBuilder(random);
    const mode = random.pick(this.#options.modes);
    const slot = number % slotCount;
    const page = Math.floor(slot / slotsPerPage);
    const address = Layout.code + page * Layout.pageBytes + (slot % slotsPerPage) * slotBytes + slotStart;
    for (let attempt = 0; ; attempt++) {
      if (attempt > 1000) throw new Error(`no case number ${number} of seed ${this.#options.seed}`);
      builder.begin(mode, address);
      const sequences = this.#options.lean !== true && this.#chain.length > 0;
      const done =
        sequences && (this.#options.onlySequences === true || random.oneIn(6))
          ? new Sequence(builder).build(this.#chain, batch)
          : this.#single(builder, batch, number + attempt);
      if (done) return;
    }
  }

  /** One instruction with all it may need. Forms take turns, so that every one comes up equally often. */
  #single(builder: CaseBuilder, batch: Batch, number: number): boolean {
    const { random, encoding } = builder;
    const form = this.#allowed[number % this.#allowed.length];
    if (!encodeForm(random, encoding, form.form, builder.mode)) return false;
    const { instruction } = encoding;
    if (instruction.operandWidth === 16 && form.mnemonic === "bswap") return false;
    if (this.#options.lean === true) builder.plainRest(touchesX87(form));
    if (builder.hasMemory()) {
      const bytes = builder.memoryBytes();
      const accessed = bytes === 0 ? (unsized[form.mnemonic] ?? 1) : bytes;
      const alignment = bytes >= 64 ? 64 : Math.max(1, bytes);
      if (!builder.aim(accessed, alignment, piecemeal.has(form.mnemonic))) return false;
      fillOperand(builder, form, bytes);
    } else if (encoding.immediateBytes > 0 && random.oneIn(2)) {
      biasImmediate(builder);
    }
    if (preparations[form.mnemonic]?.(builder) === false) return false;
    builder.finish(batch);
    return true;
  }
}

function touchesX87(form: Form): boolean {
  return /^(x87|mmx)$/.test(form.family) || /2pi$|^cvtpi2|^fx|^fwait$/.test(form.mnemonic);
}
