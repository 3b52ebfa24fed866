// wait4(2) and waitid(2): finding a child with news, and reporting it once.

import { ECHILD } from "../kernel/errno.ts";
import { CLD_CONTINUED, CLD_EXITED, CLD_KILLED, CLD_STOPPED, SIGCHLD, SIGCONT } from "../kernel/signal-info.ts";
import type { SyscallResult } from "../kernel/wait.ts";
import type { GuestProcess } from "./process.ts";
import type { GuestTask } from "./task.ts";

export const WNOHANG = 1;
export const WUNTRACED = 2;
export const WEXITED = 4;
export const WCONTINUED = 8;
export const WNOWAIT = 0x0100_0000;
export const WALL = 0x4000_0000;
export const WCLONE = 0x8000_0000;

/** Whom to wait for. */
export type ChildSelector =
  | { readonly kind: "any" }
  | { readonly kind: "process"; readonly id: number }
  | { readonly kind: "group"; readonly id: number };

export interface ChildNews {
  readonly child: GuestProcess;
  /** CLD_ code. */
  readonly code: number;
  /** Exit code or signal. */
  readonly status: number;
  /** As wait4 stores it. */
  readonly waitStatus: number;
}

function matches(child: GuestProcess, selector: ChildSelector, options: number): boolean {
  if ((options & WALL) === 0) {
    const isClone = child.exitSignal !== SIGCHLD;
    if (isClone !== ((options & WCLONE) !== 0)) return false;
  }
  if (selector.kind === "process") return child.pid === selector.id;
  return selector.kind === "any" || child.group.id === selector.id;
}

function newsOf(child: GuestProcess, options: number): ChildNews | null {
  const keep = (options & WNOWAIT) !== 0;
  if (child.isZombie && (options & WEXITED) !== 0) {
    const waitStatus = child.exitStatus;
    const signal = waitStatus & 0x7f;
    const code = signal === 0 ? CLD_EXITED : CLD_KILLED;
    return { child, code, status: signal === 0 ? (waitStatus >> 8) & 0xff : signal, waitStatus };
  }
  if (child.isZombie) return null;
  if (child.stopUnreported && (options & WUNTRACED) !== 0) {
    if (!keep) child.stopUnreported = false;
    return { child, code: CLD_STOPPED, status: child.stopSignal, waitStatus: (child.stopSignal << 8) | 0x7f };
  }
  if (child.continueUnreported && (options & WCONTINUED) !== 0) {
    if (!keep) child.continueUnreported = false;
    return { child, code: CLD_CONTINUED, status: SIGCONT, waitStatus: 0xffff };
  }
  return null;
}

function collect(parent: GuestProcess, child: GuestProcess): void {
  const usage = parent.childUsage;
  usage.userNs += child.userNs + child.childUsage.userNs;
  usage.systemNs += child.systemNs + child.childUsage.systemNs;
  usage.peakResidentPages = Math.max(
    usage.peakResidentPages,
    child.peakResidentPages,
    child.childUsage.peakResidentPages,
  );
  parent.kernel.reap(child);
}

/**
 * Waits for news and passes it to `report`, whose value is the call's result; `nothing` is the result under WNOHANG.
 * A zombie is collected after its report, so that a bad pointer loses nothing.
 */
export function waitForChild(
  task: GuestTask,
  selector: ChildSelector,
  options: number,
  report: (news: ChildNews) => number,
  nothing: () => number,
): SyscallResult {
  const { process } = task;
  const attempt = (): SyscallResult => {
    let any = false;
    for (const child of process.children) {
      if (!matches(child, selector, options)) continue;
      any = true;
      const news = newsOf(child, options);
      if (news === null) continue;
      const result = report(news);
      if (child.isZombie && (options & WNOWAIT) === 0) collect(process, child);
      return result;
    }
    if (!any) return -ECHILD;
    if ((options & WNOHANG) !== 0) return nothing();
    return task.block({ on: [process.childChanged], retry: attempt });
  };
  return attempt();
}
