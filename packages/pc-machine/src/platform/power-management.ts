/**
 * ACPI's fixed hardware (ACPI 6.5, 4.8): the PM1a event and control registers, the power-management timer, and a power
 * button. The machine is in ACPI mode from the start, as after firmware that leaves no SMI handler behind.
 *
 * ```text
 * +0  PM1 status    write ones to clear        +4  PM1 control
 * +2  PM1 enable                               +8  timer, 32 bits at 3.579545 MHz
 * ```
 */

import type {
  Device,
  InterruptLine,
  MachineClock,
  MachineControl,
  RegisterWindow,
  StateRecord,
  Timer,
} from "../ports.ts";
import { RecordReader } from "../snapshot/record-reader.ts";

export const powerManagementPorts = { base: 0x600, count: 16, event: 0x600, control: 0x604, timer: 0x608 } as const;

/** The type of sleep that means "off" (S5) here; the DSDT's `_S5` has the same. */
export const sleepTypeOff = 5;

const timerHz = 3_579_545;
const Event = { timer: 0x0001, global: 0x0020, powerButton: 0x0100, sleepButton: 0x0200, clock: 0x0400 } as const;
/** What can be enabled. The last two never happen: there is no such button, and the clock has an interrupt of its own. */
const events: number = Event.timer | Event.global | Event.powerButton | Event.sleepButton | Event.clock;
const Control = { acpiMode: 0x0001, sleepEnable: 0x2000 } as const;

export class PowerManagement implements Device {
  readonly id = "acpi-pm";
  readonly version = 1;
  readonly #clock: MachineClock;
  readonly #line: InterruptLine;
  readonly #machine: MachineControl;
  #status = 0;
  #enable = 0;
  #control: number = Control.acpiMode;
  /** Half periods of the timer that the guest has seen: its upper bit has changed when there are more. */
  #seenHalves = 0;
  #timer: Timer | undefined;

  readonly ports: RegisterWindow = {
    read: (offset, size) => {
      let value = 0;
      for (let index = size - 1; index >= 0; index--) value = value * 256 + this.#readByte(offset + index);
      return value;
    },
    write: (offset, size, value) => {
      for (let index = 0; index < size; index++) this.#writeByte(offset + index, (value >>> (8 * index)) & 0xff);
    },
  };

  /** @param line the system control interrupt, level-triggered */
  constructor(clock: MachineClock, line: InterruptLine, machine: MachineControl) {
    this.#clock = clock;
    this.#line = line;
    this.#machine = machine;
  }

  /** The user asks the guest's system to shut down. */
  pressPowerButton(): void {
    this.#status |= Event.powerButton;
    this.#update();
  }

  reset(): void {
    this.#status = 0;
    this.#enable = 0;
    this.#control = Control.acpiMode;
    this.#seenHalves = this.#halves();
    this.#update();
  }

  save(): StateRecord {
    return { status: this.#status, enable: this.#enable, control: this.#control, seenHalves: this.#seenHalves };
  }

  load(record: StateRecord, version: number): void {
    const reader = new RecordReader(this.id, record, { found: version, known: this.version });
    this.#status = reader.integer("status", 0, 0xffff);
    this.#enable = reader.integer("enable", 0, 0xffff);
    this.#control = reader.integer("control", 0, 0xffff);
    this.#seenHalves = reader.integer("seenHalves", 0, Number.MAX_SAFE_INTEGER);
    this.#update();
  }

  #ticks(): number {
    return Math.floor((this.#clock.now() * timerHz) / 1e9);
  }

  #halves(): number {
    return Math.floor(this.#ticks() / 2 ** 31);
  }

  #readByte(offset: number): number {
    const byteOf = (value: number, index: number): number => Math.floor(value / 2 ** (8 * index)) & 0xff;
    if (offset < 2) return byteOf(this.#currentStatus(), offset);
    if (offset < 4) return byteOf(this.#enable, offset - 2);
    if (offset < 6) return byteOf(this.#control, offset - 4);
    if (offset >= 8 && offset < 12) return byteOf(this.#ticks() % 2 ** 32, offset - 8);
    return 0;
  }

  #writeByte(offset: number, value: number): void {
    if (offset >= 6) return;
    const shift = 8 * (offset & 1);
    const into = (register: number): number => (register & ~(0xff << shift)) | (value << shift);
    if (offset < 2) {
      if (((value << shift) & Event.timer) !== 0) this.#seenHalves = this.#halves();
      this.#status &= ~(value << shift);
    } else if (offset < 4) this.#enable = into(this.#enable) & events;
    else this.#writeControl(into(this.#control));
    this.#update();
  }

  #writeControl(value: number): void {
    this.#control = (value & ~Control.sleepEnable) | Control.acpiMode;
    const sleepType = (value >>> 10) & 7;
    if ((value & Control.sleepEnable) !== 0 && sleepType === sleepTypeOff) this.#machine.powerOff();
  }

  #currentStatus(): number {
    return this.#status | (this.#halves() > this.#seenHalves ? Event.timer : 0);
  }

  #update(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#line.set((this.#currentStatus() & this.#enable) !== 0);
    if ((this.#enable & Event.timer) === 0) return;
    const next = ((this.#halves() + 1) * 2 ** 31 * 1e9) / timerHz;
    this.#timer = this.#clock.at(Math.ceil(next) + 1, () => this.#update());
  }
}
