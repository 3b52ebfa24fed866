/**
 * Random regions: blocks with loops, branches that make the graph irreducible, instructions in parts, and everything
 * that can stand in a block. Addresses are mostly of pages that a `TestMachine` maps, often near their ends.
 */
import { Op } from "../ir/op.ts";
import { operations, type ValueType } from "../ir/operations.ts";
import { blockKey, type HelperDeclaration, keyOffset, RegionBuilder, type StateSlot } from "../ir/region.ts";
import type { Random } from "./random.ts";

const PAGE_BYTES = 4096;
const SLOT_STRIDE = 16;

/** More than 32 of them, of all types, mixed; some never in locals. */
export const slots: readonly StateSlot[] = Array.from({ length: 40 }, (_, index): StateSlot => {
  const type = (["i64", "i64", "i64", "i32", "v128", "f64", "i64", "i32"] as const)[index % 8];
  const slot: StateSlot = { name: `s${index}.${type}`, offset: 256 + SLOT_STRIDE * index, type };
  return index % 5 === 0 ? { ...slot, inContext: true } : slot;
});

/** What helpers do is the surroundings' business; they may, but need not, write what they declare. */
export const helpers: readonly HelperDeclaration[] = [
  { name: "pure", parameters: ["i64", "i32"], result: "i64", reads: "none", writes: "none", exits: false },
  { name: "asks", parameters: ["i32"], result: "i32", reads: [0, 3, 33], writes: "none", exits: false },
  { name: "tells", parameters: [], result: "f64", reads: "none", writes: [1, 4, 35], exits: false },
  { name: "changes", parameters: ["i64"], reads: [2, 5], writes: [0, 3, 2, 36], exits: false },
  { name: "everything", parameters: [], reads: "all", writes: "all", exits: false },
  { name: "leaves", parameters: ["i32"], reads: [0], writes: "none", exits: true },
  { name: "leavesChanged", parameters: ["i64"], reads: "none", writes: [0, 7, 37], exits: true },
];

export interface Sizes {
  readonly blocks: number;
  readonly instructions: number;
  readonly actions: number;
  /** Slots used: fewer make more dependences between instructions. */
  readonly slots: number;
}

/** Guest-virtual pages that programs mean: some mapped, some not, some with equal TLB indices. */
export const virtualPages: readonly bigint[] = [
  0x10n,
  0x11n,
  0x18n,
  0x12n,
  0x13n,
  0x21n,
  0x7_ffff_ffffn,
  0x0n,
  0x8_0000_0000_0000n,
  0xf_ffff_ffff_ffffn,
];

const LOADS = [
  Op.load8U,
  Op.load8S,
  Op.load16U,
  Op.load16S,
  Op.load32,
  Op.load64,
  Op.loadF32,
  Op.loadF64,
  Op.loadV128,
  Op.loadV128Zero32,
  Op.loadV128Zero64,
];
const STORES = [Op.store8, Op.store16, Op.store32, Op.store64, Op.storeF32, Op.storeF64, Op.storeV128];
const DIVISIONS: ReadonlySet<number> = new Set([
  Op.i32DivS,
  Op.i32DivU,
  Op.i32RemS,
  Op.i32RemU,
  Op.i64DivS,
  Op.i64DivU,
  Op.i64RemS,
  Op.i64RemU,
]);

/** Float arithmetic may give any NaN (core specification, 4.3.3), so that two runs may differ. */
const ANY_NAN = /^f\d.*(Ceil|Floor|Trunc|Nearest|Sqrt|Add|Sub|Mul|Div|Min|Max|Pmin|Pmax|Demote.*|Promote.*)$/;

const PURE_BY_RESULT: ReadonlyMap<ValueType, readonly number[]> = new Map(
  (["i32", "i64", "f32", "f64", "v128"] as const).map((type) => [
    type,
    operations.flatMap(({ name, pure, result, operands }, op) =>
      pure && result === type && operands.length > 0 && !ANY_NAN.test(name) && !DIVISIONS.has(op) ? [op] : [],
    ),
  ]),
);
/** As often as real code has them. */
const USUAL: readonly number[] = [
  Op.i64Add,
  Op.i64Sub,
  Op.i64And,
  Op.i64Or,
  Op.i64Xor,
  Op.i64Shl,
  Op.i64ShrU,
  Op.i32Add,
  Op.i32Sub,
  Op.i32And,
  Op.i32WrapI64,
  Op.i64ExtendI32U,
  Op.i64ExtendI32S,
  Op.i64Eqz,
  Op.i32Eqz,
  Op.i64LtU,
  Op.i64Eq,
  Op.i32Ne,
  Op.select64,
  Op.select32,
  Op.selectV128,
  Op.selectF64,
  Op.selectF32,
  Op.v128Xor,
  Op.i32x4Add,
  Op.i64x2ExtractLane,
  Op.i64x2ReplaceLane,
];

/** What the field at a guest offset holds, given the value that the region's seed has for it. */
export type FieldValue = (offset: number, value: number) => number;
const FIELD_STRIDE = 4;

const TYPES: readonly ValueType[] = ["i64", "i64", "i64", "i32", "i32", "f32", "f64", "v128"];

class RegionMaker {
  private readonly random: Random;
  private readonly sizes: Sizes;
  private readonly b: RegionBuilder = new RegionBuilder(slots, helpers);
  /** An address of the current block, or -1. */
  private nearby = -1;
  /** Values of the current block. */
  private known: Partial<Record<ValueType, number[]>> = {};
  private readonly usable: Record<StateSlot["type"], number[]> = { i32: [], i64: [], f64: [], v128: [] };
  /** Starts of instructions in the region that may be jumped to, and what lies outside. */
  private targets: number[] = [];
  private readonly outside: readonly number[];
  private readonly fieldValue: FieldValue;
  private fields = 0;

  constructor(random: Random, sizes: Sizes, fieldValue: FieldValue) {
    this.random = random;
    this.sizes = sizes;
    this.fieldValue = fieldValue;
    const order = slots.map((_, slot) => slot).sort(() => random.i32());
    for (const slot of order.slice(0, sizes.slots)) this.usable[slots[slot].type].push(slot);
    this.outside = [-0x4000, 0x4000, 0x12345, -1, 0x7000_0000];
  }

  make(): RegionBuilder {
    const { b, random, sizes } = this;
    b.reset();
    const count = 1 + random.below(sizes.blocks);
    const places = Array.from({ length: 24 }, (_, index) => (index - 12) * 64).filter((place) => place !== 0);
    const offsets = [0];
    while (offsets.length < count) offsets.push(...places.splice(random.below(places.length), 1));
    this.targets = offsets.map((offset) => blockKey(offset));
    if (random.chance(0.3)) {
      b.dispatch(this.targets.filter((key) => key === 0 || random.chance(0.6)));
    }
    for (const offset of offsets) this.blocks(offset);
    return b;
  }

  private blocks(offset: number): void {
    const { b, random } = this;
    this.begin(blockKey(offset));
    if (random.chance(0.12)) {
      // An instruction in two parts, which together may be a loop.
      this.instruction(offset, 4);
      if (random.chance(0.5)) b.branch(this.condition(), this.target(), blockKey(offset, 1));
      else b.jump(blockKey(offset, 1));
      this.begin(blockKey(offset, 1));
      this.instruction(offset, 4);
      if (random.chance(0.5)) b.branch(this.condition(), blockKey(offset), this.target());
      else b.jump(random.chance(0.5) ? blockKey(offset) : this.target());
      return;
    }
    let at = offset;
    for (let left = random.below(this.sizes.instructions); left >= 0; left--) {
      const length = 1 + random.below(5);
      this.instruction(at, length);
      at += length;
      if (left > 0) {
        b.endInstruction();
        // What comes late sees the instruction's own sets.
        if (random.chance(0.1)) this.callHelper();
        b.endInstruction();
      }
    }
    this.terminate();
  }

  private begin(key: number): void {
    this.b.beginBlock(key);
    this.known = {};
    this.nearby = -1;
  }

  private instruction(offset: number, length: number): void {
    this.b.beginInstruction(offset, length);
    for (let left = this.random.below(this.sizes.actions); left >= 0; left--) this.action();
  }

  private action(): void {
    const { b, random } = this;
    const kind = random.below(100);
    if (kind < 35) this.setSlot();
    else if (kind < 55) this.keep(this.pure(random.pick(TYPES), 2));
    else if (kind < 68) this.keep(b.load(random.pick(LOADS), this.address()));
    else if (kind < 82) {
      const op = random.pick(STORES);
      b.store(op, this.address(), this.value(operations[op].operands[1], 2));
    } else if (kind < 88) this.callHelper();
    else if (kind < 92) b.exitIf(this.seldom(), 64 + random.below(4), random.below(100));
    else this.keep(this.getSlot(random.pick(["i64", "i32", "f64", "v128"])));
  }

  private keep(node: number): number {
    (this.known[this.b.typeOf(node)] ??= []).push(node);
    return node;
  }

  private getSlot(type: StateSlot["type"]): number {
    const list = this.usable[type];
    return list.length === 0 ? this.constant(type) : this.b.get(this.random.pick(list));
  }

  private setSlot(): void {
    const type = this.random.pick(["i64", "i64", "i64", "i32", "f64", "v128"] as const);
    const list = this.usable[type];
    if (list.length > 0) this.b.set(this.random.pick(list), this.value(type, 3));
  }

  private callHelper(): void {
    const { b, random } = this;
    const helper = random.below(helpers.length);
    const result = b.callHelper(
      helper,
      helpers[helper].parameters.map((type) => this.value(type, 2)),
    );
    if (result >= 0) this.keep(result);
  }

  // Values.

  private constant(type: ValueType): number {
    const { b, random } = this;
    const small = random.chance(0.6);
    if (type === "i32") return b.i32(small ? random.below(20) - 4 : random.i32());
    if (type === "i64" && random.chance(0.2)) {
      const at = FIELD_STRIDE * this.fields++;
      return b.field(this.fieldValue(at, random.i32()), at);
    }
    if (type === "i64") return small ? b.i64(random.below(20) - 4) : b.i64(random.i32(), random.i32());
    if (type === "f32") return b.unary(Op.f32ReinterpretI32, b.i32(random.i32()));
    if (type === "f64") return b.unary(Op.f64ReinterpretI64, b.i64(random.i32(), random.i32()));
    return b.v128(Array.from({ length: 16 }, () => random.below(256)));
  }

  private value(type: ValueType, depth: number): number {
    const { random } = this;
    const list = this.known[type];
    const choice = random.below(10);
    if (list !== undefined && choice < 4) return list[Math.max(random.below(list.length), random.below(list.length))];
    if (choice < 6 && depth > 0) return this.pure(type, depth - 1);
    if (choice < 9 && type !== "f32") return this.keep(this.getSlot(type));
    if (choice < 9 && list !== undefined) return random.pick(list);
    return this.keep(this.constant(type));
  }

  private pure(type: ValueType, depth: number): number {
    const { b, random } = this;
    const all = PURE_BY_RESULT.get(type)!;
    const usual = USUAL.filter((op) => operations[op].result === type);
    const op = usual.length > 0 && random.chance(0.6) ? random.pick(usual) : random.pick(all);
    if (type === "i64" && random.chance(0.05)) return b.address(random.below(2000) - 1000);
    if (type === "i32" && random.chance(0.03)) {
      return b.binary(Op.i32RemU, this.value("i32", depth), b.binary(Op.i32Or, this.value("i32", depth), b.i32(1)));
    }
    const { operands, immediate, name } = operations[op];
    const values = operands.map((operand) => this.value(operand, depth));
    const [first, second, third] = values;
    if (immediate === "lane") {
      const lanes = 16 / (Number.parseInt(/^[if](\d+)x/.exec(name)![1], 10) / 8);
      const lane = random.below(lanes);
      return values.length === 1 ? b.extractLane(op, first, lane) : b.replaceLane(op, first, second, lane);
    }
    // Few different ones: each is a function of its own to the evaluator.
    if (immediate === "shuffle") {
      const step = 1 + random.below(4);
      return b.shuffle(
        first,
        second,
        Array.from({ length: 16 }, (_, index) => (index * step + step) % 32),
      );
    }
    if (name.startsWith("select")) return b.select(first, second, third);
    if (values.length === 1) return b.unary(op, first);
    return values.length === 2 ? b.binary(op, first, second) : b.ternary(op, first, second, third);
  }

  /** Often near the one before in the block, so that one look-up may serve both. */
  private address(): number {
    const { b, random } = this;
    const near = this.nearby >= 0 && random.chance(0.5);
    if (near) {
      const sum = b.binary(Op.i64Add, this.nearby, b.i64(random.below(80) - 40));
      // As code of 32 bits has it.
      return this.keep(random.chance(0.3) ? b.unary(Op.i64ExtendI32U, b.unary(Op.i32WrapI64, sum)) : sum);
    }
    return (this.nearby = this.freshAddress());
  }

  private freshAddress(): number {
    const { b, random } = this;
    const place = random.pick(virtualPages) * BigInt(PAGE_BYTES);
    const nearEnd = random.chance(0.4);
    const offset = nearEnd ? PAGE_BYTES - 1 - random.below(18) : random.below(PAGE_BYTES);
    const halves = (value: bigint): number =>
      b.i64(Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n)));
    switch (random.below(5)) {
      case 0:
        return this.keep(halves(place + BigInt(offset)));
      case 1:
        return this.keep(this.getSlot("i64"));
      case 2:
        return this.value("i64", 1);
      default:
        return this.keep(b.binary(Op.i64Add, b.binary(Op.i64And, this.getSlot("i64"), b.i64(0xfff)), halves(place)));
    }
  }

  private condition(): number {
    const { b, random } = this;
    if (random.chance(0.4)) return b.binary(Op.i32And, this.value("i32", 2), b.i32(1 + random.below(3)));
    return this.pure("i32", 2);
  }

  private seldom(): number {
    const { b } = this;
    return b.binary(Op.i32Eq, b.binary(Op.i32And, this.value("i32", 2), b.i32(7)), b.i32(5));
  }

  // Ends of blocks.

  private target(): number {
    const { random } = this;
    return random.chance(0.88) ? random.pick(this.targets) : blockKey(random.pick(this.outside));
  }

  /** In a region that dispatches, mostly to one of its blocks. */
  private jumpIndirect(): void {
    const { b, random } = this;
    const dispatches = b.dispatchTargets.length > 0 && random.chance(0.9);
    const inside = dispatches && random.chance(0.8);
    const address = inside ? b.address(keyOffset(random.pick(this.targets))) : this.value("i64", 1);
    b.jumpIndirect(address, dispatches);
  }

  private terminate(): void {
    const { b, random } = this;
    const kind = b.dispatchTargets.length > 0 && random.chance(0.3) ? 66 : random.below(100);
    if (kind < 22) b.jump(this.target());
    else if (kind < 66) b.branch(this.condition(), this.target(), this.target());
    else if (kind < 70) this.jumpIndirect();
    else if (kind < 79) b.call(random.chance(0.3) ? this.target() : blockKey(random.pick(this.outside)), this.target());
    else if (kind < 83) b.callIndirect(this.value("i64", 1), this.target());
    else if (kind < 87) b.return(this.value("i64", 2));
    else if (kind < 94) b.service(random.below(5), this.target());
    else b.exit(70 + random.below(4), random.below(1000), random.chance(0.5) ? this.target() : undefined);
  }
}

export function randomRegion(
  random: Random,
  sizes: Sizes,
  fieldValue: FieldValue = (_, value) => value,
): RegionBuilder {
  return new RegionMaker(random, sizes, fieldValue).make();
}
