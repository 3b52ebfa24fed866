import type { MachineClock, StateRecord, Stateful, TimeStamps } from "../ports.ts";
import { RecordReader } from "../snapshot/record-reader.ts";

const nsPerSecond = 1_000_000_000n;

/**
 * IA32_TIME_STAMP_COUNTER (Intel SDM vol. 3, 18.17): invariant, counting the machine's time at a fixed rate from what
 * the guest last wrote to it.
 */
export class TimeStampCounter implements TimeStamps, Stateful {
  readonly id = "tsc";
  readonly version = 1;
  readonly hz: number;
  readonly #clock: MachineClock;
  readonly #written: () => void;
  /** The counter's value when the clock was at 0, modulo 2^64. */
  #base = 0n;

  /** @param written the guest, or a reset, has set the counter */
  constructor(clock: MachineClock, hz: number, written: () => void = () => {}) {
    this.#clock = clock;
    this.hz = hz;
    this.#written = written;
  }

  read(): bigint {
    return BigInt.asUintN(64, this.#base + this.#elapsed());
  }

  /** WRMSR to it. */
  write(value: bigint): void {
    this.#base = BigInt.asUintN(64, value - this.#elapsed());
    this.#written();
  }

  timeOf(value: bigint): number {
    const ticks = BigInt.asUintN(64, value - this.#base);
    return Number((ticks * nsPerSecond + BigInt(this.hz) - 1n) / BigInt(this.hz));
  }

  reset(): void {
    this.write(0n);
  }

  save(): StateRecord {
    return { base: this.#base, hz: this.hz };
  }

  load(record: StateRecord, version: number): void {
    const reader = new RecordReader(this.id, record, { found: version, known: this.version });
    reader.integer("hz", this.hz, this.hz);
    this.#base = reader.bigint("base", 0n, 2n ** 64n - 1n);
  }

  #elapsed(): bigint {
    const ns = BigInt(this.#clock.now());
    return this.hz === 1_000_000_000 ? ns : (ns * BigInt(this.hz)) / nsPerSecond;
  }
}
