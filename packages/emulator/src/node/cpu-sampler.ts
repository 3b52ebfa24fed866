/** V8's sampling profiler, from inside the process that it watches. */
import { Session } from "node:inspector";
import type { CpuProfile } from "../profile/guest-profile.ts";

const INTERVAL_US = 500;

export class CpuSampler {
  private readonly session: Session = new Session();

  /** Microseconds on the clock that samples are taken by. */
  static nowUs(this: void): number {
    return performance.now() * 1000 + CLOCK_OFFSET_US;
  }

  start(): void {
    const { session } = this;
    session.connect();
    session.post("Profiler.enable");
    session.post("Profiler.setSamplingInterval", { interval: INTERVAL_US });
    session.post("Profiler.start");
  }

  stop(): CpuProfile {
    let profile: CpuProfile = { nodes: [], startTime: 0 };
    // A session with its own process answers before `post` returns.
    this.session.post("Profiler.stop", (_error, result) => {
      profile = result.profile;
    });
    this.session.disconnect();
    return profile;
  }
}

/**
 * From `performance.now()`, which counts from the start of the process, to the system's monotonic clock. Between two
 * readings something may come, the loading of `performance` for one: the closest of several are taken.
 */
const CLOCK_OFFSET_US: number = Math.max(
  ...Array.from({ length: 5 }, () => Number(process.hrtime.bigint()) / 1000 - performance.now() * 1000),
);
