/** Node as what programs and machines run on. */
import { randomFillSync } from "node:crypto";
import type { EmulatorHost } from "../host.ts";
import { setEngineFlags } from "./engine-flags.ts";

setEngineFlags();

const STARTED_NS: number = Math.round(performance.now() * 1e6);
const realtimeOffsetNs: bigint =
  BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)) * 1000n - process.hrtime.bigint();
const realtimeNs = (): bigint => process.hrtime.bigint() + realtimeOffsetNs;

/** Time, randomness and the event loop of Node. */
export const nodeHost: EmulatorHost = {
  // Twice for each system call: without a bigint.
  monotonicNs: () => Math.round(performance.now() * 1e6) - STARTED_NS,
  realtimeNs,
  randomBytes: (into) => void randomFillSync(into),
  loop: {
    defer: (callback) => void setImmediate(callback),
    after: (delayNs, callback) => {
      // Node's longest timer; whoever waits longer is woken early and waits again.
      const timer = setTimeout(callback, Math.min(delayNs / 1e6, 0x7fffffff));
      return () => clearTimeout(timer);
    },
  },
};
