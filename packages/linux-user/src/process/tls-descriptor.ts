// i386 thread-local storage: three GDT entries of set_thread_area(2), described by struct user_desc:
//
//   0 entry_number | 4 base_addr | 8 limit | 12 bits: 0 seg_32bit, 1-2 contents, 3 read_exec_only, 4 limit_in_pages,
//                                              5 seg_not_present, 6 useable

import { EINVAL, ESRCH, SyscallError } from "../kernel/errno.ts";
import type { GuestTask } from "./task.ts";

const FIRST_ENTRY = 12;
const LAST_ENTRY = 14;
const ENTRY_EMPTY_FLAGS = 0x28;

/** Sets the entry that a user_desc names, for a thread that is not running. Throws EFAULT, EINVAL. */
export function loadTlsDescriptor(task: GuestTask, address: number): void {
  const entry = task.memory.readI32(address);
  if (entry < FIRST_ENTRY || entry > LAST_ENTRY) throw new SyscallError(EINVAL);
  store(task, entry, address);
}

function store(task: GuestTask, entry: number, address: number): void {
  const { memory } = task;
  const descriptor = {
    base: memory.readU32(address + 4),
    limit: memory.readU32(address + 8),
    flags: memory.readU32(address + 12) & 0x7f,
  };
  const empty =
    descriptor.base === 0 && descriptor.limit === 0 && (descriptor.flags & ENTRY_EMPTY_FLAGS) === ENTRY_EMPTY_FLAGS;
  if (empty) task.tlsDescriptors.delete(entry);
  else task.tlsDescriptors.set(entry, descriptor);
  task.cpu.setTlsDescriptor(entry, empty ? null : descriptor.base);
}

/** set_thread_area(2): entry -1 takes a free one and tells which. */
export function setThreadArea(task: GuestTask, address: number): number {
  let entry = task.memory.readI32(address);
  if (entry === -1) {
    entry = FIRST_ENTRY;
    while (task.tlsDescriptors.has(entry)) if (++entry > LAST_ENTRY) return -ESRCH;
    task.memory.writeU32(address, entry);
  }
  if (entry < FIRST_ENTRY || entry > LAST_ENTRY) return -EINVAL;
  store(task, entry, address);
  return 0;
}

/** get_thread_area(2). */
export function getThreadArea(task: GuestTask, address: number): number {
  const entry = task.memory.readI32(address);
  if (entry < FIRST_ENTRY || entry > LAST_ENTRY) return -EINVAL;
  const descriptor = task.tlsDescriptors.get(entry);
  task.memory.writeU32(address + 4, descriptor?.base ?? 0);
  task.memory.writeU32(address + 8, descriptor?.limit ?? 0);
  task.memory.writeU32(address + 12, descriptor?.flags ?? ENTRY_EMPTY_FLAGS);
  return 0;
}
