/** memfd_create(2): an unnamed tmpfs file, with seals. */
import { EINVAL, EPERM } from "../kernel/errno.ts";
import type { PageCache } from "../kernel/memory.ts";
import type { Task } from "../kernel/task.ts";
import { O_RDWR, type Failure } from "../vfs/constants.ts";
import { TmpfsContent, type TmpfsInode } from "../vfs/tmpfs.ts";
import { RegularFile } from "./regular-file.ts";
import type { Transfer } from "./transfer.ts";

export const MFD_CLOEXEC = 1;
export const MFD_ALLOW_SEALING = 2;
export const MFD_NOEXEC_SEAL = 8;

const F_SEAL_SEAL = 1;
const F_SEAL_SHRINK = 2;
const F_SEAL_GROW = 4;
const F_SEAL_WRITE = 8;
const F_SEAL_FUTURE_WRITE = 16;
const ALL_SEALS = 0x3f;

/** The seals belong to the inode: every description of it sees them. */
interface Seals {
  value: number;
}

export class MemoryFile extends RegularFile {
  readonly #inode: TmpfsInode;
  readonly #seals: Seals;
  readonly #cacheOfFile: PageCache;

  /** `flags` are MFD_ flags. */
  constructor(inode: TmpfsInode, flags: number, cache: PageCache, openFlags: number = O_RDWR, seals?: Seals) {
    super(inode, new TmpfsContent(inode), openFlags, cache);
    this.#inode = inode;
    this.#cacheOfFile = cache;
    this.#seals = seals ?? { value: (flags & (MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL)) !== 0 ? 0 : F_SEAL_SEAL };
  }

  override seals(): number {
    return this.#seals.value;
  }

  override addSeals(seals: number): number {
    if ((seals & ~ALL_SEALS) !== 0) return -EINVAL;
    if ((this.#seals.value & F_SEAL_SEAL) !== 0 || !this.writable) return -EPERM;
    this.#seals.value |= seals;
    return 0;
  }

  #has(seals: number): boolean {
    return (this.#seals.value & seals) !== 0;
  }

  override write(from: Transfer, task: Task): number {
    return this.#refuses(this.offset + from.remaining) ? -EPERM : super.write(from, task);
  }

  override writeAt(from: Transfer, offset: number): number {
    return this.#refuses(offset + from.remaining) ? -EPERM : super.writeAt(from, offset);
  }

  #refuses(end: number): boolean {
    return this.#has(F_SEAL_WRITE | F_SEAL_FUTURE_WRITE) || (this.#has(F_SEAL_GROW) && end > this.#inode.size);
  }

  override truncate(size: number): 0 | Failure {
    if (this.#has(F_SEAL_SHRINK) && size < this.#inode.size) return -EPERM;
    if (this.#has(F_SEAL_GROW) && size > this.#inode.size) return -EPERM;
    return super.truncate(size);
  }

  override allocate(mode: number, offset: number, length: number): 0 | Failure {
    return this.#refuses(offset + length) ? -EPERM : super.allocate(mode, offset, length);
  }

  override reopen(flags: number): MemoryFile {
    const file = new MemoryFile(this.#inode, 0, this.#cacheOfFile, flags, this.#seals);
    file.name = this.name;
    return file;
  }
}
