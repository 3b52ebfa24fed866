/**
 * What the 9P server shares: objects of a host's file tree, each reached from the directory above it by one name. Nobody can
 * name what is outside: no path is ever resolved, no link followed.
 *
 * Names are bytes, kept as strings of characters 0 to 255. All methods reject with `ShareError`.
 */

/** Linux errno values that this side decides on. */
export const Errno = {
  ENOENT: 2,
  EIO: 5,
  EBADF: 9,
  ENOTDIR: 20,
  EINVAL: 22,
  ENFILE: 23,
  ENAMETOOLONG: 36,
  EOPNOTSUPP: 95,
  ESTALE: 116,
} as const;

export class ShareError extends Error {
  override name = "ShareError";
  /** As Linux numbers them. */
  readonly errno: number;

  constructor(errno: number) {
    super(`errno ${errno}`);
    this.errno = errno;
  }
}

export interface ShareStat {
  readonly device: bigint;
  readonly inode: bigint;
  /** Type and permissions, as st_mode. */
  readonly mode: number;
  readonly links: bigint;
  readonly user: number;
  readonly group: number;
  readonly specialDevice: bigint;
  readonly size: bigint;
  readonly blockBytes: bigint;
  /** Of 512 bytes. */
  readonly blocks: bigint;
  /** Nanoseconds since 1970. */
  readonly accessed: bigint;
  readonly modified: bigint;
  readonly changed: bigint;
}

/** What is to be changed; nothing else is. Times as in `ShareStat`. */
export interface ShareChanges {
  readonly mode?: number;
  readonly user?: number;
  readonly group?: number;
  readonly size?: number;
  readonly accessed?: bigint | "now";
  readonly modified?: bigint | "now";
}

interface ShareInode {
  stat(): Promise<ShareStat>;
  change(changes: ShareChanges): Promise<void>;
  close(): Promise<void>;
}

/** A file, directory or link, held whatever happens to its name. */
export interface ShareObject extends ShareInode {
  /** The object of that name in this directory; a link is the link itself. */
  lookup(name: string): Promise<ShareObject>;
  /** Opens a regular file. Flags as Linux has them. */
  open(flags: number): Promise<ShareFile>;
  /** Makes a regular file in this directory, or opens it. */
  create(name: string, flags: number, mode: number): Promise<ShareFile>;
  /** What is in this directory, but for itself and the one above. */
  list(): Promise<readonly ShareEntry[]>;
  makeDirectory(name: string, mode: number): Promise<void>;
  makeSymbolicLink(name: string, target: string): Promise<void>;
  readSymbolicLink(name: string): Promise<string>;
  /** Gives the file called `name` here another name. */
  link(name: string, directory: ShareObject, newName: string): Promise<void>;
  rename(name: string, directory: ShareObject, newName: string): Promise<void>;
  remove(name: string, isDirectory: boolean): Promise<void>;
  statistics(): Promise<ShareStatistics>;
}

export interface ShareFile extends ShareInode {
  /** At most that many bytes; fewer at the end of the file. */
  read(position: number, length: number): Promise<Uint8Array>;
  write(position: number, data: Uint8Array): Promise<number>;
  sync(dataOnly: boolean): Promise<void>;
}

export interface ShareEntry {
  readonly name: string;
  readonly stat: ShareStat;
}

/** As statfs has them. */
export interface ShareStatistics {
  readonly type: number;
  readonly blockBytes: number;
  readonly blocks: bigint;
  readonly freeBlocks: bigint;
  readonly availableBlocks: bigint;
  readonly files: bigint;
  readonly freeFiles: bigint;
}
