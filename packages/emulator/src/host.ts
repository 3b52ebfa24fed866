/** What programs and machines need of whatever they run on, and where it is JavaScript alone. */
import type { HostLoop } from "@doppel/linux-user";

/** What the machine around the emulator gives it. */
export interface EmulatorHost {
  /** Nanoseconds of a clock that never goes back. */
  monotonicNs(): number;
  /** Nanoseconds since 1970. */
  realtimeNs(): bigint;
  randomBytes(into: Uint8Array): void;
  readonly loop: HostLoop;
}

/** Time, randomness and timers of any JavaScript host. */
export const portableHost: EmulatorHost = {
  monotonicNs: () => performance.now() * 1e6,
  realtimeNs: () => BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)) * 1000n,
  randomBytes: (into) => {
    // As much as one call gives.
    for (let done = 0; done < into.length; done += 65536) {
      const piece = new Uint8Array(Math.min(65536, into.length - done));
      into.set(crypto.getRandomValues(piece), done);
    }
  },
  loop: {
    defer: (callback) => {
      const { port1, port2 } = new MessageChannel();
      port1.addEventListener("message", () => {
        port1.close();
        callback();
      });
      port1.start();
      port2.postMessage(0);
    },
    after: (delayNs, callback) => {
      // The longest timer there is; whoever waits longer is woken early and waits again.
      const timer = setTimeout(callback, Math.min(delayNs / 1e6, 0x7fffffff));
      return () => clearTimeout(timer);
    },
  },
};
