/**
 * The real-time clock and its 128 bytes of memory (Motorola MC146818A datasheet), with the century where ACPI says it is.
 *
 * The time of day is the host's, plus what the guest added by setting it. Interrupts come from the machine's clock.
 */

import type { Device, InterruptLine, MachineClock, RegisterWindow, StateRecord, Timer } from "../ports.ts";
import { RecordReader } from "../snapshot/record-reader.ts";

const memoryBytes = 128;
const msPerSecond = 1000;
/** The update begins this long before the second does, and the clock says so (datasheet, "update cycle"). */
const updateMs = 0.244;

const Index = {
  seconds: 0,
  secondsAlarm: 1,
  minutes: 2,
  minutesAlarm: 3,
  hours: 4,
  hoursAlarm: 5,
  dayOfWeek: 6,
  day: 7,
  month: 8,
  year: 9,
  a: 10,
  b: 11,
  c: 12,
  d: 13,
} as const;

/** Where the century is: named by the FADT. */
export const centuryIndex = 0x32;

const updateInProgress = 0x80;
/** Register B. */
const B = { set: 0x80, periodic: 0x40, alarm: 0x20, update: 0x10, binary: 0x04, hours24: 0x02 } as const;
/** Register C: the same bits, and whether the interrupt is asked for. */
const interruptRequest = 0x80;
/** Register D: the battery is fine. */
const valid = 0x80;
/** An alarm register of 0b11xxxxxx matches always. */
const anyTime = 0xc0;
const afternoon = 0x80;

export class RealTimeClock implements Device {
  readonly id = "rtc";
  readonly version = 1;
  readonly #clock: MachineClock;
  readonly #wallClock: () => number;
  readonly #line: InterruptLine;
  readonly #memory = new Uint8Array(memoryBytes);
  #index = 0;
  /** What the guest's time is ahead of the host's, in milliseconds. */
  #aheadMs = 0;
  #periodic: Timer | undefined;
  #second: Timer | undefined;

  /** Ports 0x70 and 0x71. */
  readonly ports: RegisterWindow = {
    read: (offset) => (offset === 0 ? 0xff : this.#read(this.#index)),
    write: (offset, _size, value) => {
      // The upper bit of the index masks non-maskable interrupts, of which this machine has none.
      if (offset === 0) this.#index = value & 0x7f;
      else this.#write(this.#index, value & 0xff);
    },
  };

  /**
   * @param wallClock milliseconds since 1970-01-01, UTC, with their fraction
   * @param line interrupt 8
   */
  constructor(clock: MachineClock, wallClock: () => number, line: InterruptLine) {
    this.#clock = clock;
    this.#wallClock = wallClock;
    this.#line = line;
    this.#memory[Index.a] = 0x26;
    this.#memory[Index.b] = B.hours24;
    this.#memory[Index.d] = valid;
  }

  /** The clock and its memory have a battery; only interrupts are switched off. */
  reset(): void {
    this.#index = 0;
    this.#memory[Index.b] &= ~(B.periodic | B.alarm | B.update);
    this.#memory[Index.c] = 0;
    this.#line.set(false);
    this.#schedule();
  }

  save(): StateRecord {
    return { memory: this.#memory.slice(), index: this.#index, aheadMs: this.#aheadMs };
  }

  load(record: StateRecord, version: number): void {
    const reader = new RecordReader(this.id, record, { found: version, known: this.version });
    this.#memory.set(reader.bytes("memory", memoryBytes));
    this.#index = reader.integer("index", 0, 0x7f);
    this.#aheadMs = reader.time("aheadMs");
    this.#schedule();
  }

  get #b(): number {
    return this.#memory[Index.b];
  }

  #now(): number {
    return this.#wallClock() + this.#aheadMs;
  }

  #read(index: number): number {
    switch (index) {
      case Index.a:
        return this.#memory[Index.a] | (this.#isUpdating() ? updateInProgress : 0);
      case Index.c: {
        const causes = this.#memory[Index.c];
        this.#memory[Index.c] = 0;
        this.#line.set(false);
        return causes;
      }
      default:
        if (isTime(index)) this.#latchTime();
        return this.#memory[index];
    }
  }

  #write(index: number, value: number): void {
    switch (index) {
      case Index.a:
        this.#memory[Index.a] = value & 0x7f;
        this.#schedule();
        return;
      case Index.b:
        this.#writeB(value);
        return;
      case Index.c:
      case Index.d:
        return;
      default:
        if (isTime(index)) this.#latchTime();
        this.#memory[index] = value;
        if (isTime(index) && (this.#b & B.set) === 0) this.#setTime();
    }
  }

  #writeB(value: number): void {
    const before = this.#b;
    // What the registers show when the time is stopped is the time then; what they show when it goes on is set.
    if ((value & ~before & B.set) !== 0) this.#latchTime();
    this.#memory[Index.b] = (value & B.set) === 0 ? value : value & ~B.update;
    if ((before & ~value & B.set) !== 0) this.#setTime();
    this.#raise(0);
    this.#schedule();
  }

  #isUpdating(): boolean {
    return (this.#b & B.set) === 0 && this.#now() % msPerSecond >= msPerSecond - updateMs;
  }

  #latchTime(): void {
    if ((this.#b & B.set) !== 0) return;
    const time = new Date(this.#now());
    const memory = this.#memory;
    memory[Index.seconds] = this.#encode(time.getUTCSeconds());
    memory[Index.minutes] = this.#encode(time.getUTCMinutes());
    memory[Index.hours] = this.#encodeHours(time.getUTCHours());
    memory[Index.dayOfWeek] = this.#encode(time.getUTCDay() + 1);
    memory[Index.day] = this.#encode(time.getUTCDate());
    memory[Index.month] = this.#encode(time.getUTCMonth() + 1);
    memory[Index.year] = this.#encode(time.getUTCFullYear() % 100);
    memory[centuryIndex] = this.#encode(Math.floor(time.getUTCFullYear() / 100));
  }

  #setTime(): void {
    const field = (index: number): number => this.#decode(this.#memory[index]);
    const year = field(centuryIndex) * 100 + field(Index.year);
    const hours = this.#decodeHours(this.#memory[Index.hours]);
    const time = new Date(0);
    time.setUTCFullYear(year, field(Index.month) - 1, field(Index.day));
    time.setUTCHours(hours, field(Index.minutes), field(Index.seconds));
    // Setting the time restarts the divider: the next second is half a second away.
    this.#aheadMs = time.getTime() + msPerSecond / 2 - this.#wallClock();
    this.#schedule();
  }

  #encode(value: number): number {
    return (this.#b & B.binary) !== 0 ? value : (Math.floor(value / 10) << 4) | (value % 10);
  }

  #decode(value: number): number {
    return (this.#b & B.binary) !== 0 ? value : (value >>> 4) * 10 + (value & 15);
  }

  #encodeHours(hours: number): number {
    if ((this.#b & B.hours24) !== 0) return this.#encode(hours);
    return this.#encode(((hours + 11) % 12) + 1) | (hours >= 12 ? afternoon : 0);
  }

  #decodeHours(value: number): number {
    if ((this.#b & B.hours24) !== 0) return this.#decode(value);
    return (this.#decode(value & ~afternoon) % 12) + ((value & afternoon) !== 0 ? 12 : 0);
  }

  #schedule(): void {
    this.#periodic?.cancel();
    this.#second?.cancel();
    this.#periodic = undefined;
    this.#second = undefined;
    const periodNs = this.#periodNs();
    if ((this.#b & B.periodic) !== 0 && periodNs > 0) {
      const next = (Math.floor(this.#clock.now() / periodNs) + 1) * periodNs;
      this.#periodic = this.#clock.at(next, () => {
        this.#raise(B.periodic);
        this.#schedule();
      });
    }
    if ((this.#b & (B.alarm | B.update)) !== 0 && (this.#b & B.set) === 0) {
      const untilMs = msPerSecond - (this.#now() % msPerSecond);
      this.#second = this.#clock.at(this.#clock.now() + untilMs * 1e6, () => {
        this.#raise(B.update | (this.#isAlarm() ? B.alarm : 0));
        this.#schedule();
      });
    }
  }

  /** By the rate in register A: 122 microseconds to half a second; 0 when there is none. */
  #periodNs(): number {
    const rate = this.#memory[Index.a] & 15;
    if (rate === 0) return 0;
    return (1e9 * 2 ** (rate < 3 ? rate + 6 : rate - 1)) / 32_768;
  }

  #isAlarm(): boolean {
    this.#latchTime();
    return [Index.seconds, Index.minutes, Index.hours].every((index) => {
      const alarm = this.#memory[index + 1];
      return (alarm & anyTime) === anyTime || alarm === this.#memory[index];
    });
  }

  #raise(causes: number): void {
    this.#memory[Index.c] |= causes;
    const asked = this.#memory[Index.c] & this.#b & (B.periodic | B.alarm | B.update);
    if (asked !== 0) this.#memory[Index.c] |= interruptRequest;
    this.#line.set(asked !== 0);
  }
}

function isTime(index: number): boolean {
  return (
    index === centuryIndex ||
    (index <= Index.year &&
      ![Index.secondsAlarm, Index.minutesAlarm, Index.hoursAlarm].some((alarm) => alarm === index))
  );
}
