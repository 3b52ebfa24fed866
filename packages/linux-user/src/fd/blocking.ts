/** Turns the -EAGAIN of an open file into a wait, for descriptors that are not O_NONBLOCK. */
import { EAGAIN, EPIPE, SyscallError } from "../kernel/errno.ts";
import { SIGPIPE } from "../kernel/signal-info.ts";
import type { Task } from "../kernel/task.ts";
import type { SyscallResult } from "../kernel/wait.ts";
import type { OpenFile } from "./open-file.ts";
import type { Transfer } from "./transfer.ts";

const SI_KERNEL = 0x80;

/**
 * What a file gives instead of a result when the call is to be made again later although the descriptor may be
 * O_NONBLOCK: a background process was told to stop (the kernel's ERESTARTSYS).
 */
export const RESTART = -512;

/** Repeats `attempt` until it is not -EAGAIN. `deadlineNs` is monotonic; running out gives -EAGAIN. */
export function waitFor(task: Task, file: OpenFile, attempt: () => number, deadlineNs?: number): SyscallResult {
  const result = attempt();
  if (result !== -EAGAIN && result !== RESTART) return result;
  return task.block({
    on: [file.queue],
    retry: (reason) => (reason === "timeout" ? file.readTimeoutResult : waitFor(task, file, attempt, deadlineNs)),
    ...(deadlineNs === undefined ? {} : { deadlineNs }),
  });
}

export function readFrom(task: Task, file: OpenFile, into: Transfer): SyscallResult {
  if (into.remaining === 0 && !file.isStream) return 0;
  if (file.nonblocking) {
    const result = file.read(into, task);
    if (result !== RESTART) return result;
  }
  return waitFor(task, file, () => file.read(into, task), file.readDeadlineNs(task));
}

/** SIGPIPE comes to the thread that wrote (write(2)). */
export function brokenPipe(task: Task): number {
  task.sendSignal({ signal: SIGPIPE, code: SI_KERNEL });
  return -EPIPE;
}

/** write(2): a blocking write to a stream goes on until all is written, an error, or a signal. */
export function writeTo(task: Task, file: OpenFile, from: Transfer, done = 0): SyscallResult {
  for (;;) {
    const count = attemptWrite(task, file, from, done);
    if (count >= 0) {
      done += count;
      if (from.remaining === 0 || !file.isStream || file.nonblocking) return done;
      continue;
    }
    if (count === -EPIPE && done === 0) return brokenPipe(task);
    if (count === -EPIPE) task.sendSignal({ signal: SIGPIPE, code: SI_KERNEL });
    if (count !== RESTART && (count !== -EAGAIN || file.nonblocking)) return done > 0 ? done : count;
    // Only streams go on after a part; an eventfd waits for its one value.
    return task.block({
      on: [file.queue],
      retry: () => writeTo(task, file, from, done),
      onInterrupt: () => (done > 0 ? done : undefined),
    });
  }
}

/** A bad address after some bytes ends the write short instead of losing the count. */
function attemptWrite(task: Task, file: OpenFile, from: Transfer, done: number): number {
  if (done === 0) return file.write(from, task);
  try {
    return file.write(from, task);
  } catch (error) {
    if (error instanceof SyscallError) return -error.errno;
    throw error;
  }
}
