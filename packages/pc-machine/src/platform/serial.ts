/**
 * A 16550A serial port (National Semiconductor PC16550D datasheet): eight ports, two FIFOs of 16 bytes.
 *
 * Characters take no time. What the guest sends goes to the backend at once, or waits in the FIFO until the backend has
 * room; what the backend has for the guest is fetched when the guest's FIFO has room.
 */

import type { Device, InterruptLine, RegisterWindow, StateRecord } from "../ports.ts";
import { RecordReader } from "../snapshot/record-reader.ts";

/** Where the line leads. Both directions are asked again after `Serial.ready`. */
export interface SerialBackend {
  /** The next byte for the guest; -1 when there is none now. */
  read(): number;
  /** Takes a byte the guest sent; false when it cannot now. */
  write(byte: number): boolean;
}

const fifoBytes = 16;

const Register = {
  data: 0,
  interruptEnable: 1,
  /** Read; FIFO control when written. */
  interruptIdentification: 2,
  lineControl: 3,
  modemControl: 4,
  lineStatus: 5,
  modemStatus: 6,
} as const;

const InterruptEnable = { received: 1, sent: 2, lineStatus: 4, modemStatus: 8 } as const;
/** Interrupt identification, in falling priority. */
const Interrupt = { none: 1, lineStatus: 6, received: 4, timeout: 12, sent: 2, modemStatus: 0 } as const;
const FifoControl = { enable: 1, clearReceived: 2, clearSent: 4 } as const;
const LineStatus = { received: 1, overrun: 2, breakReceived: 0x10, sendEmpty: 0x20, idle: 0x40 } as const;
const ModemControl = { dtr: 1, rts: 2, out1: 4, out2: 8, loopback: 16 } as const;
const ModemStatus = { cts: 0x10, dsr: 0x20, ring: 0x40, carrier: 0x80 } as const;

const divisorLatch = 0x80;
/** How full the FIFO is when it says so, by the upper two bits of FIFO control. */
const triggerLevels = [1, 4, 8, 14] as const;

export class Serial implements Device, RegisterWindow {
  readonly id: string;
  readonly version = 1;
  readonly #line: InterruptLine;
  readonly #backend: SerialBackend;
  #received: number[] = [];
  #toSend: number[] = [];
  #interruptEnable = 0;
  #fifoControl = 0;
  #lineControl = 0;
  #modemControl = 0;
  #modemStatus = 0;
  #scratch = 0;
  #divisor = 0;
  #overrun = false;
  #break = false;
  /** The send FIFO has become empty, and the guest has not been told yet. */
  #sentPending = false;

  /** @param id "serial.1" is COM1 */
  constructor(id: string, line: InterruptLine, backend: SerialBackend) {
    this.id = id;
    this.#line = line;
    this.#backend = backend;
    this.#initialise();
  }

  /** The backend has something for the guest, or room for what the guest sends. */
  ready(): void {
    this.#drain();
    this.#fill();
    this.#update();
  }

  /** The line was held in its spacing state: a break, which Linux takes for SysRq. */
  sendBreak(): void {
    this.#receive(0);
    this.#break = true;
    this.#update();
  }

  read(offset: number): number {
    const value = this.#read(offset);
    this.#update();
    return value;
  }

  write(offset: number, _size: number, value: number): void {
    this.#write(offset, value & 0xff);
    this.#update();
  }

  reset(): void {
    this.#initialise();
    this.#update();
  }

  save(): StateRecord {
    return {
      received: Uint8Array.from(this.#received),
      toSend: Uint8Array.from(this.#toSend),
      interruptEnable: this.#interruptEnable,
      fifoControl: this.#fifoControl,
      lineControl: this.#lineControl,
      modemControl: this.#modemControl,
      modemStatus: this.#modemStatus,
      scratch: this.#scratch,
      divisor: this.#divisor,
      overrun: this.#overrun,
      break: this.#break,
      sentPending: this.#sentPending,
    };
  }

  load(record: StateRecord, version: number): void {
    const reader = new RecordReader(this.id, record, { found: version, known: this.version });
    const byte = (name: string): number => reader.integer(name, 0, 0xff);
    this.#received = [...reader.bytes("received", { most: fifoBytes })];
    this.#toSend = [...reader.bytes("toSend", { most: fifoBytes })];
    this.#interruptEnable = byte("interruptEnable");
    this.#fifoControl = byte("fifoControl");
    this.#lineControl = byte("lineControl");
    this.#modemControl = byte("modemControl");
    this.#modemStatus = byte("modemStatus");
    this.#scratch = byte("scratch");
    this.#divisor = reader.integer("divisor", 0, 0xffff);
    this.#overrun = reader.boolean("overrun");
    this.#break = reader.boolean("break");
    this.#sentPending = reader.boolean("sentPending");
    this.#update();
  }

  get #usesFifo(): boolean {
    return (this.#fifoControl & FifoControl.enable) !== 0;
  }

  get #capacity(): number {
    return this.#usesFifo ? fifoBytes : 1;
  }

  get #isLoopback(): boolean {
    return (this.#modemControl & ModemControl.loopback) !== 0;
  }

  #initialise(): void {
    this.#received = [];
    this.#toSend = [];
    this.#interruptEnable = 0;
    this.#fifoControl = 0;
    this.#lineControl = 0;
    this.#modemControl = 0;
    this.#modemStatus = this.#modemLines();
    this.#scratch = 0;
    // 9600 baud.
    this.#divisor = 12;
    this.#overrun = false;
    this.#break = false;
    this.#sentPending = false;
  }

  #read(offset: number): number {
    const latch = (this.#lineControl & divisorLatch) !== 0;
    switch (offset) {
      case Register.data:
        return latch ? this.#divisor & 0xff : this.#readData();
      case Register.interruptEnable:
        return latch ? this.#divisor >>> 8 : this.#interruptEnable;
      case Register.interruptIdentification: {
        const cause = this.#cause();
        if (cause === Interrupt.sent) this.#sentPending = false;
        return cause | (this.#usesFifo ? 0xc0 : 0);
      }
      case Register.lineControl:
        return this.#lineControl;
      case Register.modemControl:
        return this.#modemControl;
      case Register.lineStatus:
        return this.#readLineStatus();
      case Register.modemStatus: {
        const status = this.#modemStatus;
        this.#modemStatus &= 0xf0;
        return status;
      }
      default:
        return this.#scratch;
    }
  }

  #write(offset: number, value: number): void {
    const latch = (this.#lineControl & divisorLatch) !== 0;
    switch (offset) {
      case Register.data:
        if (latch) this.#divisor = (this.#divisor & 0xff00) | value;
        else this.#send(value);
        return;
      case Register.interruptEnable:
        if (latch) this.#divisor = (this.#divisor & 0xff) | (value << 8);
        else this.#enableInterrupts(value & 0x0f);
        return;
      case Register.interruptIdentification:
        this.#controlFifo(value);
        return;
      case Register.lineControl:
        this.#lineControl = value;
        return;
      case Register.modemControl:
        this.#modemControl = value & 0x1f;
        this.#changeModemLines();
        return;
      case Register.lineStatus:
      case Register.modemStatus:
        // For factory tests only.
        return;
      default:
        this.#scratch = value;
    }
  }

  #readData(): number {
    const byte = this.#received.shift() ?? 0;
    this.#fill();
    return byte;
  }

  #readLineStatus(): number {
    this.#fill();
    const sendEmpty = this.#toSend.length === 0 ? LineStatus.sendEmpty | LineStatus.idle : 0;
    const status =
      sendEmpty |
      (this.#received.length > 0 ? LineStatus.received : 0) |
      (this.#overrun ? LineStatus.overrun : 0) |
      (this.#break ? LineStatus.breakReceived : 0);
    this.#overrun = false;
    this.#break = false;
    return status;
  }

  #enableInterrupts(value: number): void {
    const added = value & ~this.#interruptEnable;
    this.#interruptEnable = value;
    // Enabling it asks at once when there is room, which is how drivers start to send.
    if ((added & InterruptEnable.sent) !== 0 && this.#toSend.length === 0) this.#sentPending = true;
  }

  #controlFifo(value: number): void {
    const toggled = ((value ^ this.#fifoControl) & FifoControl.enable) !== 0;
    if (toggled || (value & FifoControl.clearReceived) !== 0) this.#received = [];
    if (toggled || (value & FifoControl.clearSent) !== 0) {
      this.#toSend = [];
      this.#sentPending = true;
    }
    this.#fifoControl = value & 0xc9;
    this.#fill();
  }

  #send(byte: number): void {
    this.#sentPending = false;
    if (this.#isLoopback) {
      this.#receive(byte);
      this.#sentPending = true;
      return;
    }
    // Into a full FIFO: the byte is lost, as the datasheet has it.
    if (this.#toSend.length < this.#capacity) this.#toSend.push(byte);
    this.#drain();
  }

  #drain(): void {
    if (this.#toSend.length === 0) return;
    // Out of the FIFO before the backend sees it: it may call `ready` from within.
    for (let byte = this.#toSend.shift(); byte !== undefined; byte = this.#toSend.shift()) {
      if (this.#backend.write(byte)) continue;
      this.#toSend.unshift(byte);
      return;
    }
    this.#sentPending = true;
  }

  #receive(byte: number): void {
    if (this.#received.length < this.#capacity) this.#received.push(byte);
    else this.#overrun = true;
  }

  /** Fetches from the backend what the guest has room for. Looped back, the line is not connected. */
  #fill(): void {
    if (this.#isLoopback) return;
    while (this.#received.length < this.#capacity) {
      const byte = this.#backend.read();
      if (byte < 0) return;
      this.#received.push(byte & 0xff);
    }
  }

  /** The other end is there and ready; looped back, the inputs are our own outputs. */
  #modemLines(): number {
    if (!this.#isLoopback) return ModemStatus.cts | ModemStatus.dsr | ModemStatus.carrier;
    const control = this.#modemControl;
    return (
      ((control & ModemControl.rts) !== 0 ? ModemStatus.cts : 0) |
      ((control & ModemControl.dtr) !== 0 ? ModemStatus.dsr : 0) |
      ((control & ModemControl.out1) !== 0 ? ModemStatus.ring : 0) |
      ((control & ModemControl.out2) !== 0 ? ModemStatus.carrier : 0)
    );
  }

  #changeModemLines(): void {
    const lines = this.#modemLines();
    const before = this.#modemStatus & 0xf0;
    const changed = (lines ^ before) >>> 4;
    // The ring indicator counts when it ends.
    const ringEnded = (before & ~lines & ModemStatus.ring) >>> 4;
    this.#modemStatus = lines | (this.#modemStatus & 0x0f) | (changed & 0x0b) | ringEnded;
  }

  #cause(): number {
    const enabled = this.#interruptEnable;
    if ((enabled & InterruptEnable.lineStatus) !== 0 && (this.#overrun || this.#break)) return Interrupt.lineStatus;
    if ((enabled & InterruptEnable.received) !== 0 && this.#received.length > 0) {
      // Less than the trigger level, and nothing more on the line: the time-out, since characters take no time.
      const enough = !this.#usesFifo || this.#received.length >= triggerLevels[this.#fifoControl >>> 6];
      return enough ? Interrupt.received : Interrupt.timeout;
    }
    if ((enabled & InterruptEnable.sent) !== 0 && this.#sentPending) return Interrupt.sent;
    if ((enabled & InterruptEnable.modemStatus) !== 0 && (this.#modemStatus & 0x0f) !== 0) return Interrupt.modemStatus;
    return Interrupt.none;
  }

  /** On a PC, OUT2 connects the interrupt to its line. */
  #update(): void {
    const connected = (this.#modemControl & ModemControl.out2) !== 0 && !this.#isLoopback;
    this.#line.set(connected && this.#cause() !== Interrupt.none);
  }
}
