/**
 * The translator as a runner: the engine with its soft TLB, regions and helpers as programs meet it, in an address space
 * laid out as the cases expect.
 *
 * The one idea: regions are translated in batches, so a whole chunk of cases is made the callees of one piece of code,
 * the hub; asking for the hub's translation brings all of theirs, in one module. Half of the code pages are translated in
 * haste, as code is that runs for the first time, half with care, as hot code is.
 */
import {
  type Context,
  Engine,
  EngineExit,
  FAULT_NON_CANONICAL,
  Header,
  RESERVED_SLOTS,
  type SpacePort,
  type TranslatorOptions,
} from "@doppel/dbt-core";
import { GRANULE_SHIFT, PhysicalMemory, SoftTlb, softTlbShape } from "@doppel/guard-memory";
import { CodeHeap, type Fragment, TrampolineTable } from "@doppel/trampolines";
import { ExtendedState } from "../src/extended-state.ts";
import { readFlags, writeFlags } from "../src/flags-word.ts";
import { faultsInStack, wantedToWrite } from "../src/fault.ts";
import { X86Frontend } from "../src/frontend.ts";
import { createHelpers } from "../src/helpers.ts";
import { modeForMxcsr } from "../src/mxcsr.ts";
import { ExitCode, ModeBit, Service, StateOffset, Vector } from "../src/state.ts";
import {
  Batch,
  comparedFlags,
  ImageAt,
  type InstructionRunner,
  Layout,
  pattern,
  ResultKind,
  StateAt,
  windows,
} from "./format.ts";

const pageBytes = 4096;
const memoryBytes = 1 << 24;
/** Cases in one hub, and so in one module. */
const casesPerHub = 120;
/** Modules are never given back within one engine. */
const hubsPerEngine = 100;
const hubAddress = 0x35a5_a000;
const hubBytes = 8192;
const int3 = 0xcc;
/** More than any case needs; what runs longer hangs. */
const budget = 10_000;

/** #SS */
const stackFault = 12;
const notPresent = -1;
const forbidden = -2;

/** Protection of the page at a guest-virtual address; undefined where nothing is mapped. */
const regions: readonly { address: number; bytes: number; writable: boolean; executable: boolean }[] = [
  { address: hubAddress, bytes: hubBytes, writable: false, executable: true },
  { address: Layout.code, bytes: Layout.codeBytes, writable: true, executable: true },
  ...windows.map((window) => ({ ...window, executable: false })),
];

/** How a machine translates everything: not to WebAssembly, in haste, or with care. */
const tiers = ["threaded", "cold", "hot"] as const;
type Tier = (typeof tiers)[number];

const batches = { batchRegions: 3 * casesPerHub, regionInstructions: 400 };
const one = { batchRegions: 1, regionInstructions: 400 };
const alone: TranslatorOptions = {
  threaded: one,
  cold: one,
  hot: one,
  inlinedInstructions: 0,
  brief: { ...one, transferCost: 0, inlinedInstructions: 0 },
  compileAfter: 0,
  batchAfter: 0,
  promoteAfter: 2 ** 31 - 1,
  keptAfter: 0,
};
const options: Readonly<Record<Tier, TranslatorOptions>> = {
  threaded: { ...alone, compileAfter: 2 ** 31 - 1 },
  cold: { ...alone, cold: batches },
  // What is entered for the first time is hot already.
  hot: { ...alone, hot: batches, promoteAfter: 0 },
};

/** The tier that a case is run in. */
function tierOf(cases: Batch, index: number): Tier {
  return tiers[Math.floor(cases.codeAddress(index) / pageBytes) % tiers.length];
}

/** One engine and its address space. */
class Machine {
  readonly memory: PhysicalMemory = new PhysicalMemory(memoryBytes);
  readonly context: Context;
  readonly extended: ExtendedState = new ExtendedState(this.memory.memory.buffer);
  readonly bytes: Uint8Array = this.memory.bytes;
  readonly view: DataView = this.memory.view;
  readonly #pages: Map<number, number> = new Map();
  hubs = 0;

  constructor(tier: Tier) {
    const { memory } = this;
    for (const region of regions) {
      for (let at = region.address; at < region.address + region.bytes; at += pageBytes) {
        const page = memory.allocatePage();
        const answer = (page << 2) | (region.writable ? 1 : 0) | (region.executable ? 2 : 0);
        this.#pages.set(at / pageBytes, answer);
      }
    }
    const heap = new CodeHeap<WebAssembly.Module>(RESERVED_SLOTS);
    const engine: Engine<Fragment<WebAssembly.Module>> = new Engine({
      memory,
      tlb: { shape: softTlbShape, create: (offset) => new SoftTlb(memory.words, offset) },
      heap,
      createTable: () => new TrampolineTable(heap),
      frontend: new X86Frontend(),
      granuleShift: GRANULE_SHIFT,
      helpers: createHelpers({
        buffer: memory.memory.buffer,
        hostRange: (_cpu, low, high, length, write) => this.context.hostRange(low, high, length, write),
        timestamp: () => 0,
        random: () => 0,
      }),
      translator: options[tier],
    });
    const space: SpacePort = { translate: (address, access) => this.#translate(address, access) };
    const context = engine.createContext(space);
    if (context === undefined) throw new Error("no memory for a context");
    this.context = context;
    this.writeCode(Layout.landing, new Uint8Array(pageBytes).fill(int3));
    for (const window of windows) {
      for (let at = window.address; at < window.address + window.bytes; at += 8) {
        this.view.setBigUint64(this.host(at), pattern(at), true);
      }
    }
  }

  #translate(address: number, access: 0 | 1 | 2): number {
    const answer = this.#pages.get(Math.floor(address / pageBytes));
    if (answer === undefined) return address >= 2 ** 47 ? FAULT_NON_CANONICAL : notPresent;
    if ((access === 1 && (answer & 1) === 0) || (access === 2 && (answer & 2) === 0)) return forbidden;
    return answer;
  }

  /** Offset of a mapped guest-virtual address in WebAssembly memory. */
  host(address: number): number {
    const answer = this.#pages.get(Math.floor(address / pageBytes));
    if (answer === undefined) throw new Error(`nothing is mapped at 0x${address.toString(16)}`);
    return (answer >> 2) * pageBytes + (address % pageBytes);
  }

  isMapped(address: number): boolean {
    return this.#pages.has(Math.floor(address / pageBytes));
  }

  /** Writes code, which translations may have been made from. */
  writeCode(address: number, code: ArrayLike<number>): void {
    for (let i = 0; i < code.length;) {
      const at = address + i;
      if (!this.isMapped(at)) return;
      const count = Math.min(code.length - i, pageBytes - (at % pageBytes));
      const host = this.host(at);
      this.memory.noteWrite(Math.floor(host / pageBytes), host % pageBytes, count);
      for (let j = 0; j < count; j++) this.bytes[host + j] = code[i + j];
      i += count;
    }
  }

  /** The bytes at a code address, up to the end of its page; none where nothing is mapped. */
  codeAt(address: number): Uint8Array {
    if (!this.isMapped(address)) return new Uint8Array(0);
    const host = this.host(address);
    return this.bytes.subarray(host, host + Math.min(16, pageBytes - (host % pageBytes)));
  }

  instructionPointer(): bigint {
    return this.view.getBigUint64(this.context.pointer + Header.instructionPointer, true);
  }

  setInstructionPointer(address: number): void {
    this.view.setBigUint64(this.context.pointer + Header.instructionPointer, BigInt(address), true);
  }
}

interface Group {
  readonly mode: number;
  readonly tier: Tier;
  readonly indices: number[];
}

export class TranslatorRunner implements InstructionRunner {
  readonly name = "translator";
  readonly #machines: Map<Tier, Machine> = new Map();
  readonly #image: Uint8Array = new Uint8Array(512);
  /** What a case's memory windows start with, patches included; in the order of `windows`. */
  readonly #before: DataView[] = windows.map((window) => {
    const view = new DataView(new ArrayBuffer(window.bytes));
    for (let i = 0; i < window.bytes; i += 8) view.setBigUint64(i, pattern(window.address + i), true);
    return view;
  });
  readonly #beforeWords: Int32Array[] = this.#before.map(({ buffer }) => new Int32Array(buffer));

  run(cases: Batch): Batch {
    const results = new Batch(new Uint8Array(Math.max(1 << 16, cases.count * 640)));
    const order = this.#groups(cases);
    // Results go where their cases are; records vary in size, so they are put in order at the end.
    const place = new Int32Array(cases.count);
    for (const group of order) {
      for (const [done, index] of group.indices.entries()) {
        if (done % casesPerHub === 0) {
          this.#translate(cases, group, group.indices.slice(done, done + casesPerHub));
        }
        place[index] = this.#runOne(cases, index, group, results);
      }
    }
    const ordered = new Batch(new Uint8Array(results.length));
    for (let i = 0; i < cases.count; i++) ordered.append(results, place[i]);
    return ordered;
  }

  /** Cases by translation mode and tier. */
  #groups(cases: Batch): Group[] {
    const groups = new Map<string, Group>();
    for (let i = 0; i < cases.count; i++) {
      const mxcsr = cases.view.getUint32(cases.stateOffset(i) + StateAt.image + ImageAt.mxcsr, true);
      const mode = (cases.mode(i) === 64 ? ModeBit.long : 0) | modeForMxcsr(mxcsr);
      const tier = tierOf(cases, i);
      const key = `${tier} ${mode}`;
      const group = groups.get(key);
      if (group === undefined) groups.set(key, { mode, tier, indices: [i] });
      else group.indices.push(i);
    }
    return [...groups.values()];
  }

  /** Puts the code of these cases, which overlap nowhere, into memory, and has it translated. */
  #translate(cases: Batch, { mode, tier }: Group, indices: readonly number[]): void {
    let machine = this.#machines.get(tier);
    if (machine === undefined || machine.hubs++ >= hubsPerEngine) {
      machine = new Machine(tier);
      this.#machines.set(tier, machine);
    }
    const { context } = machine;
    for (const index of indices) {
      const code = cases.code(index);
      const address = cases.codeAddress(index);
      const surrounded = new Uint8Array(16 + code.length + 16).fill(int3);
      surrounded.set(code, 16);
      machine.writeCode(address - 16, surrounded);
    }
    // jcxz to INT3 behind the calls, taken with RCX = 0.
    const hub = new Uint8Array(16 + 5 * casesPerHub).fill(int3);
    hub.set([0x67, 0xe3, 5, 0xe9, 4, 0, 0, 0, int3, int3, int3, int3]);
    indices.forEach((index, i) => {
      const at = 12 + 5 * i;
      const distance = cases.codeAddress(index) - (hubAddress + at + 5);
      hub.set([0xe8, distance & 255, (distance >> 8) & 255, (distance >> 16) & 255, (distance >> 24) & 255], at);
    });
    machine.writeCode(hubAddress, hub);
    context.mode = mode;
    context.narrow = (mode & ModeBit.long) === 0;
    machine.view.setBigUint64(context.pointer + StateOffset.gpr + 8, 0n, true);
    machine.setInstructionPointer(hubAddress);
    const code = context.run(budget);
    if (code !== ExitCode.exception + Vector.breakpoint) throw new Error(`the hub left with ${code}`);
  }

  #runOne(cases: Batch, index: number, { mode, tier }: Group, results: Batch): number {
    const machine = this.#machines.get(tier)!;
    const { context, view, bytes } = machine;
    const { pointer } = context;
    this.#load(machine, cases, index);
    context.mode = mode;
    context.narrow = (mode & ModeBit.long) === 0;
    machine.setInstructionPointer(cases.codeAddress(index));
    let code = context.run(budget);
    while (code === EngineExit.service && view.getInt32(pointer + Header.exitPayload, true) === Service.modeChange) {
      context.mode = (mode & ~ModeBit.exactFloat) | modeForMxcsr(view.getInt32(pointer + StateOffset.mxcsr, true));
      code = context.run(budget);
    }
    const result = this.#begin(machine, cases, index, results, code);
    const at = results.stateOffset(result);
    results.bytes.set(bytes.subarray(pointer + StateOffset.gpr, pointer + StateOffset.gpr + 128), at);
    if ((mode & ModeBit.long) === 0) {
      for (let register = 0; register < 16; register++) {
        if (register >= 8) results.view.setInt32(at + 8 * register, 0, true);
        results.view.setInt32(at + 8 * register + 4, 0, true);
      }
    }
    results.view.setUint32(at + StateAt.flags, readFlags(view, pointer) & comparedFlags, true);
    machine.extended.save(pointer, this.#image);
    results.bytes.set(this.#image.subarray(0, ImageAt.end), at + StateAt.image);
    this.#collect(machine, cases, index, results);
    return result;
  }

  #load(machine: Machine, cases: Batch, index: number): void {
    const { context, view, bytes, extended } = machine;
    const { pointer } = context;
    const state = cases.state(index);
    bytes.set(state.subarray(0, 128), pointer + StateOffset.gpr);
    writeFlags(view, pointer, (cases.flags(index) & comparedFlags) | 0x202);
    this.#image.set(state.subarray(StateAt.image));
    extended.load(pointer, this.#image);
    const long = cases.mode(index) === 64;
    const { dataSelector, fsSelector, gsSelector, codeSelector64, codeSelector32 } = Layout;
    const selectors = [
      dataSelector,
      long ? codeSelector64 : codeSelector32,
      dataSelector,
      dataSelector,
      fsSelector,
      gsSelector,
    ];
    const bases = [0, 0, 0, 0, Layout.fsBase, Layout.gsBase];
    for (let segment = 0; segment < 6; segment++) {
      view.setUint16(pointer + StateOffset.segmentSelector + 2 * segment, selectors[segment], true);
      view.setUint32(pointer + StateOffset.segmentBase + 8 * segment, bases[segment], true);
      view.setUint32(pointer + StateOffset.segmentBase + 8 * segment + 4, 0, true);
    }
    cases.forPatches(index, (address, content) => {
      content.forEach((byte, i) => {
        bytes[machine.host(address + i)] = byte;
      });
      const window = windowOf(address);
      content.forEach((byte, i) => {
        this.#before[window].setUint8(address + i - (windows[window] as { address: number }).address, byte);
      });
    });
  }

  /** The result's kind, vector, error code, fault address and RIP, from how the engine left. */
  #begin(machine: Machine, cases: Batch, index: number, results: Batch, code: number): number {
    const { view, context } = machine;
    const { pointer } = context;
    const rip = machine.instructionPointer();
    if (code === EngineExit.pageFault) {
      const fault = view.getInt32(pointer + Header.exitPayload, true);
      const bytes = machine.codeAt(Number(rip));
      const mode = cases.mode(index) as 32 | 64;
      const address = view.getBigUint64(pointer + Header.faultAddress, true);
      const kernelHalf = address >= 0xffff_8000_0000_0000n;
      if (fault === FAULT_NON_CANONICAL && !kernelHalf) {
        const vector = faultsInStack(bytes, 0, bytes.length, mode) ? stackFault : Vector.generalProtection;
        return results.beginResult(ResultKind.fault, vector, 0, 0n, rip);
      }
      let access = view.getInt32(pointer + Header.faultAccess, true);
      if (access === 0 && wantedToWrite(bytes, 0, bytes.length, mode)) access = 1;
      const errorCode = 4 | (fault === forbidden ? 1 : 0) | (access === 1 ? 2 : access === 2 ? 16 : 0);
      return results.beginResult(ResultKind.fault, Vector.pageFault, errorCode, address, rip);
    }
    if (code === EngineExit.budget || code < ExitCode.exception)
      return results.beginResult(ResultKind.timeout, 0, code, 0n, rip);
    if (code === ExitCode.halt || code === ExitCode.privileged || code === ExitCode.interrupt) {
      return results.beginResult(ResultKind.fault, Vector.generalProtection, 0, 0n, rip);
    }
    const vector = code - ExitCode.exception;
    const start = BigInt(cases.codeAddress(index));
    const end = start + BigInt(cases.code(index).length);
    if (vector === Vector.breakpoint && (rip - 1n < start || rip - 1n >= end)) {
      return results.beginResult(ResultKind.end, 0, 0, 0n, rip - 1n);
    }
    const errorCode = view.getInt32(pointer + Header.exitPayload, true);
    return results.beginResult(ResultKind.fault, vector, errorCode, 0n, rip);
  }

  /** Changed words; memory and our picture of it go back to the pattern. */
  #collect(machine: Machine, cases: Batch, index: number, results: Batch): void {
    windows.forEach((window, number) => {
      const before = this.#beforeWords[number];
      for (let page = 0; page < window.bytes; page += pageBytes) {
        const words = new Int32Array(machine.bytes.buffer, machine.host(window.address + page), pageBytes / 4);
        const from = page / 4;
        for (let i = 0; i < pageBytes / 4; i += 2) {
          const low = words[i];
          const high = words[i + 1];
          if (low === before[from + i] && high === before[from + i + 1]) continue;
          results.addWord(window.address + page + 4 * i, low, high);
          words[i] = before[from + i];
          words[i + 1] = before[from + i + 1];
        }
      }
    });
    cases.forPatches(index, (address, content) => {
      const number = windowOf(address);
      const window = windows[number] as { address: number };
      for (let at = address - (address % 8); at < address + content.length; at += 8) {
        const value = pattern(at);
        machine.view.setBigUint64(machine.host(at), value, true);
        this.#before[number].setBigUint64(at - window.address, value, true);
      }
    });
  }
}

function windowOf(address: number): number {
  return windows.findIndex((window) => address >= window.address && address < window.address + window.bytes);
}
