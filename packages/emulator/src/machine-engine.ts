/**
 * The translator, its memory and its code heap, with one processor of a whole machine on them: what `UserEngine` is for
 * programs. Guest-physical memory is a run of pages of the engine's memory.
 */
import { type Context, Engine, RESERVED_SLOTS, type TranslatorOptions } from "@doppel/dbt-core";
import { GRANULE_SHIFT, PAGE_BYTES, PhysicalMemory, SoftTlb, softTlbShapeFor } from "@doppel/guard-memory";
import { createHelpers, ModeBit, X86Frontend } from "@doppel/guest-x86";
import {
  type BusAccess,
  GuestRam,
  machineCpuid,
  type MsrOwner,
  Processor,
  type ProcessorInterrupts,
  type WritableTimeStamps,
} from "@doppel/pc-machine";
import { CodeHeap, type Fragment, TrampolineTable } from "@doppel/trampolines";
import { CodeBreakpoints } from "./code-breakpoints.ts";
import { processorLevel } from "./processor-level.ts";

/** For context blocks, threaded code and what is counted of regions, beside the guest's RAM. Untouched it costs nothing. */
const OWN_BYTES: number = 96 * 2 ** 20;
/** All translations, so that those which are threaded code find room there. */
const CODE_BYTES: number = 72 * 2 ** 20;
const TRANSLATION_BUDGET = 1_000;
/** A kernel that starts patches itself in many places of each page, and then seldom. */
const FAULTS_TO_CHECK = 32;
/**
 * A boot runs through much code a few times: most of what is entered a thousand times, though, is entered two thousand times as
 * well. What runs a few thousand times is not worth its translation with care.
 */
const TIERS: Partial<TranslatorOptions> = {
  compileAfter: 1000,
  compileKnownAfter: 100,
  batchAfter: 500,
  promoteAfter: 20_000,
};
/** The views of memory: programs' and the supervisor's. */
const SUPERVISOR_VIEW = 1;

export interface MachineEngineOptions {
  readonly ramBytes: number;
  /** 32 random bits. */
  readonly random: () => number;
  /** What the processor says it is: a name from `cpuidLevels`. */
  readonly cpu?: string;
  /** EAX of CPUID leaf 40000001H. */
  readonly paravirtual?: number;
  readonly bus: BusAccess;
  readonly interrupts: ProcessorInterrupts;
  readonly timeStamps: WritableTimeStamps;
  readonly msrOwners?: readonly MsrOwner[];
  /** When code is compiled, and how much of it at once. */
  readonly translator?: Partial<TranslatorOptions>;
}

export class MachineEngine {
  readonly memory: PhysicalMemory;
  readonly ram: GuestRam;
  readonly heap: CodeHeap<WebAssembly.Module>;
  readonly frontend: X86Frontend = new X86Frontend();
  readonly translator: Engine<Fragment<WebAssembly.Module>>;
  readonly processor: Processor;
  /** What a leaf of CPUID that is a call is served by; see `HelperPort`. */
  guestCall: ((cpu: number, leaf: number) => boolean) | undefined;
  /** Where the processor stops. Changed with `changeBreakpoints`. */
  readonly breakpoints: CodeBreakpoints = new CodeBreakpoints();

  constructor(options: MachineEngineOptions) {
    const { ramBytes, timeStamps } = options;
    const level = processorLevel(options.cpu);
    this.memory = new PhysicalMemory(ramBytes + OWN_BYTES, { faultsToCheck: FAULTS_TO_CHECK });
    this.ram = new GuestRam(this.memory, this.memory.reserveHighest(ramBytes / PAGE_BYTES), ramBytes);
    this.heap = new CodeHeap(RESERVED_SLOTS, { maximumSize: CODE_BYTES });
    let context: Context | undefined;
    const helpers = createHelpers({
      buffer: this.memory.memory.buffer,
      hostRange: (_cpu, low, high, length, write) => context!.hostRange(low, high, length, write),
      timestamp: () => Number(timeStamps.read()),
      random: () => options.random(),
      // The flags are in the context block at the end of the instruction; it has cleared AC.
      userAccessEnds: () => this.processor.forgetUserPages(),
      readPort: (_cpu, port, bytes) => this.processor.readPort(port, bytes),
      writePort: (_cpu, port, bytes, value) => this.processor.writePort(port, bytes, value),
      interruptWaits: () => this.processor.interruptWaits(),
      call: (cpu, leaf) => this.guestCall?.(cpu, leaf) ?? false,
      cpuid: machineCpuid(level.cpuid, options.paravirtual === undefined ? {} : { paravirtual: options.paravirtual }),
    });
    const tlbShape = softTlbShapeFor(ramBytes);
    this.translator = new Engine({
      memory: this.memory,
      tlb: { shape: tlbShape, create: (offset) => new SoftTlb(this.memory.words, offset, tlbShape) },
      heap: this.heap,
      createTable: () => new TrampolineTable(this.heap),
      frontend: this.frontend,
      granuleShift: GRANULE_SHIFT,
      translationBudget: TRANSLATION_BUDGET,
      translator: { ...TIERS, ...options.translator },
      views: { count: 2, of: (mode) => ((mode & ModeBit.supervisor) === 0 ? 0 : SUPERVISOR_VIEW) },
      helpers,
      cuts: this.breakpoints,
      entryCode: (_context, _page, address) => this.breakpoints.entryCodeAt(address),
      service: (_context, code) => this.processor.leavesAt(code),
    });
    this.processor = new Processor({
      ...options,
      ram: this.ram,
      view: this.memory.view,
      bytes: this.memory.bytes,
      createContext: (space) => {
        context = this.translator.createContext(space);
        if (context === undefined) throw new RangeError("no room for the processor beside the guest's memory");
        return context;
      },
    });
  }

  /** The processor, which is not running, stops at these guest-virtual addresses from now on. */
  changeBreakpoints(addresses: readonly number[]): void {
    if (this.breakpoints.replace(addresses)) this.processor.context.invalidateAll();
  }

  /** From now on `ram` says which pages are written. Call it again for the next epoch. */
  startDirtyLog(): void {
    this.ram.startLog();
    this.processor.context.invalidateWrites();
  }

  stopDirtyLog(): void {
    this.ram.stopLog();
  }
}
