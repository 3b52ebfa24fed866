/**
 * Signals that the host sends to the emulator, passed on to the guest: Ctrl-C before the terminal is ours, kill(1).
 *
 * To the host the emulator is the guest's first process, and it lasts as long as any process of the guest. So a signal that
 * asks it to end goes to the first process, and once that has ended to whoever is left: nobody outside can name those.
 */
import { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2 } from "../kernel/signal-info.ts";
import type { Process } from "../kernel/task.ts";
import type { Terminal } from "../fd/tty/terminal.ts";

const SI_USER = 0;
const SI_KERNEL = 0x80;

/** What a terminal sends to its foreground group. */
const TYPED = { SIGINT, SIGQUIT } as const;
/** What somebody sends to a process. */
const SENT = { SIGTERM, SIGHUP, SIGUSR1, SIGUSR2 } as const;
/** Of those, what asks it to end. */
const ENDING: ReadonlySet<number> = new Set([SIGTERM, SIGHUP]);

/** Passes signals on to the guest's first process, typed ones to the foreground group; returns what undoes it. */
export function forwardSignals(first: Process, terminal: Terminal | undefined): () => void {
  const handlers: [NodeJS.Signals, () => void][] = [];
  const on = (name: string, handler: () => void): void => {
    handlers.push([name as NodeJS.Signals, handler]);
    process.on(name as NodeJS.Signals, handler);
  };
  const send = (to: Process, signal: number): void =>
    to.sendSignal({ signal, code: SI_USER, pid: 0, uid: process.getuid?.() ?? 0 });
  for (const [name, signal] of Object.entries(TYPED)) {
    on(name, () => {
      const controlled = terminal !== undefined && terminal.session !== null;
      if (controlled) terminal.signalForeground(signal);
      else first.group.sendSignal({ signal, code: SI_KERNEL });
    });
  }
  let toEnd = 0;
  const endRest = (): void => {
    if (toEnd === 0 || !hasEnded(first)) return;
    for (const left of [...first.kernel.processes.values()]) if (!hasEnded(left)) send(left, toEnd);
  };
  const waiter = { wake: endRest };
  first.stateChanged.add(waiter);
  for (const [name, signal] of Object.entries(SENT)) {
    on(name, () => {
      if (ENDING.has(signal)) toEnd = signal;
      if (hasEnded(first)) endRest();
      else send(first, signal);
    });
  }
  return () => {
    first.stateChanged.remove(waiter);
    for (const [name, handler] of handlers) process.off(name, handler);
  };
}

function hasEnded({ state }: Process): boolean {
  return state === "zombie" || state === "dead";
}
