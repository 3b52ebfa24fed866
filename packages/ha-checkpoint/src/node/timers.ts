// Time as the process has it.
import type { Timers } from "../timers.ts";

export function nodeTimers(): Timers {
  return {
    now: () => performance.now(),
    after: (milliseconds, run) => {
      const timer = setTimeout(run, milliseconds);
      return () => clearTimeout(timer);
    },
  };
}
