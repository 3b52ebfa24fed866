/** Processes of the invented instruction set: one engine, one memory, one code heap; an address space for each process. */
import { type Context, Engine, type EntryCodeAt, Header, RESERVED_SLOTS } from "@doppel/dbt-core";
import { GRANULE_SHIFT, PAGE_BYTES, PhysicalMemory, SoftTlb, softTlbShape } from "@doppel/guard-memory";
import { CodeHeap, type Fragment, TrampolineTable } from "@doppel/trampolines";
import { assemble, InventedFrontend, type Program, REGISTERS } from "./isa.ts";

const UNMAPPED = -1;
const WRITABLE_AND_EXECUTABLE = 3;

export interface MachineOptions {
  readonly entryCode?: EntryCodeAt;
  /** What "native" of the frontend's helpers does. */
  readonly native?: (context: number, id: number) => number;
}

export class Machine {
  readonly memory: PhysicalMemory = new PhysicalMemory(4 << 20);
  readonly heap: CodeHeap<WebAssembly.Module> = new CodeHeap(RESERVED_SLOTS);
  readonly engine: Engine<Fragment<WebAssembly.Module>>;
  readonly frontend: InventedFrontend = new InventedFrontend();

  constructor({ entryCode, native = () => 0 }: MachineOptions = {}) {
    const { memory, heap, frontend } = this;
    this.engine = new Engine<Fragment<WebAssembly.Module>>({
      memory,
      heap,
      frontend,
      helpers: { native },
      granuleShift: GRANULE_SHIFT,
      tlb: { shape: softTlbShape, create: (offset) => new SoftTlb(memory.words, offset) },
      createTable: () => new TrampolineTable(heap),
      // Service 1 prints r1, and goes on.
      service: (context) => {
        console.log(memory.view.getBigInt64(context.pointer + REGISTERS + 8, true));
        return false;
      },
      ...(entryCode === undefined ? {} : { entryCode }),
    });
  }

  /** Fresh pages with a program on them. */
  load(program: Program): number[] {
    const bytes = assemble(program);
    return Array.from({ length: Math.ceil(bytes.length / PAGE_BYTES) }, (_, index) => {
      const page = this.memory.allocatePage();
      this.memory.bytes.set(bytes.subarray(index * PAGE_BYTES, (index + 1) * PAGE_BYTES), page * PAGE_BYTES);
      return page;
    });
  }
}

export class Process {
  readonly context: Context;
  private readonly machine: Machine;
  private readonly pages: Map<number, number> = new Map();

  constructor(machine: Machine) {
    this.machine = machine;
    this.context = machine.engine.createContext({
      translate: (address) => {
        const page = this.pages.get(Math.floor(address / PAGE_BYTES));
        return page === undefined ? UNMAPPED : (page << 2) | WRITABLE_AND_EXECUTABLE;
      },
    })!;
  }

  /** Lets the process see physical pages, one after the other, from an address on. */
  map(address: number, pages: readonly number[]): this {
    pages.forEach((page, index) => this.pages.set(address / PAGE_BYTES + index, page));
    this.context.invalidate(address, pages.length * PAGE_BYTES);
    return this;
  }

  unmap(address: number): void {
    this.pages.delete(address / PAGE_BYTES);
    this.context.invalidate(address, PAGE_BYTES);
  }

  /** Where it stopped; and the address that a page fault is about. */
  get at(): bigint {
    return this.machine.memory.view.getBigInt64(this.context.pointer + Header.instructionPointer, true);
  }
  get fault(): bigint {
    return this.machine.memory.view.getBigInt64(this.context.pointer + Header.faultAddress, true);
  }

  /** Runs from an address until something stops it; returns the exit code. */
  run(address: number): number {
    this.machine.memory.view.setBigInt64(this.context.pointer + Header.instructionPointer, BigInt(address), true);
    return this.context.run(1_000_000_000);
  }
}
