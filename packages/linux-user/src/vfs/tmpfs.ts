/**
 * tmpfs(5): a file system in memory; /dev/shm, memfd and the sandbox's root. A file's bytes live in the page cache
 * and nowhere else, so that a shared mapping of it and `read` see the same guest-physical pages.
 */
import {
  EACCES,
  EEXIST,
  EINVAL,
  EISDIR,
  ENOENT,
  ENOMEM,
  ENOTDIR,
  ENOTEMPTY,
  ENXIO,
  EPERM,
  EROFS,
  EXDEV,
  ENODATA,
  ENOSYS,
} from "../kernel/errno.ts";
import type { PageCache, PageSource } from "../kernel/memory.ts";
import type { OpenFile } from "../fd/open-file.ts";
import { DirectoryFile, RegularFile, type FileContent } from "../fd/regular-file.ts";
import {
  failed,
  O_ACCMODE,
  O_RDONLY,
  O_TRUNC,
  R_OK,
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  W_OK,
  X_OK,
  type Failure,
} from "./constants.ts";
import {
  Inode,
  isAncestor,
  replaceError,
  type Caller,
  type DirectoryEntry,
  type FileStatus,
  type Filesystem,
  type FilesystemStatus,
} from "./inode.ts";

export interface TmpfsOptions {
  readonly pageCache: PageCache;
  /** Wall clock, nanoseconds. */
  readonly nowNs: () => bigint;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly source?: string;
  readonly openFifo?: (inode: Inode, flags: number) => OpenFile | Failure;
}

const TMPFS_MAGIC = 0x01021994;
const BLOCK_BYTES = 4096;
let nextDevice = 0x20;

export class Tmpfs implements Filesystem {
  readonly name = "tmpfs";
  readonly source: string;
  readonly readOnly = false;
  readonly options: TmpfsOptions;
  readonly device: number = nextDevice++;
  readonly root: TmpfsInode;
  mountedOn: { directory: Inode; name: string } | undefined = undefined;
  nextInode = 1;

  constructor(options: TmpfsOptions) {
    this.options = options;
    this.source = options.source ?? "tmpfs";
    this.root = new TmpfsInode(this, S_IFDIR | (options.mode ?? 0o755), options.uid ?? 0, options.gid ?? 0);
  }

  status(): FilesystemStatus {
    const blocks = 262144;
    const free = { freeBlocks: blocks, availableBlocks: blocks, files: 1 << 20, freeFiles: 1 << 20 };
    return { type: TMPFS_MAGIC, blockSize: BLOCK_BYTES, blocks, ...free };
  }
}

export class TmpfsInode extends Inode {
  readonly filesystem: Tmpfs;
  readonly ino: number;
  readonly children: Map<string, TmpfsInode> = new Map();
  mode: number;
  uid: number;
  gid: number;
  links = 0;
  size = 0;
  target = "";
  device = 0;
  opens = 0;
  atimeNs: bigint;
  mtimeNs: bigint;
  ctimeNs: bigint;
  readonly birthtimeNs: bigint;
  readonly pageSource: TmpfsPageSource;
  readonly #attributes: Map<string, Uint8Array> = new Map();

  constructor(filesystem: Tmpfs, mode: number, uid: number, gid: number) {
    super(mode);
    this.filesystem = filesystem;
    this.ino = filesystem.nextInode++;
    this.mode = mode;
    this.uid = uid;
    this.gid = gid;
    const now = filesystem.options.nowNs();
    this.atimeNs = this.mtimeNs = this.ctimeNs = this.birthtimeNs = now;
    this.pageSource = new TmpfsPageSource(this);
  }

  modified(): void {
    this.mtimeNs = this.ctimeNs = this.filesystem.options.nowNs();
  }

  override status(): FileStatus {
    let nlink = this.links;
    if (this.isDirectory) {
      nlink = this.removed ? 0 : 2;
      for (const child of this.children.values()) if (child.isDirectory) nlink++;
    }
    return {
      dev: BigInt(this.filesystem.device),
      ino: BigInt(this.ino),
      mode: this.mode,
      nlink,
      uid: this.uid,
      gid: this.gid,
      rdev: this.device,
      size: this.isSymlink ? this.target.length : this.isDirectory ? this.children.size * 20 + 40 : this.size,
      blksize: BLOCK_BYTES,
      blocks: Math.ceil(this.size / BLOCK_BYTES) * 8,
      atimeNs: this.atimeNs,
      mtimeNs: this.mtimeNs,
      ctimeNs: this.ctimeNs,
      birthtimeNs: this.birthtimeNs,
    };
  }

  /** The permission bits for the caller (path_resolution(7)); root may all but execute what nobody may. */
  override access(mode: number, caller: Caller): 0 | Failure {
    const { fsuid, fsgid, groups } = caller.credentials;
    if (fsuid === 0) {
      return (mode & X_OK) !== 0 && !this.isDirectory && (this.mode & 0o111) === 0 ? -EACCES : 0;
    }
    const shift = fsuid === this.uid ? 6 : fsgid === this.gid || groups.includes(this.gid) ? 3 : 0;
    const allowed = (this.mode >> shift) & 7;
    return (mode & (R_OK | W_OK | X_OK) & ~allowed) !== 0 ? -EACCES : 0;
  }

  override lookup(name: string, caller: Caller): Inode | Failure {
    if (!this.isDirectory) return -ENOTDIR;
    const allowed = this.access(X_OK, caller);
    return failed(allowed) ? allowed : (this.children.get(name) ?? -ENOENT);
  }

  override list(_caller: Caller): DirectoryEntry[] | Failure {
    if (this.removed) return -ENOENT;
    return Array.from(this.children, ([name, child]) => ({ name, type: child.type, ino: BigInt(child.ino) }));
  }

  override open(flags: number, caller: Caller): OpenFile | Failure {
    const access = flags & O_ACCMODE;
    const wanted = access === O_RDONLY ? R_OK : access === 1 ? W_OK : R_OK | W_OK;
    if (this.isDirectory && access !== O_RDONLY) return -EISDIR;
    const allowed = this.access(wanted, caller);
    return failed(allowed) ? allowed : this.openFile(flags);
  }

  /** Without the permission check: the creator of a file may open it whatever its mode (open(2)). */
  openFile(flags: number): OpenFile | Failure {
    if (this.isDirectory) return new DirectoryFile(this, flags);
    if (this.type === S_IFIFO) return this.filesystem.options.openFifo?.(this, flags) ?? -ENOSYS;
    if (this.type !== S_IFREG) return -ENXIO;
    if ((flags & O_TRUNC) !== 0) this.truncate(0);
    return new RegularFile(this, new TmpfsContent(this), flags, this.filesystem.options.pageCache);
  }

  #add(name: string, mode: number, caller: Caller): TmpfsInode | Failure {
    const allowed = this.#mayChange(caller);
    if (failed(allowed)) return allowed;
    if (this.removed) return -ENOENT;
    if (this.children.has(name)) return -EEXIST;
    const { fsuid, fsgid } = caller.credentials;
    const child = new TmpfsInode(this.filesystem, mode, fsuid, (this.mode & 0o2000) !== 0 ? this.gid : fsgid);
    this.#attach(name, child);
    return child;
  }

  #mayChange(caller: Caller): 0 | Failure {
    return this.access(W_OK | X_OK, caller);
  }

  #attach(name: string, child: TmpfsInode): void {
    this.children.set(name, child);
    child.links++;
    if (child.isDirectory) {
      child.parent = this;
      child.name = name;
    }
    this.modified();
  }

  #detach(name: string, child: TmpfsInode): void {
    this.children.delete(name);
    child.links--;
    child.ctimeNs = this.filesystem.options.nowNs();
    this.modified();
    child.reclaim();
  }

  /** Frees the pages of a file that has no name and no description. */
  reclaim(): void {
    if (this.links > 0 || this.opens > 0 || this.type !== S_IFREG) return;
    this.filesystem.options.pageCache.forget(this.pageSource);
  }

  override create(name: string, mode: number, caller: Caller): Inode | Failure {
    return this.#add(name, S_IFREG | (mode & 0o7777), caller);
  }

  override createUnnamed(mode: number, caller: Caller): Inode | Failure {
    const { fsuid, fsgid } = caller.credentials;
    return new TmpfsInode(this.filesystem, S_IFREG | (mode & 0o7777), fsuid, fsgid);
  }

  override makeDirectory(name: string, mode: number, caller: Caller): 0 | Failure {
    const made = this.#add(name, S_IFDIR | (mode & 0o1777) | (this.mode & 0o2000), caller);
    return failed(made) ? made : 0;
  }

  override makeNode(name: string, mode: number, device: number, caller: Caller): 0 | Failure {
    const type = (mode & S_IFMT) === 0 ? S_IFREG : mode & S_IFMT;
    const made = this.#add(name, type | (mode & 0o7777), caller);
    if (failed(made)) return made;
    made.device = device;
    return 0;
  }

  override symlink(name: string, target: string, caller: Caller): 0 | Failure {
    const made = this.#add(name, S_IFLNK | 0o777, caller);
    if (failed(made)) return made;
    made.target = target;
    return 0;
  }

  override link(name: string, target: Inode, caller: Caller): 0 | Failure {
    if (!(target instanceof TmpfsInode) || target.filesystem !== this.filesystem) return -EXDEV;
    if (target.isDirectory) return -EPERM;
    const allowed = this.#mayChange(caller);
    if (failed(allowed)) return allowed;
    if (this.children.has(name)) return -EEXIST;
    this.#attach(name, target);
    return 0;
  }

  /** The sticky bit: only its owner, the directory's owner or root may remove an entry (unlink(2)). */
  #mayRemove(child: TmpfsInode, caller: Caller): 0 | Failure {
    const allowed = this.#mayChange(caller);
    if (failed(allowed)) return allowed;
    const { fsuid } = caller.credentials;
    const sticky = (this.mode & 0o1000) !== 0 && fsuid !== 0 && fsuid !== child.uid && fsuid !== this.uid;
    return sticky ? -EPERM : 0;
  }

  override unlink(name: string, caller: Caller): 0 | Failure {
    const child = this.children.get(name);
    if (child === undefined) return -ENOENT;
    if (child.isDirectory) return -EISDIR;
    const allowed = this.#mayRemove(child, caller);
    if (allowed === 0) this.#detach(name, child);
    return allowed;
  }

  override removeDirectory(name: string, caller: Caller): 0 | Failure {
    const child = this.children.get(name);
    if (child === undefined) return -ENOENT;
    if (!child.isDirectory) return -ENOTDIR;
    if (child.children.size > 0) return -ENOTEMPTY;
    const allowed = this.#mayRemove(child, caller);
    if (allowed !== 0) return allowed;
    child.removed = true;
    this.#detach(name, child);
    return 0;
  }

  override rename(name: string, to: Inode, toName: string, flags: number, caller: Caller): 0 | Failure {
    if (!(to instanceof TmpfsInode) || to.filesystem !== this.filesystem) return -EXDEV;
    const moving = this.children.get(name);
    const existing = to.children.get(toName);
    if (moving === undefined) return -ENOENT;
    const error = this.#renameError(moving, to, existing, flags, caller);
    if (error !== 0 || moving === existing) return error;
    if ((flags & RENAME_EXCHANGE) !== 0) {
      this.children.set(name, existing!);
      to.children.set(toName, moving);
      if (existing!.isDirectory) Object.assign(existing!, { parent: this, name });
      if (moving.isDirectory) Object.assign(moving, { parent: to, name: toName });
      return 0;
    }
    if (existing !== undefined) {
      existing.removed = existing.isDirectory;
      to.#detach(toName, existing);
    }
    this.children.delete(name);
    moving.links--;
    to.#attach(toName, moving);
    this.modified();
    return 0;
  }

  #renameError(
    moving: TmpfsInode,
    to: TmpfsInode,
    existing: TmpfsInode | undefined,
    flags: number,
    caller: Caller,
  ): 0 | Failure {
    const from = this.#mayRemove(moving, caller);
    if (from !== 0) return from;
    const into = to.#mayChange(caller);
    if (into !== 0) return into;
    if (moving.isDirectory && isAncestor(moving, to)) return -EINVAL;
    if ((flags & RENAME_EXCHANGE) !== 0) return existing === undefined ? -ENOENT : 0;
    if (existing === undefined) return 0;
    if ((flags & RENAME_NOREPLACE) !== 0) return -EEXIST;
    return moving === existing ? 0 : replaceError(moving, existing, existing.children.size === 0);
  }

  override readlink(): string | Failure {
    return this.isSymlink ? this.target : -EINVAL;
  }

  override setMode(mode: number): 0 {
    this.mode = (this.mode & S_IFMT) | (mode & 0o7777);
    this.ctimeNs = this.filesystem.options.nowNs();
    return 0;
  }

  override setOwner(uid: number, gid: number): 0 {
    if (uid >= 0) this.uid = uid;
    if (gid >= 0) this.gid = gid;
    this.ctimeNs = this.filesystem.options.nowNs();
    return 0;
  }

  override setTimes(atimeNs: bigint, mtimeNs: bigint): 0 {
    this.atimeNs = atimeNs;
    this.mtimeNs = mtimeNs;
    this.ctimeNs = this.filesystem.options.nowNs();
    return 0;
  }

  override truncate(size: number): 0 | Failure {
    if (this.type !== S_IFREG) return -EINVAL;
    this.filesystem.options.pageCache.truncate(this.pageSource, size);
    this.size = size;
    this.modified();
    return 0;
  }

  override getAttribute(name: string): Uint8Array | Failure {
    return this.#attributes.get(name) ?? -ENODATA;
  }

  override setAttribute(name: string, value: Uint8Array, flags: number): 0 | Failure {
    const exists = this.#attributes.has(name);
    if (flags === 1 && exists) return -EEXIST;
    if (flags === 2 && !exists) return -ENODATA;
    this.#attributes.set(name, value);
    return 0;
  }

  override listAttributes(): string[] {
    return [...this.#attributes.keys()];
  }

  override removeAttribute(name: string): 0 | Failure {
    return this.#attributes.delete(name) ? 0 : -ENODATA;
  }
}

class TmpfsPageSource implements PageSource {
  readonly memoryOnly = true;
  readonly #inode: TmpfsInode;

  constructor(inode: TmpfsInode) {
    this.#inode = inode;
  }

  get name(): string {
    return this.#inode.name;
  }

  get device(): number {
    return this.#inode.filesystem.device;
  }

  get inode(): number {
    return this.#inode.ino;
  }

  sizeBytes(): number {
    return this.#inode.size;
  }

  /** For the loader: the page cache itself never asks, since it is the file. */
  readAt(offset: number, into: Uint8Array): number {
    const length = Math.min(into.length, this.#inode.size - offset);
    if (length <= 0) return 0;
    this.#inode.filesystem.options.pageCache.read(this, offset, into.subarray(0, length));
    return length;
  }
}

export class TmpfsContent implements FileContent {
  readonly inMemory = true;
  readonly #inode: TmpfsInode;
  readonly #cache: PageCache;

  constructor(inode: TmpfsInode) {
    this.#inode = inode;
    this.#cache = inode.filesystem.options.pageCache;
    inode.opens++;
  }

  size(): number {
    return this.#inode.size;
  }

  read(into: Uint8Array, offset: number): number {
    const length = Math.max(0, Math.min(into.length, this.#inode.size - offset));
    if (length > 0) this.#cache.read(this.#inode.pageSource, offset, into.subarray(0, length));
    return length;
  }

  write(from: Uint8Array, offset: number): number | Failure {
    if (this.#inode.filesystem.readOnly) return -EROFS;
    const count = this.#cache.write(this.#inode.pageSource, offset, from);
    if (count <= 0) return from.length === 0 ? 0 : count === 0 ? -ENOMEM : count;
    this.#inode.size = Math.max(this.#inode.size, offset + count);
    this.#inode.modified();
    return count;
  }

  truncate(size: number): 0 | Failure {
    return this.#inode.truncate(size);
  }

  sync(): 0 {
    return 0;
  }

  status(): FileStatus {
    return this.#inode.status();
  }

  setMode(mode: number): 0 {
    return this.#inode.setMode(mode);
  }

  setOwner(uid: number, gid: number): 0 {
    return this.#inode.setOwner(uid, gid);
  }

  setTimes(atimeNs: bigint, mtimeNs: bigint): 0 {
    return this.#inode.setTimes(atimeNs, mtimeNs);
  }

  pageSource(): PageSource {
    return this.#inode.pageSource;
  }

  close(): void {
    this.#inode.opens--;
    this.#inode.reclaim();
  }
}
