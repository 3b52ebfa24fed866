/** The resource limits that a program started in place of this process would have. */
import { readFileSync } from "node:fs";
import type { ResourceLimit } from "@doppel/linux-user";

/** The lines of /proc/PID/limits (proc_pid_limits(5)) stand in the order of the RLIMIT_ numbers. */
const LINE = /^Max .{22}(\S+) +(\S+)/gm;
const RLIMIT_COUNT = 16;
const RLIMIT_NOFILE = 7;

function limitsOf(process: number | "self"): ResourceLimit[] | undefined {
  const value = (text: string): number => (text === "unlimited" ? Infinity : Number(text));
  try {
    const text = readFileSync(`/proc/${process}/limits`, "latin1");
    const limits = [...text.matchAll(LINE)].map(([, soft, hard]) => ({ soft: value(soft), hard: value(hard) }));
    return limits.length === RLIMIT_COUNT ? limits : undefined;
  } catch {
    return undefined;
  }
}

/** By RLIMIT_ number; undefined where the host does not tell. */
export function inheritedLimits(): ResourceLimit[] | undefined {
  const limits = limitsOf("self");
  const parent = limitsOf(process.ppid);
  // Node raises its own limit of open files to the hardest; whoever started it still has what was meant.
  if (limits !== undefined && parent !== undefined) {
    const { hard } = limits[RLIMIT_NOFILE];
    limits[RLIMIT_NOFILE] = { soft: Math.min(parent[RLIMIT_NOFILE].soft, hard), hard };
  }
  return limits;
}
