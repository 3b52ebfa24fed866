/** Random regions as threaded code and as emitted, cold and hot, in a real WebAssembly instance, against the interpreter. */
import { ImportModule, ModuleEmitter } from "../emit/module-emitter.ts";
import { FlowGraph } from "../emit/flow-graph.ts";
import { separateEntry } from "../emit/loop-entry.ts";
import { unrollLoops } from "../emit/loop-unrolling.ts";
import { type SupportExports, supportModule } from "../emit/support-module.ts";
import { OTHER_ENTRY } from "../emit/region-frame.ts";
import { keyOffset, type RegionBuilder } from "../ir/region.ts";
import { type CodeLayout, Header } from "../layout.ts";
import { formatFunction, formatRegion, readModule } from "../text/index.ts";
import { ThreadedAssembler } from "../threaded/assembler.ts";
import { enterThreaded } from "../threaded/instance.ts";
import { CELL_BYTES } from "../threaded/record.ts";
import { threadedModule } from "../threaded/threaded-module.ts";
import { ByteWriter } from "../wasm/byte-writer.ts";
import { type Edges, interpret } from "./ir-interpreter.ts";
import type { Value } from "./pure-evaluator.ts";
import { Random } from "./random.ts";
import { helpers, randomRegion, type Sizes, virtualPages } from "./random-region.ts";
import { hostOf, Place, TestMachine } from "./test-machine.ts";

const MEMORY_PAGES = 2;
const Slot = { trap: 1, leave: 2, threaded: 3, transfer: 6, promoted: 7, firstLink: 8, firstRegion: 128 } as const;
const TLB_BITS = 3;
const TLB_ENTRY = 32;
const layout: CodeLayout = {
  cells: 4096,
  tlb: {
    offset: 4096 + CELL_BYTES,
    indexBits: TLB_BITS,
    entryShift: 5,
    readTag: 0,
    writeTag: 16,
    addend: 8,
    state: 12,
    byGranule: 8,
    pageShift: 12,
  },
  guardWords: 0,
  jumpCache: { offset: 4096 + CELL_BYTES + (TLB_ENTRY << TLB_BITS), indexBits: 2 },
};
const forms = ["cold", "hot", "threaded"] as const;
type Form = (typeof forms)[number];
const JUMP_CACHE_WAY = 16;
const JUMP_CACHE_SET = 32;

/** More host stack than any frame takes: a region has room for so many calls, and a callee for one less. */
const CALL_ROOM = 2 ** 18;
const callsLeft = (room: number): number => Math.floor(room / CALL_ROOM);

type RegionFunction = (context: number, address: bigint, slot: number, depth: number) => bigint;

/** A WebAssembly function that calls JavaScript, to be put into the table. */
function adapter(call: RegionFunction): CallableFunction {
  const out = new ByteWriter(64);
  out.raw(Uint8Array.of(0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00));
  out.raw(Uint8Array.of(1, 9, 1, 0x60, 4, 0x7f, 0x7e, 0x7f, 0x7f, 1, 0x7e));
  out.raw(Uint8Array.of(2, 7, 1, 1, 0x68, 1, 0x63, 0, 0));
  out.raw(Uint8Array.of(7, 5, 1, 1, 0x66, 0, 0));
  const instance = new WebAssembly.Instance(new WebAssembly.Module(out.toBytes()), { h: { c: call } });
  return instance.exports["f"] as CallableFunction;
}

/** A machine that emitted code runs in: slow paths, table, support module. */
class EmittedMachine {
  readonly machine: TestMachine;
  readonly table: WebAssembly.Table;
  readonly imports: WebAssembly.Imports;
  private readonly enter: RegionFunction;
  /** What the reference's transfers answered. */
  script: readonly bigint[] = [];
  private readonly memory: WebAssembly.Memory;
  private readonly support: SupportExports;
  private random: Random = new Random(0);

  constructor() {
    this.memory = new WebAssembly.Memory({ initial: MEMORY_PAGES, maximum: MEMORY_PAGES });
    this.machine = new TestMachine(this.memory.buffer);
    this.table = new WebAssembly.Table({ initial: 256, element: "anyfunc" });
    const { machine } = this;
    const environment = { memory: this.memory, table: this.table };
    const instance = new WebAssembly.Instance(new WebAssembly.Module(supportModule(layout, MEMORY_PAGES)), {
      e: environment,
      j: {
        resolve: (_context: number, low: number, high: number, slot: number) => this.resolve(low, high, slot),
        promote: () => Slot.promoted,
        compile: () => Slot.promoted,
        slowLoad: (_context: number, low: number, high: number, info: number) => this.slowLoad(low, high, info),
        slowStore: (_context: number, low: number, high: number, valueLow: number, valueHigh: number, info: number) => {
          machine.view.setInt32(Place.context + Header.storeValue, valueLow, true);
          machine.view.setInt32(Place.context + Header.storeValue + 4, valueHigh, true);
          return this.slowStore(low, high, info);
        },
        slowStoreVector: (_context: number, low: number, high: number, info: number) => this.slowStore(low, high, info),
      },
    });
    this.support = instance.exports as unknown as SupportExports;
    const transfer: RegionFunction = (_context, address, slot, depth) => {
      const { length } = machine.results;
      return machine.transfer(address, slot, callsLeft(depth), undefined, this.script[length] ?? -1n);
    };
    const promoted: RegionFunction = (_context, address, slot, depth) =>
      machine.promote(address, slot, callsLeft(depth));
    this.table.set(Slot.trap, this.support.trap);
    this.table.set(Slot.leave, this.support.leave);
    this.table.set(Slot.transfer, adapter(transfer));
    this.table.set(Slot.promoted, adapter(promoted));
    const { run: _run, trap: _trap, leave: _leave, copySlot: _copySlot, compile: _compile, ...callable } = this.support;
    this.imports = {
      [ImportModule.engine]: {
        ...environment,
        ...callable,
        service: (_context: number, code: number) => (machine.service(code) ? 1 : 0),
      },
      [ImportModule.helpers]: Object.fromEntries(
        helpers.map(({ name, result }, index) => [
          name,
          (_context: number, ...values: Value[]) => {
            const answer = machine.helper(index, values);
            return result === "f64" ? new Float64Array(BigInt64Array.of(answer as bigint).buffer)[0] : answer;
          },
        ]),
      ),
    };
    this.enter = enterThreaded(new WebAssembly.Module(threadedModule(layout, MEMORY_PAGES)), {
      view: machine.view,
      helpers,
      imports: this.imports,
      support: this.support,
    }) as RegionFunction;
    machine.disturb = () => {
      if (this.random.chance(0.2)) this.flush();
    };
  }

  /** Puts the module's functions into the table. */
  instantiate(bytes: Uint8Array<ArrayBuffer>): WebAssembly.Instance {
    return new WebAssembly.Instance(new WebAssembly.Module(bytes), this.imports);
  }

  /** Puts a unit of threaded code where `runThreaded` finds it. */
  place(unit: Uint8Array): void {
    new Uint8Array(this.memory.buffer).set(unit, Place.units);
  }

  /** Runs the unit that was placed last. */
  runThreaded(entry: number, address: bigint, slot: number, depth: number, bySlot: boolean): bigint {
    const { view } = this.machine;
    view.setInt32(Place.context + Header.slotEntries, bySlot ? Place.slotEntries : 0, true);
    view.setInt32(Place.slotEntries + 4 * slot, Place.units + entry, true);
    const at = this.jumpCacheEntry(Number(BigInt.asIntN(32, address)), Number(BigInt.asIntN(32, address >> 32n)));
    view.setBigInt64(at, address, true);
    view.setInt32(at + 8, Slot.threaded, true);
    view.setInt32(at + 12, Place.units + entry, true);
    return this.enter(Place.context, address, slot, depth);
  }

  private jumpCacheEntry(low: number, high: number): number {
    const index = (low ^ ((low >>> 12) | (high << 20))) & 3;
    return Place.context + layout.jumpCache.offset + index * JUMP_CACHE_SET + (low & 1) * JUMP_CACHE_WAY;
  }

  begin(seed: number, script: readonly bigint[]): void {
    this.machine.begin(seed);
    this.script = script;
    this.random = new Random(seed ^ 0x55aa);
    this.flush();
    for (let slot = Slot.firstLink; slot < Slot.firstRegion; slot++) this.support.copySlot(slot, Slot.trap);
    for (const page of virtualPages) if (this.random.chance(0.5)) this.fill(page);
  }

  private resolve(low: number, high: number, slot: number): number {
    this.machine.view.setInt32(Place.context + Header.instructionPointer, low, true);
    this.machine.view.setInt32(Place.context + Header.instructionPointer + 4, high, true);
    if (slot > 0 && this.random.chance(0.5)) this.support.copySlot(slot, Slot.transfer);
    if (slot === 0 && this.random.chance(0.5)) {
      const at = this.jumpCacheEntry(low, high);
      this.machine.view.setInt32(at, low, true);
      this.machine.view.setInt32(at + 4, high, true);
      this.machine.view.setInt32(at + 8, Slot.transfer, true);
    }
    return Slot.transfer;
  }

  // The TLB, filled now and then.

  private entry(page: bigint): number {
    return Place.context + layout.tlb.offset + TLB_ENTRY * Number(page & ((1n << BigInt(TLB_BITS)) - 1n));
  }

  private flush(): void {
    const { view } = this.machine;
    for (let index = 0; index < 1 << TLB_BITS; index++) {
      const at = this.entry(BigInt(index));
      for (const tag of [at, at + layout.tlb.writeTag]) {
        view.setBigInt64(tag, BigInt((index ^ 1) << 12), true);
        view.setInt32(tag + layout.tlb.addend, 0x7fffffff, true);
      }
    }
    for (let index = 0; index < 1 << layout.jumpCache.indexBits; index++) {
      const set = Place.context + layout.jumpCache.offset + index * JUMP_CACHE_SET;
      for (const way of [set, set + JUMP_CACHE_WAY]) view.setBigInt64(way, BigInt(index ^ 1), true);
    }
  }

  private fill(page: bigint): void {
    const mapping = hostOf(page);
    if (mapping === undefined) return;
    const { view } = this.machine;
    const at = this.entry(page);
    const none = ((page & ((1n << BigInt(TLB_BITS)) - 1n)) ^ 1n) << 12n;
    for (const tag of [at, at + layout.tlb.writeTag]) {
      const hits = tag === at || mapping.writable;
      view.setBigUint64(tag, hits ? BigInt.asUintN(64, page << 12n) : none, true);
      view.setInt32(tag + layout.tlb.addend, mapping.host - Number(BigInt.asIntN(32, page << 12n)), true);
    }
  }

  private look(low: number, high: number): bigint {
    const address = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
    if (this.random.chance(0.7)) this.fill(address >> 12n);
    return address;
  }

  private fails(info: number): void {
    this.machine.view.setInt32(Place.context + Header.exitOffset, info >> 8, true);
  }

  private slowLoad(low: number, high: number, info: number): number {
    const { view } = this.machine;
    const size = info & 0xff;
    const value = this.machine.load(this.look(low, high), size);
    if (value === undefined) {
      this.fails(info);
      return 0;
    }
    view.setBigUint64(Place.context + Header.bounce, BigInt.asUintN(64, value), true);
    view.setBigUint64(Place.context + Header.bounce + 8, value >> 64n, true);
    return Place.context + Header.bounce;
  }

  private slowStore(low: number, high: number, info: number): number {
    const { view } = this.machine;
    const size = info & 0xff;
    const at = Place.context + Header.storeValue;
    const whole = (view.getBigUint64(at + 8, true) << 64n) | view.getBigUint64(at, true);
    if (this.machine.store(this.look(low, high), size, BigInt.asUintN(8 * size, whole))) return 0;
    this.fails(info);
    return 1;
  }
}

/** What one seed stands for. */
interface Case {
  readonly seed: number;
  readonly region: RegionBuilder;
  readonly graph: Edges;
  readonly links: Map<number, number>;
  readonly narrow: boolean;
}

/** Where a batch's regions behave otherwise than the interpreter, as text: empty when all is well. */
export class DifferentialTest {
  private readonly emitted: EmittedMachine = new EmittedMachine();
  private readonly reference: TestMachine = new TestMachine(new ArrayBuffer(Place.end));
  private readonly emitter: ModuleEmitter = new ModuleEmitter(layout, helpers, MEMORY_PAGES);
  private readonly assembler: ThreadedAssembler = new ThreadedAssembler(layout.cells);
  /** Runs of each region in each form. */
  private readonly runs: number;
  executed = 0;

  constructor(runs = 3) {
    this.runs = runs;
  }

  /** `count` seeds from `first` on; they share a module. The first difference found is described. */
  check(first: number, count: number, sizes: Sizes): { seed: number; text: string } | undefined {
    const cases: Case[] = [];
    this.emitter.begin();
    for (let seed = first; seed < first + count; seed++) {
      const random = new Random(seed);
      const region = randomRegion(random, sizes);
      if (seed % 2 === 0) {
        separateEntry(region);
        unrollLoops(region);
      }
      const graph = new FlowGraph();
      graph.build(region);
      const links = new Map<number, number>();
      const current: Case = { seed, region, graph, links, narrow: random.chance(0.3) };
      const slotFor = slotsOf(links);
      for (const counter of [this.counterPlace(cases.length), 0]) {
        try {
          this.emitter.addRegion(region, { slotFor }, { narrowAddresses: current.narrow, counter });
        } catch (error) {
          return {
            seed,
            text: `${formatRegion(region)}\nemitting it: ${error instanceof Error ? error.stack : String(error)}`,
          };
        }
      }
      cases.push(current);
    }
    const bytes = this.emitter.finish(Slot.firstRegion);
    if (this.emitted.table.length < Slot.firstRegion + 2 * count) this.emitted.table.grow(2 * count);
    try {
      this.emitted.instantiate(bytes);
    } catch (error) {
      return { seed: first, text: `${first}..${first + count - 1}: ${String(error)}` };
    }
    for (const [index, current] of cases.entries()) {
      for (const [position, form] of forms.entries()) {
        for (let run = 0; run < this.runs; run++) {
          const difference = this.run(current, index, form, run);
          if (difference === undefined) continue;
          const code = form === "threaded" ? "" : formatFunction(readModule(bytes)[2 * index + position]);
          return {
            seed: current.seed,
            text: `${formatRegion(current.region)}\n${code}\n${form}, run ${run}: ${difference}`,
          };
        }
      }
    }
    return undefined;
  }

  private counterPlace(index: number): number {
    return Place.counters + 4 * index;
  }

  private run(
    { seed, region, graph, links, narrow }: Case,
    index: number,
    form: Form,
    run: number,
  ): string | undefined {
    const { emitted, reference } = this;
    const runSeed = Math.imul(seed, 31) + run;
    const random = new Random(runSeed ^ 0x1234);
    const address = narrow
      ? BigInt(random.chance(0.5) ? random.i32() >>> 0 : random.below(2000))
      : BigInt.asIntN(64, random.i64());
    const depth = random.below(3);
    const { dispatchTargets } = region;
    const otherwise = form === "hot" && dispatchTargets.length > 0 && random.chance(0.5);
    const slot = otherwise ? OTHER_ENTRY + keyOffset(random.pick(dispatchTargets)) : 7;
    const counter = form === "hot" ? undefined : random.below(12);
    this.executed++;

    reference.begin(runSeed);
    const expected = interpret(region, form === "threaded" ? threadedEdges(region) : graph, reference, {
      address,
      slot,
      depth,
      narrow,
      slotFor: slotsOf(links),
      counter,
      countsEach: form === "threaded",
    });

    emitted.begin(runSeed, [...reference.results]);
    if (counter !== undefined) emitted.machine.view.setInt32(this.counterPlace(index), counter, true);
    let actual: bigint;
    try {
      if (form === "threaded") {
        if (!this.assembler.assemble(region, { slotFor: slotsOf(links) }, narrow, counter ?? 0)) return undefined;
        emitted.place(this.assembler.bytes.subarray(0, this.assembler.length));
        actual = emitted.runThreaded(this.assembler.entries[1], address, slot, depth * CALL_ROOM, random.chance(0.5));
      } else {
        const code = emitted.table.get(Slot.firstRegion + 2 * index + forms.indexOf(form)) as RegionFunction;
        actual = code(Place.context, address, slot, depth * CALL_ROOM);
      }
    } catch (error) {
      return String(error);
    }
    return (
      firstDifference(
        [...reference.events, reference.outcome(expected)],
        [...emitted.machine.events, emitted.machine.outcome(actual)],
      ) ?? this.memoryDifference()
    );
  }

  private memoryDifference(): string | undefined {
    for (let at = Place.pages; at < Place.end; at++) {
      if (this.reference.bytes[at] === this.emitted.machine.bytes[at]) continue;
      return `memory at ${at.toString(16)}: ${this.reference.bytes[at]} expected, ${this.emitted.machine.bytes[at]} found`;
    }
    return undefined;
  }
}

/** In threaded code every block of the region is reached, and to go back in their order is a loop. */
function threadedEdges(region: RegionBuilder): Edges {
  const blockAt = (key: number): number => region.blockOfKey(key);
  return { blockAt, inside: (_from, key) => blockAt(key), isBackEdge: (from, to) => to <= from };
}

function slotsOf(links: Map<number, number>): (offset: number) => number {
  return (offset) => {
    let slot = links.get(offset);
    if (slot === undefined) links.set(offset, (slot = Slot.firstLink + links.size));
    return slot;
  };
}

function firstDifference(expected: readonly string[], actual: readonly string[]): string | undefined {
  for (let index = 0; index < Math.max(expected.length, actual.length); index++) {
    if (expected[index] === actual[index]) continue;
    const words = (expected[index] ?? "nothing").split(" ");
    const other = (actual[index] ?? "nothing").split(" ");
    const changes = words.flatMap((word, at) => (word === other[at] ? [] : [`${word} expected, ${other[at]} found`]));
    return `event ${index} of ${expected.length}: ${changes.join("; ")}\n  expected ${expected[index] ?? "nothing"}\n  found    ${actual[index] ?? "nothing"}`;
  }
  return undefined;
}

/** The smallest sizes at which some seed near still fails: what people would rather read. */
export function simplify(
  test: DifferentialTest,
  sizes: Sizes,
  seeds: number,
): { seed: number; text: string } | undefined {
  const ladder: Sizes[] = [
    { blocks: 1, instructions: 1, actions: 2, slots: 4 },
    { blocks: 1, instructions: 2, actions: 3, slots: 6 },
    { blocks: 2, instructions: 2, actions: 2, slots: 6 },
    { blocks: 3, instructions: 2, actions: 3, slots: 8 },
    sizes,
  ];
  for (const smaller of ladder) {
    for (let seed = 0; seed < seeds; seed += 16) {
      const failure = test.check(seed, 16, smaller);
      if (failure !== undefined) return failure;
    }
  }
  return undefined;
}
