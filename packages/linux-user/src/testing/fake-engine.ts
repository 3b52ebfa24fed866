// An engine without a processor, for tests of the kernel: a thread's program is a generator that yields what real code
// would make the engine stop for, and is given the result.

import type {
  Access,
  AddressSpacePort,
  EngineContext,
  EngineExit,
  ExecutionEngine,
  ExitReason,
  GuestCpu,
  GuestMode,
  PhysicalMemoryPort,
} from "../engine-port.ts";
import { PAGE_BYTES, R10, R8, R9, RAX, RBP, RBX, RCX, RDI, RDX, RSI, RSP } from "../engine-port.ts";

/** A system call by number, or another exit. The value of `yield` is rax afterwards. */
export type Step =
  | { readonly call: number; readonly args?: readonly number[]; readonly child?: () => Program }
  | { readonly exit: ExitReason; readonly address?: number; readonly access?: Access; readonly fault?: number }
  | { readonly load: number }
  | { readonly store: number; readonly value: number };
export type Program = Generator<Step, void, number>;

export class FakeMemory implements PhysicalMemoryPort {
  bytes: Uint8Array;
  readonly totalPages: number;
  readonly #free: number[] = [];
  readonly written: Set<number> = new Set();

  constructor(pages: number) {
    this.totalPages = pages;
    this.bytes = new Uint8Array((pages + 1) * PAGE_BYTES);
    for (let page = pages; page > 0; page--) this.#free.push(page);
  }

  get freePages(): number {
    return this.#free.length;
  }

  allocatePage(): number {
    const page = this.#free.pop() ?? 0;
    if (page !== 0) this.bytes.fill(0, page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
    return page;
  }

  freePage(page: number): void {
    this.#free.push(page);
  }

  pageOffset(page: number): number {
    return page * PAGE_BYTES;
  }

  noteWrite(page: number): void {
    this.written.add(page);
  }
}

const ARGUMENTS_64 = [RDI, RSI, RDX, R10, R8, R9];
const ARGUMENTS_32 = [RBX, RCX, RDX, RSI, RDI, RBP];

export class FakeCpu implements GuestCpu {
  readonly registers: Int32Array = new Int32Array(32);
  rip = 0;
  flags = 0x202;
  fsBase = 0;
  gsBase = 0;
  readonly segments: number[] = [0, 0x33, 0x2b, 0, 0, 0];
  readonly tls: Map<number, number | null> = new Map();
  extended: Uint8Array = new Uint8Array(512);
  readonly extendedStateBytes = 512;
  readonly extendedFeatures = 3;
  mode: GuestMode;
  /** Programs in progress: handlers lie on top of what they interrupted. */
  readonly programs: { program: Program; rip: number }[] = [];
  child: (() => Program) | undefined;

  constructor(mode: GuestMode) {
    this.mode = mode;
  }

  getLo(register: number): number {
    return this.registers[register * 2];
  }

  getHi(register: number): number {
    return this.registers[register * 2 + 1];
  }

  setRegister(register: number, lo: number, hi: number): void {
    this.registers[register * 2] = lo;
    this.registers[register * 2 + 1] = hi;
  }

  value(register: number): number {
    return (this.getLo(register) >>> 0) + this.getHi(register) * 2 ** 32;
  }

  set(register: number, value: number): void {
    this.setRegister(register, value | 0, Math.floor(value / 2 ** 32) | 0);
  }

  getSegment(segment: number): number {
    return this.segments[segment];
  }

  setSegment(segment: number, selector: number): void {
    this.segments[segment] = selector;
  }

  setTlsDescriptor(entry: number, base: number | null): void {
    this.tls.set(entry, base);
  }

  saveExtendedState(into: Uint8Array): void {
    into.set(this.extended);
  }

  loadExtendedState(from: Uint8Array): void {
    this.extended = from.slice(0, 512);
  }

  copyFrom(other: GuestCpu): void {
    const fake = other as FakeCpu;
    this.registers.set(fake.registers);
    this.rip = fake.rip;
    this.flags = fake.flags;
    this.fsBase = fake.fsBase;
    this.gsBase = fake.gsBase;
    this.extended = fake.extended.slice();
    if (fake.child !== undefined) this.programs.push({ program: fake.child(), rip: this.rip });
  }

  reset(mode: GuestMode): void {
    this.mode = mode;
    this.registers.fill(0);
  }
}

export class FakeContext implements EngineContext {
  readonly #engine: FakeEngine;
  readonly #space: AddressSpacePort;
  readonly invalidations: [number, number][] = [];

  constructor(engine: FakeEngine, space: AddressSpacePort) {
    this.#engine = engine;
    this.#space = space;
  }

  createCpu(mode: GuestMode): GuestCpu {
    return new FakeCpu(mode);
  }

  run(cpu: GuestCpu): EngineExit {
    const fake = cpu as FakeCpu;
    const exit = { reason: "budget" as ExitReason, address: 0, access: 0 as Access, fault: 0, spent: 1 };
    for (;;) {
      let top = fake.programs.at(-1);
      if (top !== undefined && fake.rip === top.rip - 2) {
        // The kernel set rip back to the system call instruction.
        fake.rip = top.rip;
        return { ...exit, reason: fake.mode === "x86-64" ? "syscall64" : "syscall32" };
      }
      if (top === undefined || top.rip !== fake.rip) {
        // A new program at this address: the start, or a signal handler.
        const make = this.#engine.code.get(fake.rip);
        if (make === undefined) {
          return { ...exit, reason: "page-fault", address: fake.rip, access: 2, fault: -1 };
        }
        top = { program: make(fake), rip: fake.rip };
        fake.programs.push(top);
      }
      const next = top.program.next(fake.value(RAX));
      if (next.done === true) {
        fake.programs.pop();
        if (fake.programs.length === 0) return { ...exit, reason: "halt" };
        // A handler returns: `ret` pops its address, which calls rt_sigreturn.
        fake.set(RSP, fake.value(RSP) + 8);
        fake.set(RAX, 15);
        fake.rip = fake.programs.at(-1)!.rip;
        return { ...exit, reason: "syscall64" };
      }
      const step = next.value;
      if ("call" in step) {
        const wide = fake.mode === "x86-64";
        step.args?.forEach((value, index) => fake.set((wide ? ARGUMENTS_64 : ARGUMENTS_32)[index], value));
        fake.set(RAX, step.call);
        fake.child = step.child;
        return { ...exit, reason: wide ? "syscall64" : "syscall32" };
      }
      if ("exit" in step) {
        return {
          ...exit,
          reason: step.exit,
          address: step.address ?? 0,
          access: step.access ?? 0,
          fault: step.fault ?? 0,
        };
      }
      const address = "load" in step ? step.load : step.store;
      const translation = this.#space.translate(address, "load" in step ? 0 : 1);
      if (translation < 0) {
        return { ...exit, reason: "page-fault", address, access: "load" in step ? 0 : 1, fault: translation };
      }
      const offset = (translation >> 2) * PAGE_BYTES + (address % PAGE_BYTES);
      if ("load" in step) fake.set(RAX, this.#engine.memory.bytes[offset]);
      else this.#engine.memory.bytes[offset] = step.value;
    }
  }

  invalidate(start: number, length: number): void {
    this.invalidations.push([start, length]);
  }

  readonly codeUse: EngineContext["codeUse"] = { linked: 0, traps: 0, translated: 0, ready: 0 };
  serve: EngineContext["serve"] = null;

  invalidateWrites(): void {}

  invalidateAll(): void {
    this.invalidations.push([0, Infinity]);
  }

  fork(space: AddressSpacePort): EngineContext {
    return new FakeContext(this.#engine, space);
  }

  dispose(): void {}
}

export class FakeEngine implements ExecutionEngine {
  readonly memory: FakeMemory;
  readonly hwcap = 0x178bfbff;
  /** Programs by guest-virtual address. */
  readonly code: Map<number, (cpu: FakeCpu) => Program> = new Map();

  constructor(pages: number = 4096) {
    this.memory = new FakeMemory(pages);
  }

  createContext(space: AddressSpacePort): EngineContext {
    return new FakeContext(this, space);
  }
}
