// struct rusage (getrusage(2)): two timevals, then fourteen longs, of which ru_maxrss (KiB) is the first.

import { PAGE_BYTES } from "../engine-port.ts";
import type { GuestProcess } from "../process/process.ts";
import type { GuestTask } from "../process/task.ts";
import { writeTimeval } from "./time-layout.ts";

export function writeUsage(
  task: GuestTask,
  address: number,
  usage: { readonly userNs: number; readonly systemNs: number; readonly peakResidentPages: number },
  wordBytes: 8 | 4,
): void {
  const width = wordBytes === 8 ? "wide" : "narrow";
  task.memory.fill(address, 18 * wordBytes, 0);
  writeTimeval(task, address, usage.userNs, width);
  writeTimeval(task, address + 2 * wordBytes, usage.systemNs, width);
  task.memory.writeWord(address + 4 * wordBytes, (usage.peakResidentPages * PAGE_BYTES) / 1024, wordBytes);
}

/** What wait4 reports of a child: its own use and that of its waited-for children. */
export function writeRusage(task: GuestTask, address: number, child: GuestProcess, wordBytes: 8 | 4): void {
  const { childUsage } = child;
  writeUsage(
    task,
    address,
    {
      userNs: child.userNs + childUsage.userNs,
      systemNs: child.systemNs + childUsage.systemNs,
      peakResidentPages: Math.max(child.peakResidentPages, childUsage.peakResidentPages),
    },
    wordBytes,
  );
}
