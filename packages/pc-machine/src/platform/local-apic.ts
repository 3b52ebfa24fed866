/**
 * The local APIC of one processor (Intel SDM vol. 3, chapter 11): version 0x14, six local vectors, as a page of memory
 * (xAPIC) or as MSRs (x2APIC).
 *
 * Invariants: a vector of IRR waits, one of ISR is being served; TMR remembers which were level-triggered when they
 * were accepted, and only those are announced to the IO-APICs at their end. The timer's count is not kept but computed
 * from when it was started.
 */

import type {
  Bus,
  Device,
  InterruptLine,
  MachineClock,
  Mapping,
  ProcessorInterrupts,
  ProcessorSignals,
  RegisterWindow,
  StateRecord,
  Timer,
  TimeStamps,
} from "../ports.ts";
import { RecordReader } from "../snapshot/record-reader.ts";
import { DeliveryMode } from "./interrupt-messages.ts";
import type { InterruptMessage, InterruptMessages, MessageReceiver } from "./interrupt-messages.ts";
import { VectorSet } from "./vector-set.ts";

/** Register offsets in the page; an x2APIC MSR is 0x800 plus a sixteenth. */
const Register = {
  id: 0x20,
  version: 0x30,
  taskPriority: 0x80,
  arbitrationPriority: 0x90,
  processorPriority: 0xa0,
  endOfInterrupt: 0xb0,
  logicalDestination: 0xd0,
  destinationFormat: 0xe0,
  spurious: 0xf0,
  inService: 0x100,
  triggerMode: 0x180,
  requests: 0x200,
  errorStatus: 0x280,
  command: 0x300,
  commandHigh: 0x310,
  lvtTimer: 0x320,
  lvtThermal: 0x330,
  lvtPerformance: 0x340,
  lvtLint0: 0x350,
  lvtLint1: 0x360,
  lvtError: 0x370,
  initialCount: 0x380,
  currentCount: 0x390,
  divide: 0x3e0,
  selfInterrupt: 0x3f0,
} as const;

const Msr = { apicBase: 0x1b, tscDeadline: 0x6e0, x2apicFirst: 0x800, x2apicLast: 0x8ff } as const;

const baseEnabled = 1 << 11;
const baseX2apic = 1 << 10;
const baseBootProcessor = 1 << 8;
const defaultBase = 0xfee00000;
/** Version 0x14, and the number of the last local vector. */
const versionRegister = 0x00050014;
const softwareEnabled = 0x100;
const lvtMasked = 0x10000;
const lvtLevel = 0x8000;
const lvtRemoteRequest = 0x4000;
const errorIllegalVectorSent = 0x20;
const errorIllegalVectorReceived = 0x40;
const errorIllegalRegister = 0x80;

const TimerMode = { oneShot: 0, periodic: 1, deadline: 2 } as const;

/** The local vectors in the order of `#lvt`, and the bits of each that can be written. */
const localVectors = [
  { offset: Register.lvtTimer, writable: 0x700ff },
  { offset: Register.lvtThermal, writable: 0x107ff },
  { offset: Register.lvtPerformance, writable: 0x107ff },
  { offset: Register.lvtLint0, writable: 0x1a7ff },
  { offset: Register.lvtLint1, writable: 0x1a7ff },
  { offset: Register.lvtError, writable: 0x100ff },
] as const;
const Lvt = { timer: 0, lint0: 3, lint1: 4, error: 5 } as const;

export interface LocalApicConnections {
  readonly apicId: number;
  readonly bus: Bus;
  readonly clock: MachineClock;
  readonly tsc: TimeStamps;
  readonly messages: InterruptMessages;
  readonly processor: ProcessorSignals;
  /** The end of a level-triggered interrupt, for the IO-APICs. */
  readonly endOfInterrupt: (vector: number) => void;
  /** Takes the vector of the interrupt that the PICs have waiting. */
  readonly acknowledgeExternal: () => number;
  /** Counts of the timer a second, before its divider. */
  readonly timerHz: number;
}

export class LocalApic implements ProcessorInterrupts, MessageReceiver, RegisterWindow, Device {
  readonly id: string;
  readonly version = 1;
  /** LINT0: the PICs' interrupt output. */
  readonly lint0: InterruptLine = { set: (level) => this.#setPin(Lvt.lint0, level) };
  /** LINT1: non-maskable interrupts. */
  readonly lint1: InterruptLine = { set: (level) => this.#setPin(Lvt.lint1, level) };
  readonly #to: LocalApicConnections;
  readonly #requests = new VectorSet();
  readonly #inService = new VectorSet();
  readonly #levelTriggered = new VectorSet();
  readonly #lvt = new Int32Array(localVectors.length);
  readonly #pins: boolean[] = [false, false];
  #base = 0;
  #apicId = 0;
  #taskPriority = 0;
  #logicalDestination = 0;
  #destinationFormat = 0;
  #spurious = 0;
  #commandLow = 0;
  #commandHigh = 0;
  /** What the guest reads, and what has been found since it last wrote to the register. */
  #errors = 0;
  #newErrors = 0;
  #divide = 0;
  #initialCount = 0;
  /** The machine's time at which the count began. */
  #countStart = 0;
  /** What was written to IA32_TSC_DEADLINE; 0 when it is not armed. */
  #deadline = 0n;
  #timer: Timer | undefined;
  #mapping: Mapping | undefined;

  constructor(connections: LocalApicConnections) {
    this.#to = connections;
    this.id = `local-apic.${connections.apicId}`;
    connections.messages.connect(this);
    this.reset();
  }

  pending(): boolean {
    return this.#externalPending() || this.#deliverable() >= 0;
  }

  acknowledge(): number {
    if (this.#externalPending()) return this.#to.acknowledgeExternal();
    const vector = this.#deliverable();
    if (vector < 0) return -1;
    this.#requests.remove(vector);
    this.#inService.add(vector);
    return vector;
  }

  get taskPriority(): number {
    return this.#taskPriority >>> 4;
  }

  set taskPriority(priority: number) {
    this.#setTaskPriority((priority & 15) << 4);
  }

  /** What firmware leaves behind: interrupts of the PICs pass through LINT0, NMI through LINT1 (11.5.1, 11.9). */
  enterVirtualWireMode(): void {
    this.#spurious |= softwareEnabled;
    this.#lvt[Lvt.lint0] = DeliveryMode.external << 8;
    this.#lvt[Lvt.lint1] = DeliveryMode.nmi << 8;
    this.#to.processor.interruptsChanged();
  }

  matches(destination: number, logical: boolean): boolean {
    if (!this.#hardwareEnabled) return false;
    const wide = this.#isX2apic;
    if (destination === 0xff || (wide && destination === 0xffffffff)) return true;
    if (!logical) return destination === this.#apicId;
    if (wide) {
      const own = this.#x2apicLogicalId();
      return destination >>> 16 === own >>> 16 && (destination & own & 0xffff) !== 0;
    }
    const own = this.#logicalDestination >>> 24;
    // Flat: a bit for each processor. Cluster: the upper half names the cluster, the lower has the bits.
    if (this.#destinationFormat >>> 28 === 15) return (destination & own) !== 0;
    return destination >>> 4 === own >>> 4 && (destination & own & 15) !== 0;
  }

  arbitrationPriority(): number {
    return this.#processorPriority();
  }

  receive(message: InterruptMessage): void {
    const { mode, vector, level } = message;
    switch (mode) {
      case DeliveryMode.fixed:
      case DeliveryMode.lowestPriority:
        this.#accept(vector, level);
        return;
      case DeliveryMode.nmi:
        this.#to.processor.nonMaskableInterrupt();
        return;
      case DeliveryMode.init:
        this.#to.processor.init();
        return;
      case DeliveryMode.startUp:
        this.#to.processor.startUp(vector);
        return;
      default:
        // The PICs are wired to LINT0 only, there is no system management mode to enter, and 3 is reserved.
        return;
    }
  }

  readMsr(index: number): bigint | undefined {
    if (index === Msr.apicBase) return BigInt(this.#base);
    if (index === Msr.tscDeadline) return this.#deadline;
    if (index < Msr.x2apicFirst || index > Msr.x2apicLast || !this.#isX2apic) return undefined;
    const offset = (index - Msr.x2apicFirst) << 4;
    if (offset === Register.command) return (BigInt(this.#commandHigh) << 32n) | BigInt(this.#commandLow >>> 0);
    const writeOnly = offset === Register.endOfInterrupt || offset === Register.selfInterrupt;
    const xapicOnly = offset === Register.destinationFormat || offset === Register.commandHigh;
    if (writeOnly || xapicOnly || offset === Register.arbitrationPriority || !isRegister(offset)) return undefined;
    return BigInt(this.#read(offset));
  }

  writeMsr(index: number, value: bigint): boolean {
    if (index === Msr.apicBase) return this.#writeBase(value);
    if (index === Msr.tscDeadline) {
      this.#writeDeadline(value);
      return true;
    }
    if (index < Msr.x2apicFirst || index > Msr.x2apicLast || !this.#isX2apic) return false;
    const offset = (index - Msr.x2apicFirst) << 4;
    const low = Number(BigInt.asUintN(32, value));
    const high = Number(value >> 32n);
    if (offset === Register.command) {
      this.#commandHigh = high;
      this.#write(Register.command, low);
      return true;
    }
    if (high !== 0 || !isWritableMsr(offset)) return false;
    if ((offset === Register.endOfInterrupt || offset === Register.errorStatus) && low !== 0) return false;
    if (offset === Register.selfInterrupt) this.#accept(low & 0xff, false);
    else this.#write(offset, low);
    return true;
  }

  read(offset: number, size: number): number {
    // Registers are 32 bits wide at multiples of 16; narrower reads get their part of them.
    const shift = (offset & 3) * 8;
    const value = (offset & 12) === 0 ? this.#read(offset & ~15) : 0;
    return size === 4 ? value : (value >>> shift) & (size === 2 ? 0xffff : 0xff);
  }

  write(offset: number, size: number, value: number): void {
    if (size === 4 && (offset & 15) === 0) this.#write(offset, value);
  }

  reset(): void {
    this.#writeBaseRegister(defaultBase + baseEnabled + (this.#to.apicId === 0 ? baseBootProcessor : 0));
    this.#apicId = this.#to.apicId;
    this.#pins.fill(false);
    this.#resetRegisters();
  }

  save(): StateRecord {
    return {
      requests: this.#requests.save(),
      inService: this.#inService.save(),
      levelTriggered: this.#levelTriggered.save(),
      lvt: [...this.#lvt],
      pins: this.#pins.slice(),
      base: this.#base,
      apicId: this.#apicId,
      taskPriority: this.#taskPriority,
      logicalDestination: this.#logicalDestination,
      destinationFormat: this.#destinationFormat,
      spurious: this.#spurious,
      command: [this.#commandLow >>> 0, this.#commandHigh],
      errors: [this.#errors, this.#newErrors],
      divide: this.#divide,
      initialCount: this.#initialCount,
      countStart: this.#countStart,
      deadline: this.#deadline,
    };
  }

  load(record: StateRecord, version: number): void {
    const reader = new RecordReader(this.id, record, { found: version, known: this.version });
    const word = (name: string): number => reader.integer(name, 0, 0xffffffff);
    this.#requests.load(reader, "requests");
    this.#inService.load(reader, "inService");
    this.#levelTriggered.load(reader, "levelTriggered");
    this.#lvt.set(reader.integers("lvt", 0, 0x7ffff, localVectors.length));
    [this.#pins[0], this.#pins[1]] = reader.booleans("pins", 2);
    this.#apicId = word("apicId");
    this.#taskPriority = reader.integer("taskPriority", 0, 0xff);
    this.#logicalDestination = word("logicalDestination");
    this.#destinationFormat = word("destinationFormat");
    this.#spurious = word("spurious");
    [this.#commandLow, this.#commandHigh] = reader.integers("command", 0, 0xffffffff, 2);
    [this.#errors, this.#newErrors] = reader.integers("errors", 0, 0xff, 2);
    this.#divide = reader.integer("divide", 0, 15);
    this.#initialCount = word("initialCount");
    this.#countStart = reader.time("countStart");
    this.#deadline = reader.bigint("deadline", 0n, 2n ** 64n - 1n);
    this.#writeBaseRegister(reader.integer("base", 0, Number.MAX_SAFE_INTEGER));
    this.#armTimer();
    this.#to.processor.interruptsChanged();
  }

  get #hardwareEnabled(): boolean {
    return (this.#base & baseEnabled) !== 0;
  }

  get #isX2apic(): boolean {
    return (this.#base & baseX2apic) !== 0;
  }

  get #softwareEnabled(): boolean {
    return this.#hardwareEnabled && (this.#spurious & softwareEnabled) !== 0;
  }

  get #timerMode(): number {
    return (this.#lvt[Lvt.timer] >>> 17) & 3;
  }

  #resetRegisters(): void {
    this.#requests.clear();
    this.#inService.clear();
    this.#levelTriggered.clear();
    this.#lvt.fill(lvtMasked);
    this.#taskPriority = 0;
    this.#logicalDestination = 0;
    this.#destinationFormat = 0xffffffff;
    this.#spurious = 0xff;
    this.#commandLow = 0;
    this.#commandHigh = 0;
    this.#errors = 0;
    this.#newErrors = 0;
    this.#divide = 0;
    this.#initialCount = 0;
    this.#countStart = 0;
    this.#deadline = 0n;
    this.#armTimer();
  }

  /** Whether the PICs have an interrupt that reaches the processor: through LINT0, or past an APIC that is off. */
  #externalPending(): boolean {
    if (!this.#pins[0]) return false;
    if (!this.#hardwareEnabled) return true;
    const entry = this.#lvt[Lvt.lint0];
    return (entry & lvtMasked) === 0 && ((entry >>> 8) & 7) === DeliveryMode.external;
  }

  /** The vector to be served next, -1 when there is none above the processor's priority. */
  #deliverable(): number {
    if (!this.#softwareEnabled) return -1;
    const vector = this.#requests.highest();
    return vector >= 0 && vector >>> 4 > this.#processorPriority() >>> 4 ? vector : -1;
  }

  /** PPR (11.8.3.1): the task's priority, or that of the interrupt being served. */
  #processorPriority(): number {
    const serving = Math.max(this.#inService.highest(), 0);
    return this.#taskPriority >>> 4 >= serving >>> 4 ? this.#taskPriority : serving & 0xf0;
  }

  #setTaskPriority(priority: number): void {
    this.#taskPriority = priority;
    this.#to.processor.interruptsChanged();
  }

  #accept(vector: number, level: boolean): void {
    if (vector < 16) {
      this.#noteError(errorIllegalVectorReceived);
      return;
    }
    if (!this.#softwareEnabled) return;
    this.#requests.add(vector);
    if (level) this.#levelTriggered.add(vector);
    else this.#levelTriggered.remove(vector);
    this.#to.processor.interruptsChanged();
  }

  #endInterrupt(): void {
    const vector = this.#inService.highest();
    if (vector < 0) return;
    this.#inService.remove(vector);
    if (this.#levelTriggered.has(vector)) {
      this.#lvt[Lvt.lint0] &= ~lvtRemoteRequest;
      this.#to.endOfInterrupt(vector);
    }
    this.#to.processor.interruptsChanged();
  }

  #noteError(error: number): void {
    this.#newErrors |= error;
    this.#deliverLocal(Lvt.error);
  }

  /** Sends what a local vector says; false when it is masked. */
  #deliverLocal(index: number): boolean {
    const entry = this.#lvt[index];
    if ((entry & lvtMasked) !== 0 || !this.#hardwareEnabled) return false;
    const level = (entry & lvtLevel) !== 0;
    const mode = index === Lvt.timer || index === Lvt.error ? DeliveryMode.fixed : (entry >>> 8) & 7;
    if (mode === DeliveryMode.external) this.#to.processor.interruptsChanged();
    else this.receive({ mode, vector: entry & 0xff, destination: this.#apicId, logical: false, level });
    return true;
  }

  #setPin(index: number, level: boolean): void {
    const pin = index - Lvt.lint0;
    if (this.#pins[pin] === level) return;
    this.#pins[pin] = level;
    if (!level) return;
    if (this.#hardwareEnabled) this.#deliverLocal(index);
    else if (index === Lvt.lint1) this.#to.processor.nonMaskableInterrupt();
    else this.#to.processor.interruptsChanged();
  }

  #x2apicLogicalId(): number {
    return ((this.#apicId >>> 4) << 16) | (1 << (this.#apicId & 15));
  }

  #read(offset: number): number {
    if (offset >= Register.inService && offset < Register.errorStatus) {
      const set = [this.#inService, this.#levelTriggered, this.#requests][(offset - Register.inService) >>> 7];
      return set.word((offset >>> 4) & 7);
    }
    switch (offset) {
      case Register.id:
        return this.#isX2apic ? this.#apicId : (this.#apicId << 24) >>> 0;
      case Register.version:
        return versionRegister;
      case Register.taskPriority:
        return this.#taskPriority;
      case Register.arbitrationPriority:
      case Register.processorPriority:
        return this.#processorPriority();
      case Register.logicalDestination:
        return (this.#isX2apic ? this.#x2apicLogicalId() : this.#logicalDestination) >>> 0;
      case Register.destinationFormat:
        return this.#destinationFormat >>> 0;
      case Register.spurious:
        return this.#spurious;
      case Register.errorStatus:
        return this.#errors;
      case Register.command:
        return this.#commandLow >>> 0;
      case Register.commandHigh:
        return this.#commandHigh >>> 0;
      case Register.initialCount:
        return this.#initialCount;
      case Register.currentCount:
        return this.#currentCount();
      case Register.divide:
        return this.#divide;
      default:
        return this.#readLocalVector(offset);
    }
  }

  #readLocalVector(offset: number): number {
    const index = localVectors.findIndex((vector) => vector.offset === offset);
    if (index >= 0) return this.#lvt[index];
    if (!isRegister(offset)) this.#noteError(errorIllegalRegister);
    return 0;
  }

  #write(offset: number, value: number): void {
    switch (offset) {
      case Register.id:
        this.#apicId = value >>> 24;
        return;
      case Register.taskPriority:
        this.#setTaskPriority(value & 0xff);
        return;
      case Register.endOfInterrupt:
        this.#endInterrupt();
        return;
      case Register.logicalDestination:
        this.#logicalDestination = (value & 0xff000000) >>> 0;
        return;
      case Register.destinationFormat:
        this.#destinationFormat = (value | 0x0fffffff) >>> 0;
        return;
      case Register.spurious:
        this.#writeSpurious(value & 0x1ff);
        return;
      case Register.errorStatus:
        this.#errors = this.#newErrors;
        this.#newErrors = 0;
        return;
      case Register.command:
        this.#commandLow = value & 0xcdfff;
        this.#sendCommand();
        return;
      case Register.commandHigh:
        this.#commandHigh = (value & 0xff000000) >>> 0;
        return;
      case Register.initialCount:
        this.#startCount(value >>> 0);
        return;
      case Register.divide:
        this.#writeDivide(value & 0xb);
        return;
      default:
        this.#writeLocalVector(offset, value);
    }
  }

  #writeLocalVector(offset: number, value: number): void {
    const index = localVectors.findIndex((vector) => vector.offset === offset);
    if (index < 0) {
      if (!isRegister(offset)) this.#noteError(errorIllegalRegister);
      return;
    }
    const before = this.#timerMode;
    const kept = this.#lvt[index] & lvtRemoteRequest;
    // While the APIC is off by software, local vectors stay masked (11.4.7.2).
    this.#lvt[index] = (value & localVectors[index].writable) | kept | (this.#softwareEnabled ? 0 : lvtMasked);
    if (index === Lvt.timer) this.#changeTimerMode(before);
    // A level that was there while the pin was masked counts from now on.
    if (index === Lvt.lint0 && this.#pins[0]) this.#deliverLocal(Lvt.lint0);
  }

  #writeSpurious(value: number): void {
    this.#spurious = value;
    if ((value & softwareEnabled) === 0) {
      for (let index = 0; index < this.#lvt.length; index++) this.#lvt[index] |= lvtMasked;
    }
    this.#to.processor.interruptsChanged();
  }

  #writeBase(value: bigint): boolean {
    const base = Number(value);
    // Bits 0-7 and 9 are reserved; the page has to lie below 2^46; x2APIC only from xAPIC, and back only through off.
    const reserved = (value & 0x2ffn) !== 0n || value >= 2n ** 46n;
    const mode = (base >>> 10) & 3;
    const from = (this.#base >>> 10) & 3;
    if (reserved || mode === 1 || (mode === 3 && from === 0) || (mode === 2 && from === 3)) return false;
    if (mode === 0 && from !== 0) this.#resetRegisters();
    this.#writeBaseRegister(base);
    if (mode === 3) this.#apicId = this.#to.apicId;
    this.#to.processor.interruptsChanged();
    return true;
  }

  #writeBaseRegister(base: number): void {
    this.#base = base;
    this.#mapping?.unmap();
    const visible = this.#hardwareEnabled && !this.#isX2apic;
    this.#mapping = visible ? this.#to.bus.mapMemory(base - (base % 4096), 4096, this) : undefined;
  }

  /** The interrupt command register (11.6.1). */
  #sendCommand(): void {
    const command = this.#commandLow;
    const vector = command & 0xff;
    const mode = (command >>> 8) & 7;
    const level = (command & lvtLevel) !== 0;
    // INIT with level de-assert only synchronises arbitration, of which there is none.
    if (mode === DeliveryMode.init && level && (command & 0x4000) === 0) return;
    if (mode === DeliveryMode.fixed && vector < 16) {
      this.#noteError(errorIllegalVectorSent);
      return;
    }
    const destination = this.#isX2apic ? this.#commandHigh : this.#commandHigh >>> 24;
    const message = { vector, mode, destination, logical: (command & 0x800) !== 0, level: false };
    const shorthand = (command >>> 18) & 3;
    if (shorthand === 0) this.#to.messages.send(message);
    if (shorthand === 1 || shorthand === 2) this.receive(message);
    if (shorthand === 2 || shorthand === 3) this.#to.messages.sendToOthers(this, message);
  }

  // The timer (11.5.4).

  /** Nanoseconds of one count. */
  #countNs(): number {
    const shift = ((((this.#divide >>> 1) & 4) | (this.#divide & 3)) + 1) & 7;
    return (1e9 * 2 ** shift) / this.#to.timerHz;
  }

  #currentCount(): number {
    if (this.#initialCount === 0 || this.#timerMode === TimerMode.deadline) return 0;
    const counts = Math.floor((this.#to.clock.now() - this.#countStart) / this.#countNs());
    if (this.#timerMode === TimerMode.periodic) return this.#initialCount - (counts % this.#initialCount);
    return Math.max(this.#initialCount - counts, 0);
  }

  #startCount(count: number): void {
    if (this.#timerMode === TimerMode.deadline) return;
    this.#initialCount = count;
    this.#countStart = this.#to.clock.now();
    this.#armTimer();
  }

  #writeDivide(divide: number): void {
    const count = this.#currentCount();
    this.#divide = divide;
    // The count goes on from where it is, at its new pace.
    this.#countStart = this.#to.clock.now() - (this.#initialCount - count) * this.#countNs();
    this.#armTimer();
  }

  #changeTimerMode(before: number): void {
    if (before === this.#timerMode) return;
    if (before === TimerMode.deadline || this.#timerMode === TimerMode.deadline) {
      this.#initialCount = 0;
      this.#deadline = 0n;
    }
    this.#armTimer();
  }

  #writeDeadline(value: bigint): void {
    if (this.#timerMode !== TimerMode.deadline) return;
    this.#deadline = value;
    this.#armTimer();
  }

  #armTimer(): void {
    this.#timer?.cancel();
    const time = this.#expiry();
    this.#timer = Number.isFinite(time) ? this.#to.clock.at(time, () => this.#expire()) : undefined;
  }

  #expiry(): number {
    if (this.#timerMode === TimerMode.deadline) {
      if (this.#deadline === 0n) return Number.POSITIVE_INFINITY;
      return this.#deadline <= this.#to.tsc.read() ? this.#to.clock.now() : this.#to.tsc.timeOf(this.#deadline);
    }
    if (this.#initialCount === 0) return Number.POSITIVE_INFINITY;
    const period = this.#initialCount * this.#countNs();
    const elapsed = this.#to.clock.now() - this.#countStart;
    if (this.#timerMode === TimerMode.periodic) {
      // Periods that passed unseen are one interrupt.
      return this.#countStart + (Math.floor(elapsed / period) + 1) * period;
    }
    return elapsed < period ? this.#countStart + period : Number.POSITIVE_INFINITY;
  }

  #expire(): void {
    this.#timer = undefined;
    if (this.#timerMode === TimerMode.deadline) this.#deadline = 0n;
    this.#deliverLocal(Lvt.timer);
    if (this.#timerMode === TimerMode.periodic) this.#armTimer();
  }
}

const registerOffsets: ReadonlySet<number> = new Set(Object.values(Register));

function isRegister(offset: number): boolean {
  return registerOffsets.has(offset) || (offset >= Register.inService && offset < Register.errorStatus);
}

function isWritableMsr(offset: number): boolean {
  const readOnly: readonly number[] = [
    Register.id,
    Register.version,
    Register.arbitrationPriority,
    Register.processorPriority,
    Register.logicalDestination,
    Register.destinationFormat,
    Register.commandHigh,
    Register.currentCount,
  ];
  return registerOffsets.has(offset) && !readOnly.includes(offset) && !(offset >= 0x100 && offset < 0x280);
}
