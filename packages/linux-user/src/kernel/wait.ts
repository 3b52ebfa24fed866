// How a system call waits. A handler never suspends JavaScript: it returns a `Blocked` that names the queues whose
// wake may change the answer and a `retry` that tries again. The scheduler parks the task on those queues; a wake
// makes it runnable and `retry` runs in its turn. Host I/O completes by waking a queue from a host callback.

/** Somebody on a queue. A parked task removes itself when it is woken; an observer (epoll, poll hooks) stays. */
export interface Waiter {
  /** Called synchronously by the waker; it must only note the event, never run guest code or throw. */
  wake(): void;
  /** At most one exclusive waiter is woken by `wakeOne`; the others are all woken (`wait_queue_entry` in Linux). */
  readonly exclusive?: boolean;
}

/** Waiters in the order in which they came. */
export class WaitQueue {
  readonly #waiters: Set<Waiter> = new Set();

  get size(): number {
    return this.#waiters.size;
  }

  add(waiter: Waiter): void {
    this.#waiters.add(waiter);
  }

  remove(waiter: Waiter): void {
    this.#waiters.delete(waiter);
  }

  /** Wakes every observer and the first exclusive waiter, if there is one. */
  wakeOne(): void {
    if (this.#waiters.size === 0) return;
    for (const waiter of [...this.#waiters]) {
      if (!this.#waiters.has(waiter)) continue;
      waiter.wake();
      if (waiter.exclusive === true) return;
    }
  }

  wakeAll(): void {
    if (this.#waiters.size === 0) return;
    for (const waiter of [...this.#waiters]) {
      if (this.#waiters.has(waiter)) waiter.wake();
    }
  }
}

export type WakeReason = "woken" | "timeout";

/**
 * What a signal with a handler does to a blocked call (signal(7), "Interruption of system calls"):
 *
 * - `"restart"`: restarted after a handler with SA_RESTART, else EINTR (read, write, wait4, futex, connect …).
 * - `"eintr"`: always EINTR when a handler runs (poll, select, epoll_wait, nanosleep, pause, sigsuspend …).
 * - `"uninterruptible"`: only SIGKILL ends the wait (vfork's parent).
 *
 * A signal that stops, continues or is ignored interrupts nothing: the call keeps waiting.
 */
export type InterruptPolicy = "restart" | "eintr" | "uninterruptible";

export interface BlockRequest {
  /** Queues whose wake leads to `retry`. May be empty when only a timeout or a signal can end the wait. */
  readonly on: readonly WaitQueue[];
  /** Relative timeout in nanoseconds from now on the monotonic clock; none means for ever. */
  readonly timeoutNs?: number;
  /** The same as an absolute time of `clock.monotonicNs()`; use it when `retry` blocks again. */
  readonly deadlineNs?: number;
  /** Tries again, in the task's turn; returns a result or another `task.block(…)`. */
  readonly retry: (reason: WakeReason) => SyscallResult;
  /** Default `"restart"`. */
  readonly interrupt?: InterruptPolicy;
  /**
   * Runs when a signal ends the wait, after the task has left the queues. A returned number replaces EINTR or the
   * restart: the count of a partial transfer, for example.
   */
  readonly onInterrupt?: () => number | undefined;
  /** Woken by `wakeOne` alone (pipe readers, accept). Default false. */
  readonly exclusive?: boolean;
}

/** A call that waits; made by `task.block` only, and returned by the handler at once. */
export class Blocked {
  readonly request: BlockRequest;
  /** Absolute monotonic nanoseconds, or Infinity. */
  readonly deadlineNs: number;

  constructor(request: BlockRequest, deadlineNs: number) {
    this.request = request;
    this.deadlineNs = deadlineNs;
  }
}

/** A result (a count, a descriptor, an address below 2^53), `-errno`, or a wait. */
export type SyscallResult = number | Blocked;
