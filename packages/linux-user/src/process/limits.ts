// Resource limits (getrlimit(2)), as a login on a usual distribution has them.

import type { ResourceLimit } from "../kernel/task.ts";

export const RLIMIT_CPU = 0;
export const RLIMIT_FSIZE = 1;
export const RLIMIT_DATA = 2;
export const RLIMIT_STACK = 3;
export const RLIMIT_CORE = 4;
export const RLIMIT_RSS = 5;
export const RLIMIT_NPROC = 6;
export const RLIMIT_NOFILE = 7;
export const RLIMIT_MEMLOCK = 8;
export const RLIMIT_AS = 9;
export const RLIMIT_LOCKS = 10;
export const RLIMIT_SIGPENDING = 11;
export const RLIMIT_MSGQUEUE = 12;
export const RLIMIT_NICE = 13;
export const RLIMIT_RTPRIO = 14;
export const RLIMIT_RTTIME = 15;
export const RLIMIT_COUNT = 16;

export function defaultLimits(): ResourceLimit[] {
  const limits: ResourceLimit[] = [];
  for (let resource = 0; resource < RLIMIT_COUNT; resource++) limits.push({ soft: Infinity, hard: Infinity });
  limits[RLIMIT_STACK] = { soft: 8 * 1024 * 1024, hard: Infinity };
  limits[RLIMIT_CORE] = { soft: 0, hard: Infinity };
  limits[RLIMIT_NPROC] = { soft: 15_000, hard: 15_000 };
  limits[RLIMIT_NOFILE] = { soft: 1024, hard: 1_048_576 };
  limits[RLIMIT_MEMLOCK] = { soft: 8 * 1024 * 1024, hard: 8 * 1024 * 1024 };
  limits[RLIMIT_SIGPENDING] = { soft: 15_000, hard: 15_000 };
  limits[RLIMIT_MSGQUEUE] = { soft: 819_200, hard: 819_200 };
  limits[RLIMIT_NICE] = { soft: 0, hard: 0 };
  limits[RLIMIT_RTPRIO] = { soft: 0, hard: 0 };
  return limits;
}
