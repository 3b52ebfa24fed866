/** Processes of the invented instruction set over one engine, memory and code heap: the true packages, no doubles. */
import {
  type Context,
  Engine,
  type EngineOptions,
  FAULT_NON_CANONICAL,
  Header,
  RESERVED_SLOTS,
  type ServiceHandler,
} from "@doppel/dbt-core";
import {
  GRANULE_SHIFT,
  type GuardPolicyChoice,
  PAGE_BYTES,
  PhysicalMemory,
  SoftTlb,
  softTlbShape,
} from "@doppel/guard-memory";
import { CodeHeap, type CodeHeapOptions, type Fragment, TrampolineTable } from "@doppel/trampolines";
import { assemble, type Program, REGISTER_OFFSET, ToyFrontend } from "./toy-frontend.ts";

type WasmFragment = Fragment<WebAssembly.Module>;

/** What a page table answers where it has nothing. */
export const Fault = { unmapped: -1, protection: -2 } as const;

interface Mapping {
  readonly page: number;
  readonly writable: boolean;
  readonly executable: boolean;
}

export class ToyHost {
  readonly memory: PhysicalMemory;
  readonly heap: CodeHeap<WebAssembly.Module>;
  readonly engine: Engine<WasmFragment>;
  readonly tables: TrampolineTable<WebAssembly.Module>[] = [];
  /** Asked by `svc`; whether to leave. */
  service: ServiceHandler = () => false;

  constructor(
    translator: NonNullable<EngineOptions<WasmFragment>["translator"]> = {},
    memoryBytes: number = 4 << 20,
    guardPolicy: GuardPolicyChoice = "by page",
    heapOptions: CodeHeapOptions = {},
    translationBudget = 0,
  ) {
    this.heap = new CodeHeap(RESERVED_SLOTS, heapOptions);
    this.memory = new PhysicalMemory(memoryBytes, { guardPolicy });
    const { memory, heap } = this;
    this.engine = new Engine<WasmFragment>({
      memory,
      heap,
      frontend: new ToyFrontend(),
      helpers: {},
      granuleShift: GRANULE_SHIFT,
      tlb: { shape: softTlbShape, create: (offset) => new SoftTlb(memory.words, offset) },
      createTable: () => new NotedTable(heap, this.tables),
      translator,
      translationBudget,
      service: (context, code) => this.service(context, code),
    });
  }

  /** Fragments made so far, discarded or not. */
  get translated(): number {
    return this.heap.statistics.fragments;
  }
  get discards(): number {
    return this.engine.statistics.discards;
  }

  /** Writes as a system call or a device does: told to the guards. */
  deviceWrite(page: number, offset: number, bytes: ArrayLike<number>): void {
    this.memory.noteWrite(page, offset, bytes.length);
    this.memory.bytes.set(bytes, this.memory.pageOffset(page) + offset);
  }
}

/** Notes, at the end of a list, that a process has begun to run through it. */
class NotedTable extends TrampolineTable<WebAssembly.Module> {
  private readonly occupied: TrampolineTable<WebAssembly.Module>[];

  constructor(heap: CodeHeap<WebAssembly.Module>, occupied: TrampolineTable<WebAssembly.Module>[]) {
    super(heap);
    this.occupied = occupied;
  }

  override occupy(): void {
    super.occupy();
    this.occupied.push(this);
  }
}

export class ToyProcess {
  readonly host: ToyHost;
  readonly context: Context;
  readonly table: TrampolineTable<WebAssembly.Module>;
  private readonly mappings: Map<number, Mapping> = new Map();
  /** The page tables are asked for the right to write: a page that is shared may get a copy of its own. */
  beforeWrite: (address: number) => void = () => {};

  constructor(host: ToyHost) {
    this.host = host;
    this.context = host.engine.createContext({
      translate: (address, access) => {
        if (address < 0) return FAULT_NON_CANONICAL;
        if (access === 1) this.beforeWrite(address);
        const mapping = this.mappings.get(Math.floor(address / PAGE_BYTES));
        if (mapping === undefined) return Fault.unmapped;
        if ((access === 1 && !mapping.writable) || (access === 2 && !mapping.executable)) return Fault.protection;
        return (mapping.page << 2) | (mapping.writable ? 1 : 0) | (mapping.executable ? 2 : 0);
      },
    })!;
    this.table = host.tables[host.tables.length - 1];
  }

  /** Maps one page: a fresh one, or the one given. Returns its number. */
  map(address: number, page: number = this.host.memory.allocatePage(), rights = "rwx"): number {
    const virtualPage = Math.floor(address / PAGE_BYTES);
    const was = this.mappings.has(virtualPage);
    this.mappings.set(virtualPage, { page, writable: rights.includes("w"), executable: rights.includes("x") });
    if (was) this.context.invalidate(virtualPage * PAGE_BYTES, PAGE_BYTES);
    return page;
  }

  unmap(address: number): void {
    const virtualPage = Math.floor(address / PAGE_BYTES);
    this.mappings.delete(virtualPage);
    this.context.invalidate(virtualPage * PAGE_BYTES, PAGE_BYTES);
  }

  page(address: number): number {
    return this.mappings.get(Math.floor(address / PAGE_BYTES))!.page;
  }

  /** Puts a program there, mapping what is not mapped; only before that memory has run. */
  put(address: number, program: Program): this {
    assemble(program).forEach((byte, index) => {
      const at = address + index;
      if (!this.mappings.has(Math.floor(at / PAGE_BYTES))) this.map(at);
      this.host.memory.bytes[this.hostOffset(at)] = byte;
    });
    return this;
  }

  private hostOffset(address: number): number {
    return this.host.memory.pageOffset(this.page(address)) + (address % PAGE_BYTES);
  }

  byte(address: number): number {
    return this.host.memory.bytes[this.hostOffset(address)];
  }
  word(address: number): bigint {
    return this.host.memory.view.getBigInt64(this.hostOffset(address), true);
  }
  setWord(address: number, value: bigint): void {
    this.host.memory.view.setBigInt64(this.hostOffset(address), value, true);
  }

  register(index: number): bigint {
    return this.host.memory.view.getBigInt64(this.context.pointer + REGISTER_OFFSET + 8 * index, true);
  }
  setRegister(index: number, value: bigint | number): void {
    this.host.memory.view.setBigInt64(this.context.pointer + REGISTER_OFFSET + 8 * index, BigInt(value), true);
  }
  /** Registers 0..7. */
  get registers(): bigint[] {
    return Array.from({ length: 8 }, (_, index) => this.register(index));
  }

  get pc(): bigint {
    return this.host.memory.view.getBigUint64(this.context.pointer + Header.instructionPointer, true);
  }
  set pc(address: bigint | number) {
    this.host.memory.view.setBigUint64(
      this.context.pointer + Header.instructionPointer,
      BigInt.asUintN(64, BigInt(address)),
      true,
    );
  }

  /** What the last fault was: its address (unsigned), access (0 read, 1 write, 2 execute), and the page table's answer. */
  get fault(): { address: bigint; access: number; reason: number } {
    const { view } = this.host.memory;
    const { pointer } = this.context;
    return {
      address: view.getBigUint64(pointer + Header.faultAddress, true),
      access: view.getInt32(pointer + Header.faultAccess, true),
      reason: view.getInt32(pointer + Header.exitPayload, true),
    };
  }

  get payload(): number {
    return this.host.memory.view.getInt32(this.context.pointer + Header.exitPayload, true);
  }

  get budget(): number {
    return this.host.memory.view.getInt32(this.context.pointer + Header.budget, true);
  }

  /** Runs, from `start` if given; returns the exit code. */
  run(start?: number, budget = 1_000_000): number {
    if (start !== undefined) this.pc = start;
    return this.context.run(budget);
  }
}

/** A process of its own with the program at an address, ready to run there. */
export function toyProcess(program: Program, at = 0x10000, host: ToyHost = new ToyHost()): ToyProcess {
  const process = new ToyProcess(host).put(at, program);
  process.pc = at;
  return process;
}
