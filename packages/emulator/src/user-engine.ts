/**
 * The translator, its memory and its code heap, as the Linux kernel's execution engine.
 */
import {
  type Context,
  Engine,
  EngineExit,
  FAULT_NON_CANONICAL,
  Header,
  RESERVED_SLOTS,
  type ModuleArchive,
  type UnitArchive,
} from "@doppel/dbt-core";
import {
  GRANULE_SHIFT,
  PAGE_BYTES,
  PhysicalMemory,
  SoftTlb,
  softTlbShapeFor,
  type GuardPolicyChoice,
} from "@doppel/guard-memory";
import {
  createHelpers,
  ExitCode,
  ExtendedState,
  faultsInStack,
  ModeBit,
  Service,
  Vector,
  wantedToWrite,
  X86Frontend,
} from "@doppel/guest-x86";
import type {
  Access,
  AddressSpacePort,
  EngineContext,
  EngineExit as KernelExit,
  ExecutionEngine,
  ExitReason,
  GuestCpu,
  GuestMode,
} from "@doppel/linux-user";
import { type NativeOptions, NativeLayer } from "./native-layer.ts";
import { processorLevel } from "./processor-level.ts";
import { CodeHeap, type Fragment, TrampolineTable } from "@doppel/trampolines";
import { X86Cpu } from "./x86-cpu.ts";

const TWO_32 = 2 ** 32;
const RCX = 1;
const R11 = 11;

const EXCEPTION_REASON: Readonly<Record<number, ExitReason>> = {
  [Vector.divideError]: "divide-error",
  [Vector.debug]: "debug",
  [Vector.breakpoint]: "breakpoint",
  [Vector.overflow]: "overflow",
  [Vector.bound]: "bound",
  [Vector.invalidOpcode]: "invalid-opcode",
  [Vector.generalProtection]: "general-protection",
  [Vector.alignmentCheck]: "alignment-check",
  [Vector.floatingPoint]: "x87-error",
  [Vector.simdFloatingPoint]: "simd-error",
};

/** A translation takes about as long as so many rounds of a small loop: some 100 us. */
const TRANSLATION_BUDGET = 5_000;

/**
 * A coherency policy for all pages, the choice of each page, or, to compare with, that choice with pages guarded whole
 * instead of by granule.
 */
export type GuardChoice = GuardPolicyChoice | "whole pages";

const DEFAULT_CODE_BYTES: number = 256 * 2 ** 20;

export interface UserEngineOptions {
  /** Guest-physical memory in bytes. */
  readonly memoryBytes: number;
  /** How writes to translated code are noticed; default "by page". */
  readonly guards?: GuardChoice;
  /** WebAssembly bytes of translations kept, beyond which the oldest go; default 256 MiB. */
  readonly codeBytes?: number;
  /** 32 random bits. */
  readonly random: () => number;
  /** Nanoseconds of some monotonic clock, for the time-stamp counter. */
  readonly monotonicNs: () => number;
  /** What the processor says it is: a name from `cpuidLevels`. */
  readonly cpu?: string;
  /** Native twins of guest functions; default: none. */
  readonly native?: NativeOptions;
  /** For profiles: what the region at a guest-virtual address is to be called. */
  readonly codeName?: (space: AddressSpacePort, address: number, hot: boolean) => string;
  /** Threaded code kept from run to run. */
  readonly archive?: UnitArchive;
  /** Modules compiled with care, kept from run to run. */
  readonly modules?: ModuleArchive;
}

export class UserEngine implements ExecutionEngine {
  readonly memory: PhysicalMemory;
  /** CPUID.1:EDX. */
  readonly hwcap: number;
  readonly heap: CodeHeap<WebAssembly.Module>;
  readonly frontend: X86Frontend = new X86Frontend();
  /** Times that translated code had the flags' record resolved. */
  flagsResolved = 0;
  readonly translator: Engine<Fragment<WebAssembly.Module>>;
  readonly extended: ExtendedState;
  readonly native: NativeLayer;
  readonly contexts: Map<number, UserContext> = new Map();

  constructor(options: UserEngineOptions) {
    const level = processorLevel(options.cpu);
    this.hwcap = level.cpuid(1, 0).edx >>> 0;
    const { guards = "by page" } = options;
    this.memory = new PhysicalMemory(
      options.memoryBytes,
      guards === "whole pages" ? { wholePages: true } : { guardPolicy: guards },
    );
    this.heap = new CodeHeap(RESERVED_SLOTS, { maximumSize: options.codeBytes ?? DEFAULT_CODE_BYTES });
    this.extended = new ExtendedState(this.memory.memory.buffer);
    const helpers = createHelpers({
      buffer: this.memory.memory.buffer,
      hostRange: (cpu, low, high, length, write) => this.contextAt(cpu).context.hostRange(low, high, length, write),
      timestamp: () => options.monotonicNs(),
      random: () => options.random(),
      loadSegment: (cpu, _segment, selector) => this.contextAt(cpu).current!.baseOf(selector),
      cpuid: level.cpuid,
    });
    const tlbShape = softTlbShapeFor(options.memoryBytes);
    const { codeName } = options;
    this.native = new NativeLayer(
      {
        memory: this.memory,
        frontend: this.frontend,
        discardAt: (page, offset) => this.translator.discardAt(page, offset),
      },
      options.native ?? { functions: [] },
    );
    const implementations: Record<string, CallableFunction> = {
      ...helpers,
      native: this.native.helper,
      resolveFlags: (cpu: number) => {
        this.flagsResolved++;
        return helpers["resolveFlags"](cpu);
      },
    };
    this.translator = new Engine({
      memory: this.memory,
      tlb: { shape: tlbShape, create: (offset) => new SoftTlb(this.memory.words, offset, tlbShape) },
      heap: this.heap,
      createTable: () => new TrampolineTable(this.heap),
      frontend: this.frontend,
      granuleShift: GRANULE_SHIFT,
      ...(this.native.isEmpty
        ? {}
        : { entryCode: (context, page, address) => this.native.entryCode(context, page, address) }),
      ...(codeName === undefined
        ? {}
        : { codeName: ({ pointer }, address, hot) => codeName(this.contextAt(pointer).space, address, hot) }),
      translationBudget: TRANSLATION_BUDGET,
      translator: {
        ...(options.archive === undefined ? {} : { archive: options.archive }),
        ...(options.modules === undefined ? {} : { modules: options.modules }),
      },
      helpers: implementations,
      service: (context, code) => {
        // The mode is the processor's to know: what MXCSR says may have changed.
        const user = this.contextAt(context.pointer);
        return code === Service.modeChange ? user.modeChanged() : user.systemCall(code);
      },
    });
    if (!this.native.isEmpty) this.native.defineTwins(implementations, this.translator.layouts[0]);
  }

  contextAt(pointer: number): UserContext {
    const context = this.contexts.get(pointer >>> 0);
    if (context === undefined) throw new Error(`no context at ${pointer}`);
    return context;
  }

  /** Null when guest memory has no room for another context block. */
  createContext(space: AddressSpacePort): EngineContext | null {
    // The upper half of the address space is never a program's.
    const context = this.translator.createContext({
      translate: (address, access) => (address < 0 ? FAULT_NON_CANONICAL : space.translate(address, access)),
    });
    if (context === undefined) return null;
    const user = new UserContext(this, context, space);
    this.native.enter(user);
    return user;
  }
}

class UserContext implements EngineContext {
  readonly context: Context;
  get codeUse(): EngineContext["codeUse"] {
    return this.context.codeUse;
  }
  readonly space: AddressSpacePort;
  current: X86Cpu | undefined;
  serve: EngineContext["serve"] = null;
  private served = false;
  private readonly engine: UserEngine;
  private readonly exit: { -readonly [K in keyof KernelExit]: KernelExit[K] } = {
    reason: "budget",
    address: 0,
    access: 0,
    fault: 0,
    spent: 0,
  };

  constructor(engine: UserEngine, context: Context, space: AddressSpacePort) {
    this.engine = engine;
    this.space = space;
    this.context = context;
    engine.contexts.set(context.pointer, this);
  }

  createCpu(mode: GuestMode): GuestCpu {
    return new X86Cpu(mode);
  }

  /** Serves the call in place when the kernel can; returns whether to leave. */
  systemCall(code: number): boolean {
    const cpu = this.current!;
    const fast = code === Service.syscall;
    if (fast) {
      // SYSCALL leaves the return address in RCX and RFLAGS in R11 (Intel SDM vol. 2, SYSCALL).
      const { rip } = cpu;
      cpu.setRegister(RCX, rip | 0, Math.floor(rip / TWO_32) | 0);
      cpu.setRegister(R11, cpu.flags, 0);
    }
    this.served = false;
    if (this.serve === null) return true;
    const outcome = this.serve(fast ? "syscall64" : "syscall32");
    // Even a call to be continued may leave, when it changed code; then it was served all the same.
    this.served = outcome !== "unserved";
    return outcome !== "continue";
  }

  modeChanged(): boolean {
    return this.current!.mode !== this.context.mode;
  }

  run(cpu: GuestCpu, budget: number): KernelExit {
    if (!(cpu instanceof X86Cpu)) throw new TypeError("this engine runs x86 threads");
    const { memory, extended } = this.engine;
    const { context, exit } = this;
    if (this.current !== cpu) {
      this.current?.leave(memory.bytes);
      cpu.enter(memory.view, memory.bytes, context.pointer, extended);
      this.current = cpu;
    }
    let left = budget;
    for (;;) {
      context.mode = cpu.mode;
      context.narrow = (context.mode & ModeBit.long) === 0;
      const code = context.run(left);
      left = memory.view.getInt32(context.pointer + Header.budget, true);
      exit.spent = budget - left;
      exit.address = 0;
      exit.access = 0;
      exit.fault = 0;
      if (code === EngineExit.service && this.payload() === Service.modeChange) continue;
      exit.reason = this.reason(code);
      return exit;
    }
  }

  private payload(): number {
    return this.engine.memory.view.getInt32(this.context.pointer + Header.exitPayload, true);
  }

  private get bits(): 32 | 64 {
    return (this.context.mode & ModeBit.long) === 0 ? 32 : 64;
  }

  /** The bytes at the instruction pointer, up to the end of their page; undefined where nothing can be read. */
  private faultingCode(): Uint8Array | undefined {
    const { context, engine } = this;
    const { view, bytes } = engine.memory;
    const low = view.getInt32(context.pointer + Header.instructionPointer, true);
    const high = view.getInt32(context.pointer + Header.instructionPointer + 4, true);
    const offset = context.hostRange(low, high, 1, false);
    if (offset === 0) return undefined;
    return bytes.subarray(offset, offset + Math.min(15, PAGE_BYTES - (low & (PAGE_BYTES - 1))));
  }

  private reason(code: number): ExitReason {
    const { exit, engine, context } = this;
    switch (code) {
      case EngineExit.budget:
        return "budget";
      case EngineExit.service:
        if (this.served) return "served";
        return this.payload() === Service.syscall ? "syscall64" : "syscall32";
      case EngineExit.pageFault: {
        const { view } = engine.memory;
        exit.fault = this.payload();
        const faulting = this.faultingCode();
        if (exit.fault === FAULT_NON_CANONICAL) {
          return faulting !== undefined && faultsInStack(faulting, 0, faulting.length, this.bits)
            ? "stack-fault"
            : "general-protection";
        }
        exit.address =
          view.getInt32(context.pointer + Header.faultAddress + 4, true) * TWO_32 +
          view.getUint32(context.pointer + Header.faultAddress, true);
        exit.access = view.getInt32(context.pointer + Header.faultAccess, true) as Access;
        if (exit.access === 0 && faulting !== undefined && wantedToWrite(faulting, 0, faulting.length, this.bits))
          exit.access = 1;
        return "page-fault";
      }
      case ExitCode.halt:
      case ExitCode.privileged:
      case ExitCode.interrupt:
        return "general-protection";
      default: {
        const reason = EXCEPTION_REASON[code - ExitCode.exception];
        if (reason === undefined) throw new Error(`translated code left with code ${code}, which nobody defines`);
        return reason;
      }
    }
  }

  invalidate(start: number, length: number): void {
    this.context.invalidate(start, length);
  }

  invalidateWrites(): void {
    this.context.invalidateWrites();
  }

  invalidateAll(): void {
    this.context.invalidateAll();
  }

  fork(space: AddressSpacePort): EngineContext | null {
    const copy = this.engine.createContext(space);
    if (copy instanceof UserContext) this.engine.native.fork(this, copy);
    return copy;
  }

  dispose(): void {
    this.current?.leave(this.engine.memory.bytes);
    this.current = undefined;
    this.engine.contexts.delete(this.context.pointer);
    this.engine.native.leave(this);
    this.context.dispose();
  }
}
