// The robust futex list of a dying thread (get_robust_list(2), Documentation/locking/robust-futex-ABI): each lock it
// still holds is marked FUTEX_OWNER_DIED and one waiter is woken.

import type { GuestTask } from "./task.ts";

const FUTEX_WAITERS = 0x8000_0000;
const FUTEX_OWNER_DIED = 0x4000_0000;
const FUTEX_TID_MASK = 0x3fff_ffff;
/** ROBUST_LIST_LIMIT: a list may be circular by mistake. */
const LIMIT = 2048;

/** Throws EFAULT on a bad list. */
export function releaseRobustFutexes(task: GuestTask): void {
  if (task.robustList === 0) return;
  const wordBytes = task.robustListBytes === 12 ? 4 : 8;
  const { memory } = task;
  const head = task.robustList;
  task.robustList = 0;
  const offset = wordBytes === 8 ? memory.readI64(head + 8) : memory.readI32(head + 4);
  const pending = memory.readWord(head + 2 * wordBytes, wordBytes);
  let entry = memory.readWord(head, wordBytes);
  for (let count = 0; count < LIMIT; count++) {
    // Bit 0 marks a priority-inheritance lock.
    const node = entry - (entry % 2);
    if (node === head) break;
    const next = memory.readWord(node, wordBytes);
    if (node !== pending - (pending % 2)) handleDeath(task, node + offset);
    entry = next;
  }
  if (pending !== 0) handleDeath(task, pending - (pending % 2) + offset);
}

function handleDeath(task: GuestTask, address: number): void {
  const value = task.memory.readU32(address);
  if ((value & FUTEX_TID_MASK) !== task.tid) return;
  task.memory.writeU32(address, ((value & FUTEX_WAITERS) | FUTEX_OWNER_DIED) >>> 0);
  if ((value & FUTEX_WAITERS) !== 0) task.kernel.futexes.wakeAt(task, address, 1);
}
