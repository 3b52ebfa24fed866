/**
 * One x86-64 processor of a whole machine: translated code runs until something needs the architecture — an exception,
 * an interrupt, a privileged instruction — which is carried out here, and translated code goes on.
 *
 * The translator meets it as an address space (`translate`, devices), as the supervisor that services ask, and as the
 * owner of the mode that code runs in. Between two calls of `run` all state is in the context block and in `Registers`.
 */
import {
  type Context,
  EngineExit,
  FAULT_NON_CANONICAL,
  Header,
  SPACE_DEVICE,
  SPACE_PAGE_MASK,
  SPACE_PAGE_SHIFT,
  type SpacePort,
} from "@doppel/dbt-core";
import {
  decode,
  ExitCode,
  faultsInStack,
  Instruction,
  Mnemonic,
  mnemonicNames,
  ModeBit,
  modeForMxcsr,
  RFlags,
  Service,
  unpackPrivileged,
  Vector,
  wantedToWrite,
} from "@doppel/guest-x86";
import { type GuestRam, PAGE_BYTES } from "../memory/guest-ram.ts";
import type {
  BusAccess,
  ProcessorInterrupts,
  ProcessorSignals,
  ProcessorStart,
  Stateful,
  StateRecord,
} from "../ports.ts";
import { RecordReader } from "../snapshot/record-reader.ts";
import { EventDelivery } from "./delivery.ts";
import { generalProtection, invalidOpcode, NO_ERROR_CODE, pageFault, ProcessorFault, stackFault } from "./fault.ts";
import { LinearMemory } from "./linear-memory.ts";
import { ModelSpecificRegisters, type MsrOwner, type WritableTimeStamps } from "./model-specific.ts";
import { Operands } from "./operands.ts";
import { HUGE_SHIFT, LARGE_SHIFT, PAGE_FAULT_BASE, PageWalker } from "./page-walk.ts";
import { Cr0, Cr4, DescriptorBit, Efer, Registers, SegmentIndex } from "./registers.ts";
import { loadRegisters, saveRegisters } from "./registers-state.ts";
import { Segmentation } from "./segments.ts";
import { executeSystemInstruction, type ProcessorCore, syscall, sysenter } from "./system-instructions.ts";
import { type Watchpoint, Watchpoints, type WatchHit } from "./watchpoints.ts";

const RAX = 0;
const RBX = 3;
const RSI = 6;
const RSP = 4;
const TWO_32 = 2 ** 32;
const NMI_VECTOR = 2;
const INT80 = 0x80;
const LONGEST_INSTRUCTION = 15;
/** DR6, and its BS bit. */
const DEBUG_STATUS = 6;
const SINGLE_STEP = 0x4000n;
/** `translate`'s answer for an access that may touch watched bytes: between the engine's own and page faults. */
const SPACE_WATCHED = -8;

/** Exceptions whose error code the guest finds on its stack (SDM vol. 3, table 6-1). */
const withErrorCode: ReadonlySet<number> = new Set<number>([
  Vector.doubleFault,
  Vector.invalidTss,
  Vector.segmentNotPresent,
  Vector.stackFault,
  Vector.generalProtection,
  Vector.pageFault,
  Vector.alignmentCheck,
]);

export interface ProcessorSurroundings {
  readonly ram: GuestRam;
  readonly view: DataView;
  readonly bytes: Uint8Array;
  readonly bus: BusAccess;
  readonly interrupts: ProcessorInterrupts;
  readonly timeStamps: WritableTimeStamps;
  /** Other owners of model-specific registers, beside the interrupt controller. */
  readonly msrOwners?: readonly MsrOwner[];
  /** The engine's context for this processor, which runs in the address space that the processor is. */
  createContext(space: SpacePort): Context;
}

/**
 * Why `run` came back. The last three are a debugger's: in front of a breakpoint, behind one instruction, and behind one that
 * touched watched bytes (`watchHit`).
 */
export type ProcessorStop = "budget" | "halted" | "breakpoint" | "stepped" | "watchpoint";

/** How often the parts of the architecture were needed. */
export interface ProcessorStatistics {
  readonly exceptions: number;
  readonly pageFaults: number;
  readonly interrupts: number;
  readonly systemCalls: number;
  readonly deviceReads: number;
  readonly deviceWrites: number;
  /** Of the supervisor; those of programs are among the instructions. */
  readonly portReads: number;
  readonly portWrites: number;
  /** By mnemonic: instructions that left translated code. */
  readonly instructions: ReadonlyMap<string, number>;
}

export class Processor implements ProcessorCore, ProcessorSignals, Stateful {
  readonly id = "processor.0";
  readonly version = 1;
  readonly registers: Registers;
  readonly memory: LinearMemory;
  readonly segments: Segmentation;
  readonly operands: Operands;
  readonly delivery: EventDelivery;
  readonly msrs: ModelSpecificRegisters;
  readonly bus: BusAccess;
  readonly interrupts: ProcessorInterrupts;
  readonly walker: PageWalker;
  readonly context: Context;
  readonly ram: GuestRam;
  private readonly counts: { -readonly [K in keyof Omit<ProcessorStatistics, "instructions">]: number } = {
    exceptions: 0,
    pageFaults: 0,
    interrupts: 0,
    systemCalls: 0,
    deviceReads: 0,
    deviceWrites: 0,
    portReads: 0,
    portWrites: 0,
  };
  /** By mnemonic: instructions that left translated code. */
  private readonly executed: Uint32Array = new Uint32Array(mnemonicNames.length);
  /** HLT: nothing runs until an interrupt. */
  halted = false;
  /** An interrupt may wait: looked at between instructions. */
  private attention = true;
  private nmiPending = false;
  /** An NMI's handler runs until IRET; others wait. */
  private nmiBlocked = false;
  /** The next instruction runs before interrupts are taken. */
  private shadow = false;
  private mode = 0;
  /** `run` is to come back behind one instruction; interrupts are taken only when it waits for one. */
  stepping = false;
  readonly watchpoints: Watchpoints = new Watchpoints();
  watchHit: WatchHit | undefined;
  /** An instruction runs alone: watched bytes may be touched. */
  private isAlone = false;
  /** Where the access is that `translate` has called a device's because its page is watched; the page is -1 otherwise. */
  private watchedAddress = 0;
  private watchedPage = -1;
  private readonly view: DataView;
  private readonly bytes: Uint8Array;
  private readonly instruction: Instruction = new Instruction();
  private readonly code: Uint8Array = new Uint8Array(LONGEST_INSTRUCTION);

  constructor(around: ProcessorSurroundings) {
    const { ram, view, bytes, bus, interrupts } = around;
    this.ram = ram;
    this.view = view;
    this.bytes = bytes;
    this.bus = bus;
    this.interrupts = interrupts;
    // The walker needs the registers, which lie in the context, which needs the walker.
    const space: SpacePort = {
      translate: (address, access) => this.translate(address, access),
      readDevice: (size, host) => this.readDevice(size, host),
      writeDevice: (size, host) => this.writeDevice(size, host),
    };
    this.context = around.createContext(space);
    this.registers = new Registers(view, bytes, this.context.pointer);
    this.walker = new PageWalker(this.registers, ram);
    this.memory = new LinearMemory(this.registers, this.walker, ram, bus);
    this.segments = new Segmentation(this.registers, this.memory);
    this.operands = new Operands(this.registers, this.memory);
    this.delivery = new EventDelivery(this.registers, this.memory, this.segments);
    this.msrs = new ModelSpecificRegisters(this.registers, {
      timeStamps: around.timeStamps,
      owners: [interrupts, ...(around.msrOwners ?? [])],
      modeChanged: () => this.modeChanged(),
    });
    this.registers.reset();
    this.modeChanged();
  }

  /** As a boot loader leaves the processor, with the descriptors it has put into memory. */
  start(start: ProcessorStart): void {
    const { registers, segments } = this;
    registers.reset();
    this.msrs.reset();
    for (const [index, value] of start.msrs ?? []) this.msrs.write(index, value);
    this.halted = this.shadow = this.nmiPending = this.nmiBlocked = false;
    registers.cr0 = Cr0.pe | Cr0.et;
    if (start.mode !== "protected") {
      registers.cr0 |= Cr0.mp | Cr0.ne | Cr0.wp | Cr0.pg;
      registers.cr4 = Cr4.pae | Cr4.osfxsr | Cr4.osxmmexcpt;
      registers.efer = Efer.lme | Efer.lma | Efer.nxe;
    }
    registers.cr3 = start.cr3;
    registers.gdtr.base = start.gdt.base;
    registers.gdtr.limit = start.gdt.limit;
    registers.idtr.limit = 0;
    segments.enterCode(start.codeSelector);
    for (const segment of [SegmentIndex.ds, SegmentIndex.es, SegmentIndex.ss])
      segments.load(segment, start.dataSelector);
    registers.rip = start.rip;
    registers.setValue(RSP, start.rsp);
    registers.setValue(RSI, start.rsi);
    registers.setValue(RAX, start.rax ?? 0);
    registers.setValue(RBX, start.rbx ?? 0);
    this.flushAll();
    this.modeChanged();
  }

  // The loop.

  /** Runs until about `budget` loops and calls are done, or the processor halts. Throws TripleFault. */
  run(budget: number): ProcessorStop {
    const { context, view } = this;
    let left = budget;
    while (left > 0) {
      if (this.attention && (this.halted || !this.stepping)) {
        const wasHalted = this.halted;
        this.takeInterrupts();
        if (this.stepping && wasHalted && !this.halted) return "stepped";
      }
      if (this.halted) return "halted";
      if (this.walker.userPages.length > 0) this.checkUserAccess();
      context.mode = this.mode;
      context.narrow = (this.mode & ModeBit.long) === 0;
      let code: number;
      const isTraced = (this.registers.systemFlags & RFlags.trap) !== 0;
      if (this.shadow || isTraced || this.stepping) {
        this.shadow = false;
        code = this.stepAlone();
        left -= 1;
        if (this.watchHit !== undefined) return "watchpoint";
        if (code === EngineExit.stepped) {
          if (isTraced) this.singleStepped();
          if (this.stepping) return "stepped";
          continue;
        }
      } else {
        code = context.run(left);
        left = view.getInt32(context.pointer + Header.budget, true);
        if (code === EngineExit.pageFault && this.payload === SPACE_WATCHED) {
          code = this.stepAlone();
          if (this.watchHit !== undefined) return "watchpoint";
          if (code === EngineExit.stepped) continue;
        }
      }
      if (code === EngineExit.budget) break;
      if (code === EngineExit.breakpoint) return "breakpoint";
      try {
        this.serve(code);
        if (isTraced && code === ExitCode.privileged) this.singleStepped();
      } catch (error) {
        if (!(error instanceof ProcessorFault)) throw error;
        this.raise(error.vector, error.errorCode);
      }
      if (this.stepping) return "stepped";
    }
    return this.halted ? "halted" : "budget";
  }

  private stepAlone(): number {
    this.isAlone = true;
    const code = this.context.step();
    this.isAlone = false;
    this.watchHit = this.watchpoints.takeHit();
    return code;
  }

  /** The trap flag was set when the instruction began (SDM vol. 3, 18.3.1.4). */
  private singleStepped(): void {
    this.registers.debug[DEBUG_STATUS] |= SINGLE_STEP;
    this.raise(Vector.debug, NO_ERROR_CODE);
  }

  private get payload(): number {
    return this.view.getInt32(this.context.pointer + Header.exitPayload, true);
  }

  private serve(code: number): void {
    const { registers } = this;
    switch (code) {
      case EngineExit.service:
        this.service(this.payload);
        return;
      case EngineExit.pageFault:
        this.memoryFault(this.payload);
        return;
      case ExitCode.privileged:
        this.execute();
        return;
      case ExitCode.halt:
        if (registers.cpl !== 0) throw generalProtection();
        this.halted = true;
        this.attention = true;
        return;
      case ExitCode.interruptWindow:
        // STI keeps interrupts off for one instruction more, POPF does not; the payload says.
        this.shadow = this.payload !== 0;
        this.attention = true;
        return;
      case ExitCode.interrupt:
        this.deliver(this.payload, NO_ERROR_CODE, "program");
        return;
      default: {
        const vector = code - ExitCode.exception;
        if (vector === Vector.breakpoint || vector === Vector.overflow) this.deliver(vector, NO_ERROR_CODE, "program");
        else this.raise(vector, withErrorCode.has(vector) ? this.payload : NO_ERROR_CODE);
      }
    }
  }

  private service(code: number): void {
    if (code === Service.modeChange) this.modeChanged();
    else if (code === Service.interrupt80) this.deliver(INT80, NO_ERROR_CODE, "program");
    else if (code === Service.syscall || code === Service.sysenter) {
      this.counts.systemCalls++;
      const { registers } = this;
      const next = registers.rip;
      try {
        if (code === Service.syscall) syscall(this);
        else sysenter(this);
      } catch (error) {
        // Faults of both are reported at the instruction; each has two bytes.
        registers.rip = next - 2;
        throw error;
      }
    }
  }

  /** Whether translated code has to leave at a service: always, but when MXCSR changed and the mode did not. */
  leavesAt(code: number): boolean {
    if (code !== Service.modeChange) return true;
    const was = this.mode;
    this.modeChanged();
    return this.mode !== was;
  }

  private raise(vector: number, errorCode: number): void {
    this.counts.exceptions++;
    this.deliver(vector, errorCode, "exception");
  }

  private deliver(vector: number, errorCode: number, source: "program" | "exception" | "hardware"): void {
    const next = this.registers.rip;
    this.shadow = false;
    if (source === "program") {
      // A fault on the way is reported at the instruction that asked.
      const length = vector === Vector.breakpoint || vector === Vector.overflow ? 1 : 2;
      this.delivery.deliver(vector, errorCode, source, next - length);
    } else {
      this.delivery.deliver(vector, errorCode, source);
    }
    this.modeChanged();
  }

  // Interrupts.

  interruptsChanged(): void {
    this.attention = true;
  }

  nonMaskableInterrupt(): void {
    this.nmiPending = true;
    this.attention = true;
  }

  /** INIT of the only processor there is: the platform resets the machine instead. */
  init(): void {}

  startUp(_vector: number): void {}

  /** Whether an interrupt waits for the interrupt flag: asked by translated code that has just set it. */
  interruptWaits(): boolean {
    return this.attention && (this.interrupts.pending() || this.nmiPending);
  }

  private takeInterrupts(): void {
    if (this.shadow) return;
    if (this.nmiPending && !this.nmiBlocked) {
      this.nmiPending = false;
      this.nmiBlocked = true;
      this.halted = false;
      this.deliver(NMI_VECTOR, NO_ERROR_CODE, "hardware");
      return;
    }
    if (!this.interrupts.pending()) {
      this.attention = false;
      return;
    }
    if (!this.registers.interruptsEnabled) return;
    const vector = this.interrupts.acknowledge();
    if (vector < 0) return;
    this.halted = false;
    this.counts.interrupts++;
    this.deliver(vector, NO_ERROR_CODE, "hardware");
  }

  shadowInterrupts(): void {
    this.shadow = true;
  }

  get statistics(): ProcessorStatistics {
    const instructions = new Map<string, number>();
    this.executed.forEach((count, mnemonic) => {
      if (count > 0) instructions.set(mnemonicNames[mnemonic], count);
    });
    return { ...this.counts, instructions };
  }

  // Exits of translated code.

  private memoryFault(fault: number): void {
    const { view, context, registers } = this;
    const low = view.getInt32(context.pointer + Header.faultAddress, true);
    const high = view.getInt32(context.pointer + Header.faultAddress + 4, true);
    const access = view.getInt32(context.pointer + Header.faultAccess, true);
    if (fault === SPACE_DEVICE) throw generalProtection();
    // Of a write, or a fetch, everything is known.
    const length = access === 0 || fault === FAULT_NON_CANONICAL ? this.fetchInstruction(registers.rip) : 0;
    const bits = registers.long ? 64 : 32;
    if (fault === FAULT_NON_CANONICAL)
      throw length > 0 && faultsInStack(this.code, 0, length, bits) ? stackFault(0) : generalProtection();
    let errorCode = PAGE_FAULT_BASE - fault;
    if (access === 0 && length > 0 && wantedToWrite(this.code, 0, length, bits)) {
      // It is a write that fails, then, which may fail for a better reason.
      const answer = this.walker.translate(high * TWO_32 + (low >>> 0), 1);
      if (answer <= PAGE_FAULT_BASE) errorCode = PAGE_FAULT_BASE - answer;
    }
    registers.cr2Low = low;
    registers.cr2High = high;
    this.counts.pageFaults++;
    throw pageFault(errorCode);
  }

  /** Copies the bytes at `rip`, as many as can be fetched, to `code`; returns how many. */
  private fetchInstruction(rip: number): number {
    let length = 0;
    while (length < LONGEST_INSTRUCTION) {
      const at = rip + length;
      const answer = this.walker.translate(at, 2);
      if (answer < 0) break;
      const page = this.ram.pageOf(this.walker.physical);
      const inPage = at & (PAGE_BYTES - 1);
      const piece = Math.min(LONGEST_INSTRUCTION - length, PAGE_BYTES - inPage);
      const from = page * PAGE_BYTES + inPage;
      this.code.set(this.bytes.subarray(from, from + piece), length);
      length += piece;
    }
    return length;
  }

  private execute(): void {
    const { registers, instruction } = this;
    const { rip } = registers;
    if (!unpackPrivileged(this.payload, instruction)) {
      const available = this.fetchInstruction(rip);
      const width = registers.long ? 64 : (registers.attributes[SegmentIndex.cs] & DescriptorBit.big) !== 0 ? 32 : 16;
      if (decode(this.code, 0, available, width, instruction) <= 0) throw invalidOpcode();
    }
    const { mnemonic, length } = instruction;
    this.executed[mnemonic]++;
    registers.rip = registers.long ? rip + length : (rip + length) % TWO_32;
    try {
      executeSystemInstruction(this, instruction, rip);
    } catch (error) {
      if (error instanceof ProcessorFault) registers.rip = rip;
      throw error;
    }
    if (mnemonic === Mnemonic.iret) this.nmiBlocked = false;
    // Whatever it was, it may have let interrupts in.
    if (registers.interruptsEnabled && this.interrupts.pending()) this.attention = true;
  }

  // Devices.

  private translate(address: number, access: 0 | 1 | 2): number {
    const { watchpoints } = this;
    const answer = this.walker.translate(address, access);
    if (watchpoints.isEmpty) return answer;
    this.watchedPage = -1;
    if (answer < 0 || access === 2 || !watchpoints.isOnPage(address)) return answer;
    if (!this.isAlone && watchpoints.isNear(address)) return SPACE_WATCHED;
    this.watchedAddress = address;
    this.watchedPage = (answer >>> SPACE_PAGE_SHIFT) & SPACE_PAGE_MASK;
    return SPACE_DEVICE;
  }

  /** Watched from now on; the processor is not running. */
  watch(watched: readonly Watchpoint[]): void {
    if (!this.watchpoints.replace(watched)) return;
    this.watchedPage = -1;
    this.context.invalidateAll();
  }

  /** Byte offset in the engine's memory of what is accessed on a watched page. */
  private get watchedOffset(): number {
    return this.watchedPage * PAGE_BYTES + (this.watchedAddress & (PAGE_BYTES - 1));
  }

  private readDevice(size: number, host: number): void {
    if (this.watchedPage >= 0) {
      this.bytes.copyWithin(host, this.watchedOffset, this.watchedOffset + size);
      this.watchpoints.note(this.watchedAddress, size, false);
      return;
    }
    const { physical } = this.walker;
    const { view, bus } = this;
    this.counts.deviceReads++;
    for (let done = 0; done < size;) {
      const piece = size - done >= 4 ? 4 : size - done >= 2 ? 2 : 1;
      const value = bus.readMemory(physical + done, piece);
      if (piece === 4) view.setUint32(host + done, value, true);
      else if (piece === 2) view.setUint16(host + done, value, true);
      else view.setUint8(host + done, value);
      done += piece;
    }
  }

  private writeDevice(size: number, host: number): void {
    if (this.watchedPage >= 0) {
      this.ram.noteWrite(this.watchedPage, this.watchedOffset % PAGE_BYTES, size);
      this.bytes.copyWithin(this.watchedOffset, host, host + size);
      this.watchpoints.note(this.watchedAddress, size, true);
      return;
    }
    const { physical } = this.walker;
    const { view, bus } = this;
    this.counts.deviceWrites++;
    for (let done = 0; done < size;) {
      const piece = size - done >= 4 ? 4 : size - done >= 2 ? 2 : 1;
      const value =
        piece === 4
          ? view.getUint32(host + done, true)
          : piece === 2
            ? view.getUint16(host + done, true)
            : view.getUint8(host + done);
      bus.writeMemory(physical + done, piece, value);
      done += piece;
    }
    // An interrupt that this caused is taken soon.
    if (this.attention) this.context.slices.drop();
  }

  /** I/O by translated code, of a supervisor. */
  readPort(port: number, bytes: number): number {
    this.counts.portReads++;
    return this.bus.readPort(port, bytes);
  }

  writePort(port: number, bytes: number, value: number): void {
    this.counts.portWrites++;
    this.bus.writePort(port, bytes, value);
    if (!this.registers.interruptsEnabled || !this.interrupts.pending()) return;
    // An interrupt that this caused is taken soon.
    this.attention = true;
    this.context.slices.drop();
  }

  // Translations and the mode they depend on.

  flushAll(): void {
    this.walker.largeRegions.clear();
    this.walker.sawHugePage = false;
    this.context.invalidateAll();
  }

  flushLocal(): void {
    this.context.invalidateLocal();
  }

  /** INVLPG. Soft TLBs hold large pages in pieces of 4 KiB; all of them go. */
  flushPage(address: number): void {
    const { walker, context } = this;
    if (walker.sawHugePage) {
      const start = Math.floor(address / 2 ** HUGE_SHIFT) * 2 ** HUGE_SHIFT;
      context.invalidate(start, 2 ** HUGE_SHIFT);
      return;
    }
    const region = Math.floor(address / 2 ** LARGE_SHIFT);
    if (walker.largeRegions.delete(region)) context.invalidate(region * 2 ** LARGE_SHIFT, 2 ** LARGE_SHIFT);
    else context.invalidate(Math.floor(address / PAGE_BYTES) * PAGE_BYTES, PAGE_BYTES);
  }

  /** Forgets the user pages that the supervisor may have in its soft TLB, unless it may still reach them. */
  private checkUserAccess(): void {
    if ((this.registers.systemFlags & RFlags.alignmentCheck) === 0 || this.registers.cpl === 3) this.forgetUserPages();
  }

  forgetUserPages(): void {
    const { userPages } = this.walker;
    // Emptied by pops: to set the length calls into V8's runtime.
    for (let address = userPages.pop(); address !== undefined; address = userPages.pop())
      this.context.invalidateData(address);
  }

  modeChanged(): void {
    const { registers } = this;
    let mode: number = ModeBit.machine | modeForMxcsr(registers.mxcsr);
    if (registers.long) {
      mode |= ModeBit.long;
    } else {
      if ((registers.attributes[SegmentIndex.cs] & DescriptorBit.big) === 0) mode |= ModeBit.small;
      for (const segment of [SegmentIndex.es, SegmentIndex.cs, SegmentIndex.ss, SegmentIndex.ds])
        if (registers.base(segment) !== 0) mode |= ModeBit.segmented;
    }
    if (registers.cpl !== 3) mode |= ModeBit.supervisor;
    if ((registers.cr0 & (Cr0.ts | Cr0.em)) !== 0) mode |= ModeBit.noFloat;
    this.mode = mode;
  }

  // Snapshots.

  save(): StateRecord {
    const { halted, shadow, nmiPending, nmiBlocked } = this;
    return {
      registers: saveRegisters(this.registers),
      // Of the model-specific registers, those that only remember.
      msrs: this.msrs.entries().map(([index, value]) => ({ index, value })),
      halted,
      shadow,
      nmiPending,
      nmiBlocked,
    };
  }

  load(record: StateRecord, version: number): void {
    const reader = new RecordReader(this.id, record, { found: version, known: this.version });
    loadRegisters(this.registers, reader.record("registers"));
    this.msrs.reset();
    this.msrs.restore(
      reader
        .records("msrs")
        .map((entry) => [entry.integer("index", 0, 0xffff_ffff), entry.bigint("value", 0n, 2n ** 64n - 1n)] as const),
    );
    this.halted = reader.boolean("halted");
    this.shadow = reader.boolean("shadow");
    this.nmiPending = reader.boolean("nmiPending");
    this.nmiBlocked = reader.boolean("nmiBlocked");
    this.attention = true;
    this.flushAll();
    this.modeChanged();
  }

  /** A line for logs: where the processor is. */
  describe(): string {
    const { registers } = this;
    const hex = (value: number): string => BigInt.asUintN(64, BigInt(value)).toString(16).padStart(16, "0");
    return `RIP ${hex(registers.rip)} RSP ${hex(registers.value(RSP))} CPL ${registers.cpl} flags ${(
      registers.flags & ~RFlags.fixed
    ).toString(16)} CR2 ${hex(registers.cr2High * TWO_32 + (registers.cr2Low >>> 0))} CR3 ${hex(registers.cr3)}`;
  }
}
