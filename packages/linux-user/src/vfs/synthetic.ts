/** Building blocks of file systems whose files are made up when they are looked at: procfs, sysfs, devfs. */
import { EACCES, EINVAL, EIO, ENOENT, EPERM } from "../kernel/errno.ts";
import type { Task } from "../kernel/task.ts";
import { OpenFile, seekWithin } from "../fd/open-file.ts";
import { DirectoryFile } from "../fd/regular-file.ts";
import { drain, fill, type Transfer } from "../fd/transfer.ts";
import { fromBytes, toBytes } from "./byte-string.ts";
import {
  failed,
  O_ACCMODE,
  O_RDONLY,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  W_OK,
  X_OK,
  type Failure,
} from "./constants.ts";
import {
  Inode,
  type Caller,
  type DirectoryEntry,
  type FileStatus,
  type Filesystem,
  type FilesystemStatus,
  type MagicTarget,
} from "./inode.ts";

let nextDevice = 0x10;

export class SyntheticFilesystem implements Filesystem {
  readonly name: string;
  readonly source: string;
  readonly readOnly = false;
  readonly device: number = nextDevice++;
  readonly magic: number;
  readonly root: SyntheticDirectory;
  /** Wall clock at the mount: the times of its files. */
  readonly mountedNs: bigint;
  mountedOn: { directory: Inode; name: string } | undefined = undefined;

  constructor(name: string, magic: number, mountedNs: bigint, root: DirectoryProvider) {
    this.name = name;
    this.source = name;
    this.magic = magic;
    this.mountedNs = mountedNs;
    this.root = new SyntheticDirectory({ filesystem: this, path: "/" }, root);
  }

  status(): FilesystemStatus {
    return { type: this.magic, blockSize: 4096, blocks: 0, freeBlocks: 0, availableBlocks: 0, files: 0, freeFiles: 0 };
  }
}

/** Where an inode is: the path makes its inode number. */
export interface Place {
  readonly filesystem: SyntheticFilesystem;
  readonly path: string;
}

export interface Ownership {
  readonly uid: number;
  readonly gid: number;
}

/** FNV-1a: a stable inode number for a path. */
function inodeNumber(path: string): bigint {
  let hash = 0x811c9dc5;
  for (let index = 0; index < path.length; index++) hash = Math.imul(hash ^ path.charCodeAt(index), 0x01000193);
  return BigInt(hash >>> 0) + 1n;
}

abstract class SyntheticInode extends Inode {
  readonly filesystem: SyntheticFilesystem;
  readonly place: Place;
  mode: number;
  readonly owner: Ownership;
  readonly device: number;

  constructor(place: Place, mode: number, owner: Ownership = { uid: 0, gid: 0 }, deviceNumber = 0) {
    super(mode);
    this.place = place;
    this.filesystem = place.filesystem;
    this.mode = mode;
    this.owner = owner;
    this.device = deviceNumber;
  }

  override status(): FileStatus {
    const timeNs = this.filesystem.mountedNs;
    const { uid, gid } = this.owner;
    return {
      dev: BigInt(this.filesystem.device),
      ino: inodeNumber(this.place.path),
      mode: this.mode,
      nlink: this.isDirectory ? 2 : 1,
      uid,
      gid,
      rdev: this.device,
      size: this.isSymlink ? 64 : 0,
      blksize: this.type === S_IFREG ? 1024 : 4096,
      blocks: 0,
      atimeNs: timeNs,
      mtimeNs: timeNs,
      ctimeNs: timeNs,
      birthtimeNs: timeNs,
    };
  }

  override access(mode: number, caller: Caller): 0 | Failure {
    const { fsuid, fsgid, groups } = caller.credentials;
    if (fsuid === 0) return (mode & X_OK) !== 0 && !this.isDirectory && (this.mode & 0o111) === 0 ? -EACCES : 0;
    const { uid, gid } = this.owner;
    const shift = fsuid === uid ? 6 : fsgid === gid || groups.includes(gid) ? 3 : 0;
    return (mode & 7 & ~(this.mode >> shift)) !== 0 ? -EACCES : 0;
  }

  override setMode(mode: number): 0 | Failure {
    this.mode = (this.mode & S_IFMT) | (mode & 0o7777);
    return 0;
  }

  override setOwner(): 0 | Failure {
    return -EPERM;
  }

  override setTimes(): 0 {
    return 0;
  }
}

/** Makes the inode of a name. */
export type Builder = (place: Place) => Inode;

export interface DirectoryProvider {
  /** Names with the S_IFMT bits of what they name. */
  list(caller: Caller): Iterable<readonly [name: string, type: number]>;
  lookup(name: string, caller: Caller): Builder | undefined;
  readonly mode?: number;
  readonly owner?: Ownership;
  /** The same name may mean another thing later (process ids): nothing is kept. */
  readonly volatile?: boolean;
}

export class SyntheticDirectory extends SyntheticInode {
  readonly #provider: DirectoryProvider;
  /** Directories that were seen, so that one place is one inode. */
  readonly #known: Map<string, Inode> = new Map();

  constructor(place: Place, provider: DirectoryProvider) {
    super(place, S_IFDIR | (provider.mode ?? 0o555), provider.owner);
    this.#provider = provider;
  }

  override lookup(name: string, caller: Caller): Inode | Failure {
    const build = this.#provider.lookup(name, caller);
    if (build === undefined) {
      this.#known.delete(name);
      return -ENOENT;
    }
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const prefix = this.place.path === "/" ? "" : this.place.path;
    const inode = build({ filesystem: this.filesystem, path: `${prefix}/${name}` });
    if (inode.isDirectory && inode.parent === undefined) {
      inode.parent = this;
      inode.name = name;
      if (this.#provider.volatile !== true) this.#known.set(name, inode);
    }
    return inode;
  }

  override list(caller: Caller): DirectoryEntry[] {
    const prefix = this.place.path === "/" ? "" : this.place.path;
    return Array.from(this.#provider.list(caller), ([name, type]) => ({
      name,
      type,
      ino: inodeNumber(`${prefix}/${name}`),
    }));
  }

  override open(flags: number, _caller: Caller): OpenFile | Failure {
    return (flags & O_ACCMODE) === O_RDONLY ? new DirectoryFile(this, flags) : -EACCES;
  }
}

/** A directory whose names do not change. */
export function fixedDirectory(children: Readonly<Record<string, Builder>>, mode?: number): Builder {
  return (place) => new SyntheticDirectory(place, fixedProvider(children, mode));
}

export function fixedProvider(children: Readonly<Record<string, Builder>>, mode = 0o555): DirectoryProvider {
  const builders = new Map(Object.entries(children));
  const types = new Map<string, number>();
  return {
    mode,
    *list() {
      for (const [name, build] of builders) {
        let type = types.get(name);
        if (type === undefined) types.set(name, (type = typeOf(build)));
        yield [name, type];
      }
    },
    lookup: (name) => builders.get(name),
  };
}

/** The type a builder makes: found by making one, at no place. */
function typeOf(build: Builder): number {
  return build({ filesystem: nowhere, path: "" }).type;
}

export interface TextOptions {
  readonly read: (caller: Caller) => string | Uint8Array | Failure;
  readonly write?: (text: string, caller: Caller) => number;
  readonly mode?: number;
  readonly owner?: Ownership | undefined;
}

/** A file of text that is made when its first byte is read. Text outside ASCII is a byte string. */
export function textFile(options: TextOptions): Builder {
  return (place) => new TextInode(place, options);
}

class TextInode extends SyntheticInode {
  readonly options: TextOptions;

  constructor(place: Place, options: TextOptions) {
    super(place, S_IFREG | (options.mode ?? (options.write === undefined ? 0o444 : 0o644)), options.owner);
    this.options = options;
  }

  override open(flags: number, caller: Caller): OpenFile | Failure {
    const access = flags & O_ACCMODE;
    if (access !== O_RDONLY && this.options.write === undefined) return -EACCES;
    const wanted = access === O_RDONLY ? 4 : access === 1 ? W_OK : 6;
    const allowed = this.access(wanted, caller);
    return failed(allowed) ? allowed : new TextFile(this, flags);
  }

  /** Opening with O_TRUNC, as a shell's `>` does, changes nothing. */
  override truncate(): 0 {
    return 0;
  }
}

class TextFile extends OpenFile {
  readonly #text: TextInode;
  #bytes: Uint8Array | Failure | undefined = undefined;

  constructor(inode: TextInode, flags: number) {
    super(flags);
    this.inode = inode;
    this.#text = inode;
  }

  override get seekable(): boolean {
    return true;
  }

  #content(task: Task | undefined): Uint8Array | Failure {
    if (task !== undefined && (this.#bytes === undefined || this.offset === 0)) {
      const value = this.#text.options.read(task);
      this.#bytes = typeof value === "string" ? toBytes(value) : value;
    }
    return this.#bytes ?? -EIO;
  }

  override read(into: Transfer, task: Task): number {
    const bytes = this.#content(task);
    if (failed(bytes)) return bytes;
    const count = fill(into, bytes.subarray(Math.min(this.offset, bytes.length)));
    this.offset += count;
    return count;
  }

  override readAt(into: Transfer, offset: number, task?: Task): number {
    const bytes = this.#content(task);
    return failed(bytes) ? bytes : fill(into, bytes.subarray(Math.min(offset, bytes.length)));
  }

  override write(from: Transfer, task: Task): number {
    const { write } = this.#text.options;
    if (write === undefined) return -EINVAL;
    const bytes = drain(from, 65536);
    const result = write(fromBytes(bytes), task);
    return result < 0 ? result : bytes.length;
  }

  override writeAt(from: Transfer, _offset: number, task?: Task): number {
    return task === undefined ? -EINVAL : this.write(from, task);
  }

  override seek(offset: number, whence: number): number {
    const size = this.#bytes instanceof Uint8Array ? this.#bytes.length : 0;
    const target = seekWithin(this.offset, size, offset, whence);
    if (target >= 0) this.offset = target;
    return target;
  }

  override truncate(): 0 {
    return 0;
  }
}

export interface LinkOptions {
  readonly target: (caller: Caller) => string | Failure;
  readonly magic?: (caller: Caller) => MagicTarget | Failure;
  readonly owner?: Ownership | undefined;
}

export function link(options: LinkOptions): Builder {
  return (place) => new LinkInode(place, options);
}

class LinkInode extends SyntheticInode {
  readonly #options: LinkOptions;

  constructor(place: Place, options: LinkOptions) {
    super(place, S_IFLNK | 0o777, options.owner);
    this.#options = options;
  }

  override open(): Failure {
    return -EINVAL;
  }

  override readlink(caller: Caller): string | Failure {
    return this.#options.target(caller);
  }

  override magic(caller: Caller): MagicTarget | Failure | undefined {
    return this.#options.magic?.(caller);
  }
}

/** A device node: `open` gives the description. */
export function device(
  type: number,
  number: number,
  mode: number,
  open: (flags: number, caller: Caller, inode: Inode) => OpenFile | Failure,
): Builder {
  return (place) => new DeviceInode(place, type | mode, number, open);
}

class DeviceInode extends SyntheticInode {
  readonly #open: (flags: number, caller: Caller, inode: Inode) => OpenFile | Failure;

  constructor(
    place: Place,
    mode: number,
    number: number,
    open: (flags: number, caller: Caller, inode: Inode) => OpenFile | Failure,
  ) {
    super(place, mode, { uid: 0, gid: 0 }, number);
    this.#open = open;
  }

  override open(flags: number, caller: Caller): OpenFile | Failure {
    const access = flags & O_ACCMODE;
    const allowed = this.access(access === O_RDONLY ? 4 : access === 1 ? 2 : 6, caller);
    return failed(allowed) ? allowed : this.#open(flags, caller, this);
  }

  override truncate(): 0 {
    return 0;
  }
}

const nowhere: SyntheticFilesystem = new SyntheticFilesystem("none", 0, 0n, {
  list: () => [],
  lookup: () => undefined,
});
