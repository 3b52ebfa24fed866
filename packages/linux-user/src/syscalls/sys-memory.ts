// Memory: mmap(2) and its family.

import { EACCES, EBADF, EFAULT, EINVAL, ENOMEM, EPERM, ESRCH } from "../kernel/errno.ts";
import type { SyscallDefinition } from "../kernel/syscall.ts";
import { PAGE_BYTES } from "../engine-port.ts";
import { sharedAnonymous } from "../memory/anonymous-source.ts";
import { PROT_WRITE } from "../memory/mapping.ts";
import {
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  MAP_SHARED,
  MAP_SHARED_VALIDATE,
  MAP_TYPE,
  mapMemory,
  memoryCanHold,
  moveBreak,
  pageCeil,
  protectMemory,
  unmapMemory,
} from "../memory/mmap.ts";
import type { CachedFile } from "../memory/page-cache.ts";
import { adviseMemory, remapMemory, residency, synchronizeMemory } from "../memory/remap.ts";
import type { GuestTask } from "../process/task.ts";
import type { CoreHandler } from "./row.ts";
import { absent, partial, row } from "./row.ts";

function map(
  task: GuestTask,
  address: number,
  length: number,
  protection: number,
  flags: number,
  fd: number,
  offset: number,
): number {
  const { space } = task.memory;
  const type = flags & MAP_TYPE;
  if (type !== MAP_SHARED && type !== MAP_PRIVATE && type !== MAP_SHARED_VALIDATE) return -EINVAL;
  if (length === 0 || offset < 0 || offset % PAGE_BYTES !== 0) return -EINVAL;
  const shared = type !== MAP_PRIVATE;
  let file: CachedFile | null = null;
  let name = "";
  let mayWrite = true;
  let start = offset;
  let anonymous = (flags & MAP_ANONYMOUS) !== 0;
  if (!anonymous) {
    const open = task.files.get(fd);
    if (open === undefined) return -EBADF;
    const source = open.mappable();
    if (typeof source === "number") return source;
    if (!open.readable) return -EACCES;
    if (shared && (protection & PROT_WRITE) !== 0 && !open.writable) return -EACCES;
    mayWrite = open.writable;
    if (source === "anonymous") anonymous = true;
    else {
      file = space.cache.file(source);
      name = source.name;
    }
  }
  if (anonymous && shared) {
    const size = pageCeil(length);
    if (!memoryCanHold(space, size)) return -ENOMEM;
    file = sharedAnonymous(space.cache, size);
    name = file.source.name;
    mayWrite = true;
    start = 0;
  }
  return mapMemory(space, { address, length, protection, flags, file, offset: start, name, mayWrite });
}

const sysMmap: CoreHandler = (task, args) =>
  map(task, args.address(0), args.address(1), args.i32(2), args.i32(3), args.i32(4), args.number(5));

/** i386's mmap2: the offset counts pages. */
const sysMmap2: CoreHandler = (task, args) =>
  map(task, args.address(0), args.address(1), args.i32(2), args.i32(3), args.i32(4), args.u32(5) * PAGE_BYTES);

/** i386's first mmap: one pointer to the six arguments. */
const sysOldMmap: CoreHandler = (task, args) => {
  const base = args.address(0);
  const at = (index: number): number => task.memory.readU32(base + index * 4);
  return map(task, at(0), at(1), at(2) | 0, at(3) | 0, at(4) | 0, at(5));
};

const sysMincore: CoreHandler = (task, args) => {
  const result = residency(task.memory.space, args.address(0), args.address(1));
  if (typeof result === "number") return result;
  task.memory.writeBytes(args.address(2), result);
  return 0;
};

/** Everything is always in memory: locking needs only the range to be there. */
const sysMlock: CoreHandler = (task, args) => {
  const start = args.address(0) - (args.address(0) % PAGE_BYTES);
  const end = pageCeil(args.address(0) + args.address(1));
  if (end > task.memory.space.layout.limit) return -EINVAL;
  return task.memory.space.mappings.covers(start, end) ? 0 : -ENOMEM;
};

const MEMBARRIER_COMMANDS = 0x3f;

/** One thread runs at a time and in order: every barrier already holds. */
const sysMembarrier: CoreHandler = (_task, args) => {
  const command = args.i32(0);
  if (args.u32(1) !== 0) return -EINVAL;
  if (command === 0) return MEMBARRIER_COMMANDS;
  return (command & ~MEMBARRIER_COMMANDS) === 0 && (command & (command - 1)) === 0 ? 0 : -EINVAL;
};

const MAXIMUM_VECTORS = 1024;

interface Vector {
  readonly address: number;
  readonly length: number;
}

function readVectors(task: GuestTask, address: number, count: number, wordBytes: 8 | 4): Vector[] {
  const vectors: Vector[] = [];
  for (let index = 0; index < count; index++) {
    const at = address + index * 2 * wordBytes;
    vectors.push({
      address: task.memory.readWord(at, wordBytes),
      length: task.memory.readWord(at + wordBytes, wordBytes),
    });
  }
  return vectors;
}

/** process_vm_readv(2) and process_vm_writev(2): whole pieces, up to the first that cannot be reached. */
function transfer(write: boolean): CoreHandler {
  return (task, args) => {
    const localCount = args.address(2);
    const remoteCount = args.address(4);
    if (localCount > MAXIMUM_VECTORS || remoteCount > MAXIMUM_VECTORS || args.address(5) !== 0) return -EINVAL;
    const process = task.kernel.processes.get(args.i32(0));
    const remote = process?.memoryForOthers();
    if (process === undefined || remote === null || remote === undefined) return -ESRCH;
    if (task.credentials.euid !== 0 && process.mainTask()?.credentials.ruid !== task.credentials.euid) return -EPERM;
    const local = readVectors(task, args.address(1), localCount, args.wordBytes);
    const far = readVectors(task, args.address(3), remoteCount, args.wordBytes);
    let done = 0;
    let at = 0;
    let used = 0;
    for (const vector of far) {
      for (let offset = 0; offset < vector.length;) {
        while (at < local.length && used === local[at].length) {
          at++;
          used = 0;
        }
        if (at === local.length) return done;
        const count = Math.min(vector.length - offset, local[at].length - used, 65_536);
        const near = local[at].address + used;
        const bytes = write
          ? task.memory.readBytes(near, count)
          : pieces(remote.viewsUntilFault(vector.address + offset, count, "read"));
        if (bytes.length > 0 && write) remote.writeBytes(vector.address + offset, bytes);
        else if (bytes.length > 0) task.memory.writeBytes(near, bytes);
        done += bytes.length;
        if (bytes.length < count) return done > 0 ? done : -EFAULT;
        offset += count;
        used += count;
      }
    }
    return done;
  };
}

function pieces(views: readonly Uint8Array[]): Uint8Array {
  const result = new Uint8Array(views.reduce((sum, view) => sum + view.length, 0));
  let at = 0;
  for (const view of views) {
    result.set(view, at);
    at += view.length;
  }
  return result;
}

export const memorySyscalls: readonly SyscallDefinition[] = [
  row("mmap", 9, 90, sysMmap, "pointer size hex hex fd size", { handler32: sysOldMmap }),
  row("mmap2", -1, 192, sysMmap2, "pointer size hex hex fd size"),
  row(
    "munmap",
    11,
    91,
    (task, args) => unmapMemory(task.memory.space, args.address(0), args.address(1)),
    "pointer size",
  ),
  row(
    "mprotect",
    10,
    125,
    (task, args) => protectMemory(task.memory.space, args.address(0), args.address(1), args.i32(2)),
    "pointer size hex",
  ),
  row("brk", 12, 45, (task, args) => moveBreak(task.memory.space, args.address(0)), "pointer"),
  row(
    "mremap",
    25,
    163,
    (task, args) =>
      remapMemory(task.memory.space, args.address(0), args.address(1), args.address(2), args.i32(3), args.address(4)),
    "pointer size size hex pointer",
  ),
  row(
    "madvise",
    28,
    219,
    (task, args) => adviseMemory(task.memory.space, args.address(0), args.address(1), args.i32(2)),
    "pointer size int",
    partial("MADV_REMOVE is refused; advice about huge pages and read-ahead is accepted and ignored"),
  ),
  row("mincore", 27, 218, sysMincore, "pointer size pointer"),
  row(
    "msync",
    26,
    144,
    (task, args) => synchronizeMemory(task.memory.space, args.address(0), args.address(1), args.i32(2)),
    "pointer size hex",
  ),
  row("mlock", 149, 150, sysMlock, "pointer size"),
  row("munlock", 150, 151, sysMlock, "pointer size"),
  row("mlockall", 151, 152, (_task, args) => ((args.i32(0) & ~7) !== 0 || args.i32(0) === 0 ? -EINVAL : 0), "hex"),
  row("munlockall", 152, 153, () => 0),
  row("mlock2", 325, 376, sysMlock, "pointer size hex"),
  row("membarrier", 324, 375, sysMembarrier, "int hex int"),
  row("process_vm_readv", 310, 347, transfer(false), "int pointer size pointer size hex"),
  row("process_vm_writev", 311, 348, transfer(true), "int pointer size pointer size hex"),
  absent("remap_file_pages", 216, 257, "deprecated in Linux"),
  absent("pkey_mprotect", 329, 380, "no protection keys, as CPUID says"),
  absent("pkey_alloc", 330, 381, "no protection keys, as CPUID says"),
  absent("pkey_free", 331, 382, "no protection keys, as CPUID says"),
  absent("mbind", 237, 274, "no NUMA"),
  absent("set_mempolicy", 238, 276, "no NUMA"),
  absent("get_mempolicy", 239, 275, "no NUMA"),
  absent("migrate_pages", 256, 294, "no NUMA"),
  absent("move_pages", 279, 317, "no NUMA"),
  absent("shmget", 29, 395, "System V shared memory"),
  absent("shmat", 30, 397, "System V shared memory"),
  absent("shmctl", 31, 396, "System V shared memory"),
  absent("shmdt", 67, 398, "System V shared memory"),
  absent("memfd_secret", 447, 447, "no secret memory"),
  absent("process_madvise", 440, 440, "advice for other processes"),
  absent("process_mrelease", 448, 448, "there is no OOM reaper"),
  absent("userfaultfd", 323, 374, "faults are handled by the kernel alone"),
];
