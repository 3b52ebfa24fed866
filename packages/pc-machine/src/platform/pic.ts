/**
 * The pair of interrupt controllers of a PC (Intel 8259A datasheet): the slave's output is input 2 of the master.
 *
 * Invariants: IRR has the inputs that ask, ISR those being served; a chip's output is the level "an input asks whose
 * priority is above all that are being served". Edge-triggered inputs keep asking until served or their line falls.
 */

import type { Device, InterruptLine, RegisterWindow, StateRecord } from "../ports.ts";
import { RecordReader } from "../snapshot/record-reader.ts";

const inputs = 8;
const cascadeInput = 2;
/** The vector of an input that stopped asking before it was served (datasheet, "spurious"). */
const spuriousInput = 7;

/** Which initialisation command word comes next: 0 when none. */
type Initialising = 0 | 2 | 3 | 4;

class Chip {
  readonly ports: RegisterWindow = {
    read: (offset) => this.#readPort(offset),
    write: (offset, _size, value) => (offset === 0 ? this.#writeCommand(value & 0xff) : this.#writeData(value & 0xff)),
  };
  readonly #outputChanged: () => void;
  readonly #isMaster: boolean;
  #lines = 0;
  #requests = 0;
  #inService = 0;
  #mask = 0;
  #vectorBase = 0;
  /** Inputs that are level-triggered: the edge/level control register. */
  #levelTriggered = 0;
  /** The input of lowest priority; the one after it has the highest. */
  #lowest = inputs - 1;
  #initialising: Initialising = 0;
  #expectsWord4 = false;
  #isSingle = false;
  #automaticEnd = false;
  #rotatesOnAutomaticEnd = false;
  #specialMask = false;
  #fullyNested = false;
  #readsInService = false;
  #polling = false;

  constructor(isMaster: boolean, outputChanged: () => void) {
    this.#isMaster = isMaster;
    this.#outputChanged = outputChanged;
  }

  get levelTriggered(): number {
    return this.#levelTriggered;
  }

  set levelTriggered(value: number) {
    this.#levelTriggered = value;
    this.#outputChanged();
  }

  /** Whether INT is asserted. */
  get output(): boolean {
    return this.#next() >= 0;
  }

  setLine(input: number, level: boolean): void {
    const bit = 1 << input;
    const before = (this.#lines & bit) !== 0;
    if (level) {
      this.#lines |= bit;
      if (!before || (this.#levelTriggered & bit) !== 0) this.#requests |= bit;
    } else {
      this.#lines &= ~bit;
      this.#requests &= ~bit;
    }
    if (before !== level) this.#outputChanged();
  }

  /** The acknowledge cycle: the input that is served from now on, -1 when none asks. */
  acknowledge(): number {
    const input = this.#next();
    if (input < 0) return -1;
    const bit = 1 << input;
    if ((this.#levelTriggered & bit) === 0) this.#requests &= ~bit;
    if (!this.#automaticEnd) this.#inService |= bit;
    else if (this.#rotatesOnAutomaticEnd) this.#lowest = input;
    this.#outputChanged();
    return input;
  }

  vectorOf(input: number): number {
    return this.#vectorBase | (input < 0 ? spuriousInput : input);
  }

  reset(): void {
    this.#lines = 0;
    this.#vectorBase = 0;
    this.#levelTriggered = 0;
    this.#initialise();
    this.#initialising = 0;
    this.#expectsWord4 = false;
    this.#isSingle = false;
    this.#automaticEnd = false;
    this.#fullyNested = false;
    this.#outputChanged();
  }

  save(): StateRecord {
    return {
      lines: this.#lines,
      requests: this.#requests,
      inService: this.#inService,
      mask: this.#mask,
      vectorBase: this.#vectorBase,
      levelTriggered: this.#levelTriggered,
      lowest: this.#lowest,
      initialising: this.#initialising,
      expectsWord4: this.#expectsWord4,
      isSingle: this.#isSingle,
      automaticEnd: this.#automaticEnd,
      rotatesOnAutomaticEnd: this.#rotatesOnAutomaticEnd,
      specialMask: this.#specialMask,
      fullyNested: this.#fullyNested,
      readsInService: this.#readsInService,
      polling: this.#polling,
    };
  }

  load(reader: RecordReader): void {
    const byte = (name: string): number => reader.integer(name, 0, 0xff);
    this.#lines = byte("lines");
    this.#requests = byte("requests");
    this.#inService = byte("inService");
    this.#mask = byte("mask");
    this.#vectorBase = byte("vectorBase") & 0xf8;
    this.#levelTriggered = byte("levelTriggered");
    this.#lowest = reader.integer("lowest", 0, inputs - 1);
    const next = reader.integer("initialising", 0, 4);
    this.#initialising = next === 2 || next === 3 || next === 4 ? next : 0;
    this.#expectsWord4 = reader.boolean("expectsWord4");
    this.#isSingle = reader.boolean("isSingle");
    this.#automaticEnd = reader.boolean("automaticEnd");
    this.#rotatesOnAutomaticEnd = reader.boolean("rotatesOnAutomaticEnd");
    this.#specialMask = reader.boolean("specialMask");
    this.#fullyNested = reader.boolean("fullyNested");
    this.#readsInService = reader.boolean("readsInService");
    this.#polling = reader.boolean("polling");
  }

  /** The input to be served next, -1 when none may be. */
  #next(): number {
    const asking = this.#requests & ~this.#mask;
    if (asking === 0) return -1;
    // In special mask mode a masked input that is being served does not hold up those below it.
    const serving = this.#specialMask ? this.#inService & ~this.#mask : this.#inService;
    for (let step = 1; step <= inputs; step++) {
      const input = (this.#lowest + step) % inputs;
      const bit = 1 << input;
      // In special fully nested mode the slave may ask again while one of its interrupts is being served.
      const nested = this.#fullyNested && this.#isMaster && input === cascadeInput && (asking & bit) !== 0;
      if ((serving & bit) !== 0 && !nested) return -1;
      if ((asking & bit) !== 0) return input;
    }
    return -1;
  }

  #readPort(offset: number): number {
    if (this.#polling) {
      this.#polling = false;
      const input = this.acknowledge();
      return input < 0 ? 0 : 0x80 | input;
    }
    if (offset === 1) return this.#mask;
    return this.#readsInService ? this.#inService : this.#requests;
  }

  #writeCommand(value: number): void {
    if ((value & 0x10) !== 0) {
      this.#initialise();
      this.#expectsWord4 = (value & 1) !== 0;
      this.#isSingle = (value & 2) !== 0;
      if (!this.#expectsWord4) {
        this.#automaticEnd = false;
        this.#fullyNested = false;
      }
    } else if ((value & 0x08) !== 0) this.#writeOperation3(value);
    else this.#writeOperation2(value);
    this.#outputChanged();
  }

  #initialise(): void {
    // What is level-triggered and high asks at once; an edge has to come anew.
    this.#requests = this.#lines & this.#levelTriggered;
    this.#inService = 0;
    this.#mask = 0;
    this.#lowest = inputs - 1;
    this.#specialMask = false;
    this.#readsInService = false;
    this.#polling = false;
    this.#rotatesOnAutomaticEnd = false;
    this.#initialising = 2;
  }

  #writeData(value: number): void {
    switch (this.#initialising) {
      case 2:
        this.#vectorBase = value & 0xf8;
        this.#initialising = this.#isSingle ? (this.#expectsWord4 ? 4 : 0) : 3;
        break;
      case 3:
        // Where the slave is connected; on a PC that is soldered.
        this.#initialising = this.#expectsWord4 ? 4 : 0;
        break;
      case 4:
        this.#automaticEnd = (value & 2) !== 0;
        this.#fullyNested = (value & 0x10) !== 0;
        this.#initialising = 0;
        break;
      default:
        this.#mask = value;
    }
    this.#outputChanged();
  }

  /** OCW2: end of interrupt and rotation, by the bits R, SL and EOI. */
  #writeOperation2(value: number): void {
    const rotate = (value & 0x80) !== 0;
    const specific = (value & 0x40) !== 0;
    const end = (value & 0x20) !== 0;
    if (!end) {
      if (specific && rotate) this.#lowest = value & 7;
      else if (!specific) this.#rotatesOnAutomaticEnd = rotate;
      return;
    }
    const input = specific ? value & 7 : this.#highestInService();
    if (input < 0) return;
    this.#inService &= ~(1 << input);
    if (rotate) this.#lowest = input;
  }

  #writeOperation3(value: number): void {
    if ((value & 0x40) !== 0) this.#specialMask = (value & 0x20) !== 0;
    if ((value & 0x04) !== 0) this.#polling = true;
    else if ((value & 0x02) !== 0) this.#readsInService = (value & 1) !== 0;
  }

  #highestInService(): number {
    const serving = this.#specialMask ? this.#inService & ~this.#mask : this.#inService;
    for (let step = 1; step <= inputs; step++) {
      const input = (this.#lowest + step) % inputs;
      if ((serving & (1 << input)) !== 0) return input;
    }
    return -1;
  }
}

export class InterruptControllerPair implements Device {
  readonly id = "pic";
  readonly version = 1;
  readonly #output: InterruptLine;
  readonly #master: Chip;
  readonly #slave: Chip;
  /** Ports 0x20 and 0x21, 0xa0 and 0xa1, and the edge/level control registers 0x4d0 and 0x4d1. */
  readonly master: RegisterWindow;
  readonly slave: RegisterWindow;
  readonly edgeLevel: RegisterWindow = {
    read: (offset) => (offset === 0 ? this.#master : this.#slave).levelTriggered,
    // Timer, keyboard, cascade, clock and coprocessor are edge-triggered for ever.
    write: (offset, _size, value) => {
      if (offset === 0) this.#master.levelTriggered = value & 0xf8;
      else this.#slave.levelTriggered = value & 0xde;
    },
  };

  /** @param output INTR: to the processor, or LINT0 of its local APIC */
  constructor(output: InterruptLine) {
    this.#output = output;
    this.#master = new Chip(true, () => this.#output.set(this.#master.output));
    this.#slave = new Chip(false, () => this.#master.setLine(cascadeInput, this.#slave.output));
    this.master = this.#master.ports;
    this.slave = this.#slave.ports;
    this.reset();
  }

  /** Input 0 to 15. */
  line(input: number): InterruptLine {
    const chip = input < inputs ? this.#master : this.#slave;
    return { set: (level) => chip.setLine(input % inputs, level) };
  }

  /** Two INTA cycles: the vector of the interrupt served from now on. */
  acknowledge(): number {
    const input = this.#master.acknowledge();
    if (input !== cascadeInput) return this.#master.vectorOf(input);
    return this.#slave.vectorOf(this.#slave.acknowledge());
  }

  reset(): void {
    this.#slave.reset();
    this.#master.reset();
  }

  save(): StateRecord {
    return { master: this.#master.save(), slave: this.#slave.save() };
  }

  load(record: StateRecord, version: number): void {
    const reader = new RecordReader(this.id, record, { found: version, known: this.version });
    this.#master.load(reader.record("master"));
    this.#slave.load(reader.record("slave"));
  }
}
