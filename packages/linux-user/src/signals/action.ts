// What a process does with each signal (sigaction(2), signal(7)). Shared by the threads of a process, and by
// CLONE_SIGHAND; fork copies it, exec resets handlers to the default.

import {
  SIGCHLD,
  SIGCONT,
  SIGSTOP,
  SIGTSTP,
  SIGTTIN,
  SIGTTOU,
  SIGURG,
  SIGWINCH,
  SignalSet,
} from "../kernel/signal-info.ts";

export const SIG_DFL = 0;
export const SIG_IGN = 1;

export const SA_NOCLDSTOP = 0x1;
export const SA_NOCLDWAIT = 0x2;
export const SA_SIGINFO = 0x4;
export const SA_RESTORER = 0x0400_0000;
export const SA_ONSTACK = 0x0800_0000;
export const SA_RESTART = 0x1000_0000;
export const SA_NODEFER = 0x4000_0000;
export const SA_RESETHAND = 0x8000_0000;

export interface SignalAction {
  /** Guest-virtual address, SIG_DFL or SIG_IGN. */
  readonly handler: number;
  /** Unsigned SA_ bits. */
  readonly flags: number;
  /** Guest-virtual address of the code that calls sigreturn, with SA_RESTORER. */
  readonly restorer: number;
  readonly mask: SignalSet;
}

const DEFAULT_ACTION: SignalAction = { handler: SIG_DFL, flags: 0, restorer: 0, mask: new SignalSet() };

/** Signals that would also dump core merely terminate: no core is written. */
export type DefaultEffect = "terminate" | "ignore" | "stop" | "continue";

const STOP: ReadonlySet<number> = new Set([SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU]);

export function defaultEffect(signal: number): DefaultEffect {
  if (STOP.has(signal)) return "stop";
  if (signal === SIGCONT) return "continue";
  return signal === SIGCHLD || signal === SIGURG || signal === SIGWINCH ? "ignore" : "terminate";
}

export class SignalActions {
  #actions: (SignalAction | undefined)[] = [];

  get(signal: number): SignalAction {
    return this.#actions[signal] ?? DEFAULT_ACTION;
  }

  set(signal: number, action: SignalAction): void {
    this.#actions[signal] = action;
  }

  reset(signal: number): void {
    this.#actions[signal] = undefined;
  }

  /** The action throws the signal away: ignored, or default and harmless. */
  discards(signal: number): boolean {
    const { handler } = this.get(signal);
    if (handler === SIG_IGN) return true;
    return handler === SIG_DFL && defaultEffect(signal) === "ignore";
  }

  dispositions(): { readonly ignored: SignalSet; readonly caught: SignalSet } {
    const ignored = new SignalSet();
    const caught = new SignalSet();
    this.#actions.forEach((action, signal) => {
      if (action === undefined || action.handler === SIG_DFL) return;
      (action.handler === SIG_IGN ? ignored : caught).add(signal);
    });
    return { ignored, caught };
  }

  clone(): SignalActions {
    const copy = new SignalActions();
    copy.#actions = [...this.#actions];
    return copy;
  }

  /** exec: handlers go, ignored signals stay ignored. */
  resetHandlers(): void {
    this.#actions = this.#actions.map((action) =>
      action?.handler === SIG_IGN ? { ...DEFAULT_ACTION, handler: SIG_IGN } : undefined,
    );
  }
}
