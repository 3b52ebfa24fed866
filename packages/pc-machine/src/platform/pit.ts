/**
 * The programmable interval timer (Intel 8254 datasheet) of a PC: channel 0 makes timer interrupts, channel 2 has its
 * gate and output in port 0x61, where kernels measure other clocks by it.
 *
 * Nothing counts: a channel knows when its count was loaded, and its count and output at any time follow from that.
 */

import type { Device, InterruptLine, MachineClock, RegisterWindow, StateRecord, Timer } from "../ports.ts";
import { RecordReader } from "../snapshot/record-reader.ts";

/** A third of the colour subcarrier of NTSC. */
const hz = 1_193_182;
const never: number = Number.POSITIVE_INFINITY;
/** Refresh of dynamic memory, which toggles a bit of port 0x61. */
const refreshNs = 15_085;

/** Latched and read byte by byte: least significant, most significant, or one after the other. */
const Access = { latch: 0, low: 1, high: 2, both: 3 } as const;

class Channel {
  readonly #clock: MachineClock;
  #mode = 0;
  #isDecimal = false;
  #access: number = Access.both;
  /** 0 while none has been written since the mode was set. */
  #count = 0;
  /** The machine's time when counting began; while the gate holds the count, the ticks done so far are in `#held`. */
  #start = 0;
  #held: number | undefined;
  #triggered = false;
  #gate: boolean;
  /** Replaces `#count` when the period that is running ends (modes 2 and 3). */
  #nextCount = 0;
  #nextStart = never;
  #writtenLow: number | undefined;
  #readsHigh = false;
  #latchedCount: number | undefined;
  #latchedStatus: number | undefined;

  constructor(clock: MachineClock, gate: boolean) {
    this.#clock = clock;
    this.#gate = gate;
  }

  get #isPeriodic(): boolean {
    return this.#mode === 2 || this.#mode === 3;
  }

  /** Modes 1 and 5 begin to count when their gate rises. */
  get #isTriggered(): boolean {
    return this.#mode === 1 || this.#mode === 5;
  }

  output(): boolean {
    if (this.#count === 0 || (this.#isTriggered && !this.#triggered)) return this.#mode !== 0;
    if (this.#isPeriodic && !this.#gate) return true;
    const ticks = this.#ticks();
    switch (this.#mode) {
      case 0:
      case 1:
        return ticks >= this.#count;
      case 2:
        return ticks % this.#count !== this.#count - 1;
      case 3:
        return ticks % this.#count < Math.ceil(this.#count / 2);
      default:
        return ticks !== this.#count;
    }
  }

  /** The machine's time at which the output rises next. */
  nextRise(): number {
    if (this.#count === 0 || this.#held !== undefined || (this.#isTriggered && !this.#triggered)) return never;
    const ticks = this.#ticks();
    if (this.#isPeriodic) {
      if (this.#nextStart !== never) return this.#nextStart;
      return this.#timeOf(ticks - (ticks % this.#count) + this.#count);
    }
    const rise = this.#mode < 2 ? this.#count : this.#count + 1;
    return ticks < rise ? this.#timeOf(rise) : never;
  }

  setGate(level: boolean): void {
    if (level === this.#gate) return;
    this.#gate = level;
    if (this.#isTriggered) {
      if (!level) return;
      this.#triggered = true;
      this.#start = this.#clock.now();
    } else if (!level) this.#held = this.#ticks();
    else {
      const done = this.#isPeriodic ? 0 : (this.#held ?? 0);
      this.#held = undefined;
      this.#start = this.#clock.now() - (done * 1e9) / hz;
    }
  }

  /** The control word, but for the bits that choose the channel. */
  control(value: number): void {
    const access = (value >>> 4) & 3;
    if (access === Access.latch) {
      this.latchCount();
      return;
    }
    this.#access = access;
    const mode = (value >>> 1) & 7;
    this.#mode = mode > 5 ? mode - 4 : mode;
    this.#isDecimal = (value & 1) !== 0;
    this.#count = 0;
    this.#nextStart = never;
    this.#triggered = false;
    this.#held = undefined;
    this.#writtenLow = undefined;
    this.#readsHigh = false;
    this.#latchedCount = undefined;
    this.#latchedStatus = undefined;
  }

  latchCount(): void {
    this.#latchedCount ??= this.#currentCount();
  }

  latchStatus(): void {
    this.#latchedStatus ??=
      (this.output() ? 0x80 : 0) |
      (this.#count === 0 ? 0x40 : 0) |
      (this.#access << 4) |
      (this.#mode << 1) |
      (this.#isDecimal ? 1 : 0);
  }

  read(): number {
    if (this.#latchedStatus !== undefined) {
      const status = this.#latchedStatus;
      this.#latchedStatus = undefined;
      return status;
    }
    const count = this.#latchedCount ?? this.#currentCount();
    const high = this.#access === Access.high || (this.#access === Access.both && this.#readsHigh);
    if (this.#access === Access.both) this.#readsHigh = !this.#readsHigh;
    if (!this.#readsHigh) this.#latchedCount = undefined;
    return high ? count >>> 8 : count & 0xff;
  }

  write(value: number): void {
    if (this.#access === Access.low) this.#load(value);
    else if (this.#access === Access.high) this.#load(value << 8);
    else if (this.#writtenLow === undefined) {
      this.#writtenLow = value;
      // In mode 0 the first byte stops the count.
      if (this.#mode === 0) this.#count = 0;
    } else {
      this.#load(this.#writtenLow | (value << 8));
      this.#writtenLow = undefined;
    }
  }

  save(): StateRecord {
    return {
      mode: this.#mode,
      isDecimal: this.#isDecimal,
      access: this.#access,
      count: this.#count,
      start: this.#start,
      held: this.#held ?? null,
      triggered: this.#triggered,
      gate: this.#gate,
      nextCount: this.#nextCount,
      nextStart: this.#nextStart === never ? null : this.#nextStart,
      writtenLow: this.#writtenLow ?? null,
      readsHigh: this.#readsHigh,
      latchedCount: this.#latchedCount ?? null,
      latchedStatus: this.#latchedStatus ?? null,
    };
  }

  load(reader: RecordReader): void {
    const optional = (name: string, most: number): number | undefined =>
      reader.has(name) ? reader.integer(name, 0, most) : undefined;
    this.#mode = reader.integer("mode", 0, 5);
    this.#isDecimal = reader.boolean("isDecimal");
    this.#access = reader.integer("access", 1, 3);
    this.#count = reader.integer("count", 0, 0x10000);
    this.#start = reader.time("start");
    this.#held = optional("held", Number.MAX_SAFE_INTEGER);
    this.#triggered = reader.boolean("triggered");
    this.#gate = reader.boolean("gate");
    this.#nextCount = reader.integer("nextCount", 0, 0x10000);
    this.#nextStart = reader.has("nextStart") ? reader.time("nextStart") : never;
    this.#writtenLow = optional("writtenLow", 0xff);
    this.#readsHigh = reader.boolean("readsHigh");
    this.#latchedCount = optional("latchedCount", 0xffff);
    this.#latchedStatus = optional("latchedStatus", 0xff);
  }

  #load(written: number): void {
    const binary = this.#isDecimal ? fromDecimal(written) : written;
    const count = binary === 0 ? (this.#isDecimal ? 10_000 : 0x10000) : binary;
    if (this.#isPeriodic && this.#count !== 0 && this.#held === undefined) {
      this.#nextStart = this.nextRise();
      this.#nextCount = count;
      return;
    }
    this.#count = count;
    if (this.#isTriggered) return;
    this.#start = this.#clock.now();
    this.#held = this.#gate ? undefined : 0;
  }

  /** Ticks of the input clock since counting began. */
  #ticks(): number {
    if (this.#held !== undefined) return this.#held;
    const now = this.#clock.now();
    if (now >= this.#nextStart) {
      this.#count = this.#nextCount;
      this.#start = this.#nextStart;
      this.#nextStart = never;
    }
    // A timer set for `timeOf` must find that tick reached, whatever the division's rounding.
    const ticks = Math.floor(((now - this.#start) * hz) / 1e9 + 1e-6);
    if (!this.#isPeriodic || this.#count === 0 || ticks < this.#count) return ticks;
    // Whole periods are forgotten, so that the ticks stay few and exact.
    this.#start = this.#timeOf(ticks - (ticks % this.#count));
    return ticks % this.#count;
  }

  #timeOf(ticks: number): number {
    return this.#start + (ticks * 1e9) / hz;
  }

  #currentCount(): number {
    if (this.#count === 0) return 0;
    const ticks = this.#ticks();
    const count = this.#count;
    let value: number;
    if (this.#mode === 2) value = count - (ticks % count);
    else if (this.#mode === 3) value = count - ((2 * ticks) % count);
    else if (this.#isTriggered && !this.#triggered) value = count;
    else value = count - ticks;
    const modulus = this.#isDecimal ? 10_000 : 0x10000;
    value = ((value % modulus) + modulus) % modulus;
    return this.#isDecimal ? toDecimal(value) : value;
  }
}

export class IntervalTimer implements Device {
  readonly id = "pit";
  readonly version = 1;
  readonly #clock: MachineClock;
  readonly #line: InterruptLine;
  #channels: readonly Channel[];
  #speaker = false;
  #gate2 = false;
  /** What the line was last set to. */
  #level = false;
  #timer: Timer | undefined;

  /** Ports 0x40 to 0x43. */
  readonly ports: RegisterWindow = {
    read: (offset) => (offset < 3 ? this.#channels[offset].read() : 0xff),
    write: (offset, _size, value) => {
      if (offset < 3) this.#channels[offset].write(value & 0xff);
      else this.#control(value & 0xff);
      if (offset !== 1 && offset !== 2) this.#schedule();
    },
  };

  /** Port 0x61: the gate and output of channel 2, the speaker, and memory's refresh. */
  readonly systemControl: RegisterWindow = {
    read: () =>
      (this.#gate2 ? 1 : 0) |
      (this.#speaker ? 2 : 0) |
      (Math.floor(this.#clock.now() / refreshNs) % 2 === 1 ? 0x10 : 0) |
      (this.#channels[2].output() ? 0x20 : 0),
    write: (_offset, _size, value) => {
      this.#gate2 = (value & 1) !== 0;
      this.#speaker = (value & 2) !== 0;
      this.#channels[2].setGate(this.#gate2);
    },
  };

  /** @param line interrupt 0 */
  constructor(clock: MachineClock, line: InterruptLine) {
    this.#clock = clock;
    this.#line = line;
    this.#channels = this.#newChannels();
  }

  reset(): void {
    this.#channels = this.#newChannels();
    this.#gate2 = false;
    this.#speaker = false;
    this.#schedule();
  }

  save(): StateRecord {
    return {
      channels: this.#channels.map((channel) => channel.save()),
      speaker: this.#speaker,
      gate2: this.#gate2,
      level: this.#level,
    };
  }

  load(record: StateRecord, version: number): void {
    const reader = new RecordReader(this.id, record, { found: version, known: this.version });
    for (const [index, channel] of reader.records("channels", 3).entries()) this.#channels[index].load(channel);
    this.#speaker = reader.boolean("speaker");
    this.#gate2 = reader.boolean("gate2");
    this.#setLine(reader.boolean("level"));
    this.#arm();
  }

  #newChannels(): Channel[] {
    return [true, true, false].map((gate) => new Channel(this.#clock, gate));
  }

  #control(value: number): void {
    const selected = value >>> 6;
    if (selected < 3) {
      this.#channels[selected].control(value);
      return;
    }
    // Read-back: latches the counts and the states of all channels that are named, unless the bits say not to.
    for (const [index, channel] of this.#channels.entries()) {
      if ((value & (2 << index)) === 0) continue;
      if ((value & 0x20) === 0) channel.latchCount();
      if ((value & 0x10) === 0) channel.latchStatus();
    }
  }

  #setLine(level: boolean): void {
    this.#level = level;
    this.#line.set(level);
  }

  #schedule(): void {
    this.#setLine(this.#channels[0].output());
    this.#arm();
  }

  #arm(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const rise = this.#channels[0].nextRise();
    if (rise === never) return;
    this.#timer = this.#clock.at(rise, () => {
      // Whether the fall was seen in time or not.
      this.#setLine(false);
      this.#setLine(true);
      this.#arm();
    });
  }
}

/** Four decimal digits in 16 bits, and back. */
function fromDecimal(digits: number): number {
  return (digits >>> 12) * 1000 + ((digits >>> 8) & 15) * 100 + ((digits >>> 4) & 15) * 10 + (digits & 15);
}

function toDecimal(value: number): number {
  const digit = (unit: number): number => Math.floor(value / unit) % 10;
  return (digit(1000) << 12) | (digit(100) << 8) | (digit(10) << 4) | digit(1);
}
