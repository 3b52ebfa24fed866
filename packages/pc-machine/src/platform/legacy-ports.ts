/**
 * What is left of the PC's oldest parts: ways to reset it, a keyboard controller without a keyboard, and the port that
 * firmware shows its progress on. None has state beyond a byte.
 */

import type { Device, MachineControl, RegisterWindow, StateRecord } from "../ports.ts";
import { RecordReader } from "../snapshot/record-reader.ts";

/** The FADT's reset register, and what to write to it. */
export const resetRegister = { port: 0xcf9, value: 0x06 } as const;

const resetProcessor = 0x04;
const pulseResetCommand = 0xfe;
const readOutputPortCommand = 0xd0;
const outputFull = 0x01;
/** A20 enabled, reset not asserted. */
const outputPort = 0x03;
const gateA20 = 0x02;

export class LegacyPorts implements Device {
  readonly id = "legacy";
  readonly version = 1;
  readonly #machine: MachineControl;
  #resetControl = 0;
  #answer: number | undefined;
  #postCode = 0;

  /** Port 0xcf9 (Intel ICH datasheet, "reset control"): bit 2 resets when it rises. */
  readonly resetControl: RegisterWindow = {
    read: () => this.#resetControl,
    write: (_offset, _size, value) => {
      const rises = (value & ~this.#resetControl & resetProcessor) !== 0;
      this.#resetControl = value & 0x0e;
      if (rises) this.#machine.reset();
    },
  };

  /** Port 0x60 (Intel 8042): data. Only the output port can be asked for. */
  readonly keyboardData: RegisterWindow = {
    read: () => {
      const answer = this.#answer ?? 0;
      this.#answer = undefined;
      return answer;
    },
    write: () => {},
  };

  /** Port 0x64: status and commands; 0xfe pulls the reset line. */
  readonly keyboardCommand: RegisterWindow = {
    read: () => (this.#answer === undefined ? 0 : outputFull),
    write: (_offset, _size, value) => {
      if (value === pulseResetCommand) this.#machine.reset();
      if (value === readOutputPortCommand) this.#answer = outputPort;
    },
  };

  /** Port 0x92: bit 0 resets. Address line 20 is always on. */
  readonly fastReset: RegisterWindow = {
    read: () => gateA20,
    write: (_offset, _size, value) => {
      if ((value & 1) !== 0) this.#machine.reset();
    },
  };

  /** Port 0x80: remembered, and what old kernels wait by. */
  readonly postCode: RegisterWindow = {
    read: () => this.#postCode,
    write: (_offset, _size, value) => {
      this.#postCode = value & 0xff;
    },
  };

  constructor(machine: MachineControl) {
    this.#machine = machine;
  }

  reset(): void {
    this.#resetControl = 0;
    this.#answer = undefined;
    this.#postCode = 0;
  }

  save(): StateRecord {
    return { resetControl: this.#resetControl, answer: this.#answer ?? null, postCode: this.#postCode };
  }

  load(record: StateRecord, version: number): void {
    const reader = new RecordReader(this.id, record, { found: version, known: this.version });
    this.#resetControl = reader.integer("resetControl", 0, 0xff);
    this.#answer = reader.has("answer") ? reader.integer("answer", 0, 0xff) : undefined;
    this.#postCode = reader.integer("postCode", 0, 0xff);
  }
}
