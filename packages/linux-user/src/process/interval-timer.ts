// setitimer(2) and timer_create(2): timers that send signals. The virtual ones count CPU time in the scheduler's
// steps, so they are as fine as a budget is.

import type { KernelTimer } from "../kernel/task.ts";
import { SI_KERNEL, SI_TIMER, SIGALRM, SIGPROF, SIGVTALRM } from "../kernel/signal-info.ts";
import type { GuestProcess } from "./process.ts";

export const ITIMER_REAL = 0;
export const ITIMER_VIRTUAL = 1;
export const ITIMER_PROF = 2;
export const ITIMER_COUNT = 3;

const SIGNALS: readonly number[] = [SIGALRM, SIGVTALRM, SIGPROF];

/** A setitimer timer. Times in ns of its own clock: monotonic, user CPU time, or user and system CPU time. */
export class IntervalTimer {
  readonly #process: GuestProcess;
  readonly #which: number;
  intervalNs = 0;
  #deadlineNs = Infinity;
  #timer: KernelTimer | null = null;

  constructor(process: GuestProcess, which: number) {
    this.#process = process;
    this.#which = which;
  }

  #nowNs(): number {
    const process = this.#process;
    if (this.#which === ITIMER_REAL) return process.kernel.clock.monotonicNs();
    return this.#which === ITIMER_VIRTUAL ? process.userNs : process.userNs + process.systemNs;
  }

  get armed(): boolean {
    return this.#deadlineNs !== Infinity;
  }

  /** Time to the next expiry, 0 when disarmed. */
  remainingNs(): number {
    return this.armed ? Math.max(1000, this.#deadlineNs - this.#nowNs()) : 0;
  }

  set(valueNs: number, intervalNs: number): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.intervalNs = intervalNs;
    this.#deadlineNs = valueNs > 0 ? this.#nowNs() + valueNs : Infinity;
    if (this.#which === ITIMER_REAL && this.armed) this.#schedule();
  }

  #schedule(): void {
    this.#timer = this.#process.kernel.setTimer(this.#deadlineNs, () => this.#expire());
  }

  /** For the virtual timers, after CPU time has passed. */
  check(): void {
    if (this.armed && this.#deadlineNs <= this.#nowNs()) this.#expire();
  }

  #expire(): void {
    const now = this.#nowNs();
    if (this.intervalNs > 0) {
      const periods = Math.max(1, Math.floor((now - this.#deadlineNs) / this.intervalNs) + 1);
      this.#deadlineNs += periods * this.intervalNs;
      if (this.#which === ITIMER_REAL) this.#schedule();
    } else {
      this.#deadlineNs = Infinity;
    }
    this.#process.sendSignal({ signal: SIGNALS[this.#which], code: SI_KERNEL });
  }
}

export interface PosixTimerRequest {
  readonly id: number;
  readonly clock: number;
  /** 0 for SIGEV_NONE. */
  readonly signal: number;
  /** SIGEV_THREAD_ID: the thread; else 0. */
  readonly thread: number;
  readonly valueLo: number;
  readonly valueHi: number;
}

/** A timer_create timer on the monotonic time line; the caller has converted wall-clock times. */
export class PosixTimer {
  readonly request: PosixTimerRequest;
  readonly #process: GuestProcess;
  intervalNs = 0;
  overrun = 0;
  #deadlineNs = Infinity;
  #timer: KernelTimer | null = null;

  constructor(process: GuestProcess, request: PosixTimerRequest) {
    this.#process = process;
    this.request = request;
  }

  remainingNs(): number {
    if (this.#deadlineNs === Infinity) return 0;
    return Math.max(1, this.#deadlineNs - this.#process.kernel.clock.monotonicNs());
  }

  /** `deadlineNs` of Infinity disarms. */
  set(deadlineNs: number, intervalNs: number): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.overrun = 0;
    this.intervalNs = intervalNs;
    this.#deadlineNs = deadlineNs;
    if (deadlineNs !== Infinity) this.#schedule();
  }

  #schedule(): void {
    this.#timer = this.#process.kernel.setTimer(this.#deadlineNs, () => this.#expire());
  }

  #expire(): void {
    const now = this.#process.kernel.clock.monotonicNs();
    let overrun = 0;
    if (this.intervalNs > 0) {
      overrun = Math.max(0, Math.floor((now - this.#deadlineNs) / this.intervalNs));
      this.#deadlineNs += (overrun + 1) * this.intervalNs;
      this.#schedule();
    } else {
      this.#deadlineNs = Infinity;
    }
    this.overrun = overrun;
    const { signal, thread, valueLo, valueHi, id } = this.request;
    if (signal === 0) return;
    const info = { signal, code: SI_TIMER, timerId: id, overrun, valueLo, valueHi };
    const target = thread === 0 ? undefined : this.#process.tasks.get(thread);
    if (thread !== 0) target?.sendSignal(info);
    else this.#process.sendSignal(info);
  }
}
