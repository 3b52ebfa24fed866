// Signals as values: numbers, sets and siginfo. What delivers them is in `signals/`.

export const SIGHUP = 1;
export const SIGINT = 2;
export const SIGQUIT = 3;
export const SIGILL = 4;
export const SIGTRAP = 5;
export const SIGABRT = 6;
export const SIGBUS = 7;
export const SIGFPE = 8;
export const SIGKILL = 9;
export const SIGUSR1 = 10;
export const SIGSEGV = 11;
export const SIGUSR2 = 12;
export const SIGPIPE = 13;
export const SIGALRM = 14;
export const SIGTERM = 15;
export const SIGSTKFLT = 16;
export const SIGCHLD = 17;
export const SIGCONT = 18;
export const SIGSTOP = 19;
export const SIGTSTP = 20;
export const SIGTTIN = 21;
export const SIGTTOU = 22;
export const SIGURG = 23;
export const SIGXCPU = 24;
export const SIGXFSZ = 25;
export const SIGVTALRM = 26;
export const SIGPROF = 27;
export const SIGWINCH = 28;
export const SIGIO = 29;
export const SIGPWR = 30;
export const SIGSYS = 31;
export const SIGRTMIN = 32;
export const SIGRTMAX = 64;

const names = (
  "0 HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU " +
  "URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS"
).split(" ");

/** `"SIGTERM"`, `"SIGRT_3"`; a number Linux does not have stays a number. */
export function signalName(signal: number): string {
  if (signal >= SIGRTMIN && signal <= SIGRTMAX) return `SIGRT_${signal - SIGRTMIN}`;
  return signal > 0 && signal < names.length ? `SIG${names[signal]}` : `${signal}`;
}

// si_code (sigaction(2)).
export const SI_USER = 0;
export const SI_KERNEL = 0x80;
export const SI_QUEUE = -1;
export const SI_TIMER = -2;
export const SI_MESGQ = -3;
export const SI_ASYNCIO = -4;
export const SI_SIGIO = -5;
export const SI_TKILL = -6;
export const SEGV_MAPERR = 1;
export const SEGV_ACCERR = 2;
export const BUS_ADRALN = 1;
export const BUS_ADRERR = 2;
export const FPE_INTDIV = 1;
export const FPE_INTOVF = 2;
export const FPE_FLTDIV = 3;
export const FPE_FLTOVF = 4;
export const FPE_FLTUND = 5;
export const FPE_FLTRES = 6;
export const FPE_FLTINV = 7;
export const ILL_ILLOPN = 2;
export const TRAP_BRKPT = 1;
export const TRAP_TRACE = 2;
export const CLD_EXITED = 1;
export const CLD_KILLED = 2;
export const CLD_DUMPED = 3;
export const CLD_TRAPPED = 4;
export const CLD_STOPPED = 5;
export const CLD_CONTINUED = 6;
export const POLL_IN = 1;

/** One queued signal (siginfo_t). Which optional fields count follows from `signal` and `code`. */
export interface SignalInfo {
  readonly signal: number;
  readonly code: number;
  readonly errno?: number;
  /** Sender, or the child of a SIGCHLD. */
  readonly pid?: number;
  readonly uid?: number;
  /** SIGCHLD: exit status or signal. */
  readonly status?: number;
  /** SIGCHLD: clock ticks (100 per second). */
  readonly userTicks?: number;
  readonly systemTicks?: number;
  /** Faults: the guest-virtual address. */
  readonly address?: number;
  /** sigqueue, timers: the value's halves, i32. */
  readonly valueLo?: number;
  readonly valueHi?: number;
  readonly timerId?: number;
  readonly overrun?: number;
  /** SIGIO. */
  readonly band?: number;
  readonly fd?: number;
  /** Synchronous faults: trap number and error code for the signal frame (Intel SDM vol. 3, 6.3.1). */
  readonly trap?: number;
  readonly errorCode?: number;
  /** The raw 128 bytes that rt_sigqueueinfo was given; they win over everything else. */
  readonly raw?: Uint8Array;
}

/** A set of signals 1 to 64 as Linux lays it out: bit `n - 1`; `lo` has 1 to 32. */
export class SignalSet {
  lo: number;
  hi: number;

  constructor(lo: number = 0, hi: number = 0) {
    this.lo = lo | 0;
    this.hi = hi | 0;
  }

  static of(...signals: readonly number[]): SignalSet {
    const set = new SignalSet();
    for (const signal of signals) set.add(signal);
    return set;
  }

  has(signal: number): boolean {
    const bit = signal - 1;
    return ((bit < 32 ? this.lo >>> bit : this.hi >>> (bit - 32)) & 1) !== 0;
  }

  add(signal: number): void {
    const bit = signal - 1;
    if (bit < 32) this.lo |= 1 << bit;
    else this.hi |= 1 << (bit - 32);
  }

  delete(signal: number): void {
    const bit = signal - 1;
    if (bit < 32) this.lo &= ~(1 << bit);
    else this.hi &= ~(1 << (bit - 32));
  }

  isEmpty(): boolean {
    return (this.lo | this.hi) === 0;
  }

  assign(other: SignalSet): void {
    this.lo = other.lo;
    this.hi = other.hi;
  }

  clone(): SignalSet {
    return new SignalSet(this.lo, this.hi);
  }

  /** Lowest signal of the set, or 0. */
  first(): number {
    if (this.lo !== 0) return 32 - Math.clz32(this.lo & -this.lo);
    if (this.hi !== 0) return 64 - Math.clz32(this.hi & -this.hi);
    return 0;
  }
}
