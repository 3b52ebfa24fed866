/** Signals that the host sends to the emulator, passed on to the guest: Ctrl-C before the terminal is ours, kill(1). */
import { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2 } from "../kernel/signal-info.ts";
import type { Process } from "../kernel/task.ts";
import type { Terminal } from "../fd/tty/terminal.ts";

const SI_USER = 0;
const SI_KERNEL = 0x80;

/** What a terminal sends to its foreground group. */
const TYPED = { SIGINT, SIGQUIT } as const;
/** What somebody sends to a process. */
const SENT = { SIGTERM, SIGHUP, SIGUSR1, SIGUSR2 } as const;

/** Passes signals on to the guest's first process, typed ones to the foreground group; returns what undoes it. */
export function forwardSignals(process_: Process, terminal: Terminal | undefined): () => void {
  const handlers: [NodeJS.Signals, () => void][] = [];
  const on = (name: string, handler: () => void): void => {
    handlers.push([name as NodeJS.Signals, handler]);
    process.on(name as NodeJS.Signals, handler);
  };
  for (const [name, signal] of Object.entries(TYPED)) {
    on(name, () => {
      const controlled = terminal !== undefined && terminal.session !== null;
      if (controlled) terminal.signalForeground(signal);
      else process_.group.sendSignal({ signal, code: SI_KERNEL });
    });
  }
  for (const [name, signal] of Object.entries(SENT)) {
    on(name, () => process_.sendSignal({ signal, code: SI_USER, pid: 0, uid: process.getuid?.() ?? 0 }));
  }
  return () => {
    for (const [name, handler] of handlers) process.off(name, handler);
  };
}
