/**
 * A directory of the host as a guest file system. There is no openat on the host port, so an inode knows its place:
 * directory inodes form a tree (cached, like Linux's dentries) and a host path is made by climbing it. A rename by the
 * guest moves the tree node, and open directories follow; a rename by somebody else on the host does not move it,
 * which is the one difference from a descriptor of the real kernel.
 */
import { EEXIST, EINVAL, EISDIR, ELOOP, ENOENT, ENOSYS, ENOTDIR, ENXIO, EPERM, EROFS, EXDEV } from "../kernel/errno.ts";
import type { OpenFile } from "../fd/open-file.ts";
import { DirectoryFile, RegularFile } from "../fd/regular-file.ts";
import {
  failed,
  O_ACCMODE,
  O_CREAT,
  O_EXCL,
  O_RDONLY,
  O_TRUNC,
  O_WRONLY,
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
  W_OK,
  type Failure,
} from "./constants.ts";
import { HostContent, type HostSources } from "./host-content.ts";
import type { HostFilesystem as HostPort } from "./host.ts";
import {
  Inode,
  isAncestor,
  type Caller,
  type DirectoryEntry,
  type FileStatus,
  type Filesystem,
  type FilesystemStatus,
} from "./inode.ts";

export interface HostMountOptions {
  readonly readOnly?: boolean;
  /** How long a directory may be trusted without asking the host again, as an intermediate component; ms. */
  readonly directoryCacheMs?: number;
  /** Milliseconds of any clock that does not run back. */
  readonly nowMs: () => number;
  readonly sources: HostSources;
  /** Pipes by host FIFO: supplied by `fd/fifo.ts`. */
  readonly openFifo?: (inode: Inode, flags: number) => OpenFile | Failure;
}

/** A second: long enough to make `find` cheap, short enough to notice what others do to the tree. */
const DIRECTORY_CACHE_MS = 1000;

export class HostFilesystem implements Filesystem {
  readonly name = "hostfs";
  readonly source: string;
  readonly readOnly: boolean;
  readonly root: HostInode;
  readonly host: HostPort;
  readonly options: HostMountOptions;
  readonly cacheMs: number;
  mountedOn: { directory: Inode; name: string } | undefined = undefined;

  constructor(host: HostPort, hostPath: string, options: HostMountOptions) {
    this.host = host;
    this.source = hostPath;
    this.readOnly = options.readOnly ?? false;
    this.options = options;
    this.cacheMs = options.directoryCacheMs ?? DIRECTORY_CACHE_MS;
    const status = host.status(hostPath);
    const type = failed(status) ? S_IFDIR : status.mode & S_IFMT;
    this.root = new HostInode(this, undefined, "", type, failed(status) ? undefined : status);
  }

  status(inode: Inode): FilesystemStatus | Failure {
    return this.host.filesystemStatus((inode as HostInode).hostPath());
  }
}

export class HostInode extends Inode {
  readonly filesystem: HostFilesystem;
  /** Files keep where they were found, in `place`; directories in `parent` and `name`. */
  readonly #place: HostInode | undefined;
  readonly #placeName: string;
  readonly #children: Map<string, HostInode> = new Map();
  #status: FileStatus | undefined;
  #checkedMs: number;

  constructor(
    filesystem: HostFilesystem,
    place: HostInode | undefined,
    name: string,
    type: number,
    status: FileStatus | undefined,
  ) {
    super(type);
    this.filesystem = filesystem;
    this.#place = place;
    this.#placeName = name;
    this.#status = status;
    this.#checkedMs = filesystem.options.nowMs();
    if (this.isDirectory) {
      this.parent = place;
      this.name = name;
    }
  }

  /** The path on the host now. */
  hostPath(): string {
    const parent = this.isDirectory ? (this.parent as HostInode | undefined) : this.#place;
    if (parent === undefined) return this.filesystem.source;
    return parent.childPath(this.isDirectory ? this.name : this.#placeName);
  }

  childPath(name: string): string {
    const path = this.hostPath();
    return path.endsWith("/") ? path + name : `${path}/${name}`;
  }

  get #host(): HostPort {
    return this.filesystem.host;
  }

  override status(): FileStatus | Failure {
    // What the walk's own lookup has just read is used once, so that a stat(2) is one host call.
    const fresh = this.#status;
    this.#status = undefined;
    return fresh ?? this.#host.status(this.hostPath());
  }

  override lookup(name: string, _caller: Caller): Inode | Failure {
    if (!this.isDirectory) return -ENOTDIR;
    const status = this.#host.status(this.childPath(name));
    if (failed(status)) {
      this.#children.delete(name);
      return status;
    }
    const type = status.mode & S_IFMT;
    if (type !== S_IFDIR) {
      this.#children.delete(name);
      return new HostInode(this.filesystem, this, name, type, status);
    }
    return this.#directory(name, status);
  }

  #directory(name: string, status: FileStatus): HostInode {
    const known = this.#children.get(name);
    if (known !== undefined) {
      known.#status = status;
      known.#checkedMs = this.filesystem.options.nowMs();
      return known;
    }
    const child = new HostInode(this.filesystem, this, name, S_IFDIR, status);
    this.#children.set(name, child);
    return child;
  }

  override step(name: string, caller: Caller): Inode | Failure {
    const known = this.#children.get(name);
    if (known === undefined || this.filesystem.options.nowMs() - known.#checkedMs > this.filesystem.cacheMs) {
      return this.lookup(name, caller);
    }
    known.#status = undefined;
    return known;
  }

  override list(_caller: Caller): DirectoryEntry[] | Failure {
    if (this.removed) return -ENOENT;
    const entries = this.#host.list(this.hostPath());
    if (failed(entries)) return entries;
    // Node does not say inode numbers with a listing: getdents asks for each.
    return entries.map(({ name, type }) => ({ name, type, ino: undefined }));
  }

  override access(mode: number, _caller: Caller): 0 | Failure {
    if ((mode & W_OK) !== 0 && this.filesystem.readOnly && (this.type === S_IFREG || this.isDirectory)) return -EROFS;
    return this.#host.access(this.hostPath(), mode);
  }

  override open(flags: number, _caller: Caller): OpenFile | Failure {
    if (this.isDirectory) {
      if ((flags & O_ACCMODE) !== O_RDONLY) return -EISDIR;
      const allowed = this.#host.access(this.hostPath(), 4);
      return failed(allowed) ? allowed : new DirectoryFile(this, flags);
    }
    if (this.type === S_IFIFO) return this.filesystem.options.openFifo?.(this, flags) ?? -ENOSYS;
    // Sockets are connected to, never opened; the devices of the host are not the guest's (devfs has its own).
    if (this.type === S_IFSOCK || this.type === S_IFCHR || this.type === S_IFBLK) return -ENXIO;
    if (this.type === S_IFLNK) return -ELOOP;
    if (this.filesystem.readOnly && ((flags & O_ACCMODE) !== O_RDONLY || (flags & O_TRUNC) !== 0)) return -EROFS;
    return this.#openHost(flags & ~(O_CREAT | O_EXCL), 0);
  }

  #openHost(flags: number, mode: number): OpenFile | Failure {
    const file = this.#host.open(this.hostPath(), flags, mode);
    if (failed(file)) return file;
    const access = flags & O_ACCMODE;
    const { sources } = this.filesystem.options;
    const content = new HostContent(sources, file, this.hostPath(), access !== O_WRONLY, access !== O_RDONLY);
    if ((flags & O_TRUNC) !== 0) content.truncated();
    return new RegularFile(this, content, flags, sources.pageCache);
  }

  override create(name: string, mode: number, _caller: Caller): Inode | Failure {
    if (this.filesystem.readOnly) return -EROFS;
    const file = this.#host.open(this.childPath(name), O_CREAT | O_EXCL | O_WRONLY, mode);
    if (failed(file)) return file;
    file.close();
    return new HostInode(this.filesystem, this, name, S_IFREG, undefined);
  }

  /** Opens a file that `create` has just made: its mode may forbid what its creator may still do. */
  createAndOpen(name: string, flags: number, mode: number): OpenFile | Failure {
    if (this.filesystem.readOnly) return -EROFS;
    return new HostInode(this.filesystem, this, name, S_IFREG, undefined).#openHost(flags | O_CREAT | O_EXCL, mode);
  }

  override makeDirectory(name: string, mode: number, _caller: Caller): 0 | Failure {
    return this.filesystem.readOnly ? -EROFS : this.#host.makeDirectory(this.childPath(name), mode);
  }

  override makeNode(name: string, mode: number, _device: number, caller: Caller): 0 | Failure {
    if (this.filesystem.readOnly) return -EROFS;
    const type = mode & S_IFMT;
    if (type === S_IFIFO) return this.#host.makeFifo(this.childPath(name), mode & 0o7777);
    if (type !== S_IFREG && type !== 0) return -EPERM;
    const made = this.create(name, mode & 0o7777, caller);
    return failed(made) ? made : 0;
  }

  override symlink(name: string, target: string, _caller: Caller): 0 | Failure {
    return this.filesystem.readOnly ? -EROFS : this.#host.symlink(target, this.childPath(name));
  }

  override link(name: string, target: Inode, _caller: Caller): 0 | Failure {
    if (!(target instanceof HostInode) || target.filesystem !== this.filesystem) return -EXDEV;
    if (this.filesystem.readOnly) return -EROFS;
    return this.#host.link(target.hostPath(), this.childPath(name));
  }

  override unlink(name: string, _caller: Caller): 0 | Failure {
    return this.filesystem.readOnly ? -EROFS : this.#host.unlink(this.childPath(name));
  }

  override removeDirectory(name: string, _caller: Caller): 0 | Failure {
    if (this.filesystem.readOnly) return -EROFS;
    const result = this.#host.removeDirectory(this.childPath(name));
    if (result === 0) this.#forget(name);
    return result;
  }

  #forget(name: string): void {
    const child = this.#children.get(name);
    if (child === undefined) return;
    child.removed = true;
    this.#children.delete(name);
  }

  override rename(name: string, to: Inode, toName: string, flags: number, caller: Caller): 0 | Failure {
    if (!(to instanceof HostInode) || to.filesystem !== this.filesystem) return -EXDEV;
    if (this.filesystem.readOnly) return -EROFS;
    const moving = this.#children.get(name);
    if (moving !== undefined && isAncestor(moving, to)) return -EINVAL;
    if ((flags & RENAME_NOREPLACE) !== 0 && !failed(to.lookup(toName, caller))) return -EEXIST;
    if ((flags & RENAME_EXCHANGE) !== 0) return this.#exchange(name, to, toName);
    const result = this.#host.rename(this.childPath(name), to.childPath(toName));
    if (result !== 0) return result;
    to.#forget(toName);
    this.#children.delete(name);
    if (moving !== undefined) to.#adopt(moving, toName);
    return 0;
  }

  #adopt(child: HostInode, name: string): void {
    child.parent = this;
    child.name = name;
    this.#children.set(name, child);
  }

  /** Node has no renameat2: three renames through a free name, so not atomic towards other programs. */
  #exchange(name: string, to: HostInode, toName: string): 0 | Failure {
    const first = this.childPath(name);
    const second = to.childPath(toName);
    if (failed(this.#host.status(second))) return -ENOENT;
    const aside = this.childPath(`.exchange-${name}-${Math.floor(this.filesystem.options.nowMs() * 1000)}`);
    let result = this.#host.rename(first, aside);
    if (result === 0) result = this.#host.rename(second, first);
    if (result === 0) result = this.#host.rename(aside, second);
    const one = this.#children.get(name);
    const other = to.#children.get(toName);
    this.#children.delete(name);
    to.#children.delete(toName);
    if (one !== undefined) to.#adopt(one, toName);
    if (other !== undefined) this.#adopt(other, name);
    return result;
  }

  override readlink(_caller: Caller): string | Failure {
    return this.type === S_IFLNK ? this.#host.readlink(this.hostPath()) : -EINVAL;
  }

  override setMode(mode: number): 0 | Failure {
    this.#status = undefined;
    return this.filesystem.readOnly ? -EROFS : this.#host.setMode(this.hostPath(), mode);
  }

  override setOwner(uid: number, gid: number): 0 | Failure {
    this.#status = undefined;
    return this.filesystem.readOnly ? -EROFS : this.#host.setOwner(this.hostPath(), uid, gid);
  }

  override setTimes(atimeNs: bigint, mtimeNs: bigint): 0 | Failure {
    this.#status = undefined;
    return this.filesystem.readOnly ? -EROFS : this.#host.setTimes(this.hostPath(), atimeNs, mtimeNs);
  }

  override truncate(size: number): 0 | Failure {
    if (this.filesystem.readOnly) return -EROFS;
    const { sources } = this.filesystem.options;
    const status = this.status();
    const result = this.#host.truncate(this.hostPath(), size);
    const source = failed(status) ? undefined : sources.find(status);
    if (result === 0 && source !== undefined) sources.pageCache?.truncate(source, size);
    return result;
  }
}
