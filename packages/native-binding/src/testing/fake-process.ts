/** A process without an instruction set: pages with rights, registers, and guest functions that are written in TypeScript. */
import type { Abi } from "../c-types.ts";
import type { BindPoint, LibrarySymbol, NativeFunction } from "../native-function.ts";
import type { NativeFrames } from "../native-frames.ts";
import {
  type BindingSet,
  type BindingStatistics,
  NativeProcess,
  Outcome,
  type ProcessPort,
} from "../native-process.ts";
import { type RegistersPort, RAX, RSP, stackPointer } from "../prototype.ts";

const PAGE_BYTES = 4096;
const PAGES = 64;
/** Guest-virtual page n is page n here, too; page 0 is nobody's. */
const STACK_TOP: number = PAGES * PAGE_BYTES;
/** No code is here: functions are known by these addresses. */
const FUNCTIONS = 0x10_0000;
const RETURN_ADDRESS = 0x20_0000;
const RESUME_DISTANCE = 1;

class FakeRegisters implements RegistersPort {
  readonly general: Int32Array = new Int32Array(32);
  readonly vectors: Int32Array = new Int32Array(64);
  low(register: number): number {
    return this.general[2 * register];
  }
  high(register: number): number {
    return this.general[2 * register + 1];
  }
  set(register: number, low: number, high: number): void {
    this.general[2 * register] = low;
    this.general[2 * register + 1] = high;
  }
  vectorWord(register: number, word: number): number {
    return this.vectors[4 * register + word];
  }
  setVectorWord(register: number, word: number, value: number): void {
    this.vectors[4 * register + word] = value;
  }
}

/** What a guest function does when it is called: its result goes to RAX. It may call others by `process.call`. */
export type GuestFunction = (process: FakeProcess) => number;

export class FakeProcess implements ProcessPort, BindingSet {
  readonly bytes: Uint8Array = new Uint8Array(STACK_TOP);
  readonly view: DataView = new DataView(this.bytes.buffer);
  readonly registers: FakeRegisters = new FakeRegisters();
  abi: Abi = "amd64";
  readonly rights: string[] = Array.from({ length: PAGES }, (_, page) => (page === 0 ? "" : "rw"));
  readonly functions: Map<string, NativeFunction>;
  readonly bindPoints: BindPoint[] = [];
  readonly process: NativeProcess;
  private readonly guestFunctions: GuestFunction[] = [];
  private readonly counts: Map<string, BindingStatistics> = new Map();

  constructor(functions: readonly NativeFunction[] = [], frames?: NativeFrames) {
    this.functions = new Map(functions.map((binding) => [binding.name, binding]));
    this.process = new NativeProcess(this, this, frames);
    this.setStackPointer(STACK_TOP - 256);
  }

  hostRange(low: number, high: number, length: number, write: boolean): number {
    const page = low >>> 12;
    if (high !== 0 || page >= PAGES || (low & 4095) + length > PAGE_BYTES) return 0;
    return this.rights[page].includes(write ? "w" : "r") ? low : 0;
  }
  storeRange(low: number, high: number, length: number): number {
    return this.hostRange(low, high, length, true);
  }
  spend(): void {}
  resolve(symbol: LibrarySymbol): number | undefined {
    const index = this.guestFunctions.findIndex((guest) => guest.name === symbol.name);
    return index < 0 ? undefined : FUNCTIONS + index;
  }
  statistics(name: string): BindingStatistics {
    let count = this.counts.get(name);
    if (count === undefined) this.counts.set(name, (count = { calls: 0, declined: 0, callbacks: 0 }));
    return count;
  }

  /** The guest-virtual address of a guest function. */
  guestFunction(implementation: GuestFunction): number {
    return FUNCTIONS + this.guestFunctions.push(implementation) - 1;
  }

  get stack(): number {
    return stackPointer(this.process);
  }
  setStackPointer(value: number): void {
    this.registers.set(RSP, value, 0);
  }
  setWord(register: number, value: number): void {
    this.registers.set(register, value | 0, Math.floor(value / 2 ** 32) | 0);
  }

  /** Calls the twin as guest code would, and plays guest functions for it; RAX, or undefined when it declined. */
  call(name: string, ...values: readonly number[]): number | undefined {
    const binding = this.functions.get(name)!;
    const resumeAddress = FUNCTIONS * 4 + name.length * 16 + RESUME_DISTANCE;
    const before = this.stack;
    [7, 6, 2, 1, 8, 9].forEach((register, index) => this.setWord(register, values[index] ?? 0));
    // A call is made with the stack aligned to 16 bytes (System V AMD64 ABI 3.2.2).
    const at = before - (before % 16) - 8;
    this.setStackPointer(at);
    this.process.memory.setWord(at, RETURN_ADDRESS);
    let outcome = this.process.call(binding, resumeAddress);
    while (outcome === Outcome.call) {
      const inside = this.stack;
      if (this.process.memory.word(inside) !== resumeAddress) throw new Error("the callee would return elsewhere");
      if (inside % 16 !== 8) throw new Error("the callee's stack is not aligned");
      const result = this.guestFunctions[this.process.target - FUNCTIONS](this);
      this.setWord(RAX, result);
      this.setStackPointer(inside + 8);
      outcome = this.process.resume(resumeAddress);
    }
    if (this.process.memory.word(this.stack) !== RETURN_ADDRESS) throw new Error("the twin would return elsewhere");
    this.setStackPointer(before);
    return outcome === Outcome.returned ? this.registers.low(RAX) : undefined;
  }
}
