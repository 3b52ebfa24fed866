/** Time as the process has it. */
import { randomInt } from "node:crypto";
import type { NetworkClock } from "../clock.ts";

/** Timers do not keep the process alive: sockets and machines do. */
export function nodeClock(): NetworkClock {
  return {
    now: () => performance.now(),
    at: (timeMs, callback) => {
      const timer = setTimeout(callback, Math.max(0, timeMs - performance.now())).unref();
      return { cancel: () => clearTimeout(timer) };
    },
  };
}

/** 32 bits that nobody can guess. */
export function random32(): number {
  return randomInt(2 ** 32);
}
