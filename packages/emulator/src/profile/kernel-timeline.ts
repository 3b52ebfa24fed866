/** When which process was at what: its turns, and the system calls in them, in the order they happened. */
import type { KernelObserver } from "@doppel/linux-user";

/** What the kernel was doing: running a process, or a system call for it. */
export interface KernelState {
  readonly process: string;
  readonly systemCall?: string;
}

/** Changes kept; later ones are not noted. At 12 bytes each they stay within 200 MB. */
const MAXIMUM_CHANGES = 16_000_000;
const FIRST_CAPACITY = 1 << 16;
const NOBODY = 0;

export class KernelTimeline implements KernelObserver {
  /** It ends before the program did. */
  truncated = false;
  private readonly nowUs: () => number;
  private timesUs = new Float64Array(FIRST_CAPACITY);
  /** By change: an index of `states`. */
  private entered = new Uint32Array(FIRST_CAPACITY);
  private length = 0;
  private readonly states: (KernelState | undefined)[] = [undefined];
  private readonly indices: Map<string, Map<string, number>> = new Map();
  private process = "";

  /** @param nowUs the clock that samples are taken by */
  constructor(nowUs: () => number) {
    this.nowUs = nowUs;
  }

  turn(task: { readonly name: string; readonly call: { readonly name: string } | null } | null): void {
    if (task === null) return this.enter(NOBODY);
    this.process = task.name;
    this.enter(this.stateOf(task.name, task.call?.name ?? ""));
  }

  syscallEnter(_task: unknown, definition: { readonly name: string } | undefined, number: number): void {
    this.enter(this.stateOf(this.process, definition?.name ?? `syscall_${number}`));
  }

  syscallExit(task: { readonly name: string }): void {
    // execve may have given it another.
    this.process = task.name;
    this.enter(this.stateOf(this.process, ""));
  }

  private stateOf(process: string, systemCall: string): number {
    let calls = this.indices.get(process);
    if (calls === undefined) this.indices.set(process, (calls = new Map()));
    let index = calls.get(systemCall);
    if (index === undefined) {
      index = this.states.push(systemCall === "" ? { process } : { process, systemCall }) - 1;
      calls.set(systemCall, index);
    }
    return index;
  }

  private enter(state: number): void {
    if (this.length === this.timesUs.length && !this.grow()) return;
    this.timesUs[this.length] = this.nowUs();
    this.entered[this.length++] = state;
  }

  private grow(): boolean {
    this.truncated = this.length >= MAXIMUM_CHANGES;
    if (this.truncated) return false;
    const capacity = Math.min(MAXIMUM_CHANGES, 2 * this.length);
    const { timesUs, entered } = this;
    this.timesUs = new Float64Array(capacity);
    this.timesUs.set(timesUs);
    this.entered = new Uint32Array(capacity);
    this.entered.set(entered);
    return true;
  }

  /** Answers for times in ascending order. */
  reader(): (atUs: number) => KernelState | undefined {
    let next = 0;
    return (atUs) => {
      while (next < this.length && this.timesUs[next] <= atUs) next++;
      return next === 0 ? undefined : this.states[this.entered[next - 1]];
    };
  }
}
