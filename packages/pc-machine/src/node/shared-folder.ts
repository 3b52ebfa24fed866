/**
 * A folder of the host for the 9P server. An object is a descriptor that was opened for its path alone (O_PATH), without
 * following a link; what is in a directory is reached through that descriptor (`/proc/self/fd/N/name`) by one name, as
 * openat would. So no name and no link, and nobody who swaps them, leads out of the folder.
 */

import * as fs from "node:fs/promises";
import { constants } from "node:fs";
import type { BigIntStats } from "node:fs";
import { ShareError, Errno } from "../9p/share.ts";
import type { ShareChanges, ShareEntry, ShareFile, ShareObject, ShareStat, ShareStatistics } from "../9p/share.ts";

/** What Node does not name: open(2) for its path alone. */
const O_PATH = 0o10000000;
/** Flags that a guest may open with: access mode, create, exclusive, truncate, append, synchronous. */
const allowedFlags =
  0o3 |
  constants.O_CREAT |
  constants.O_EXCL |
  constants.O_TRUNC |
  constants.O_APPEND |
  constants.O_SYNC |
  constants.O_DSYNC;
/** A guest gives nobody on the host another user's rights: no set-user-ID, no set-group-ID. */
const allowedMode = 0o1777;

/**
 * Opens a folder to share. Closing what is returned ends that.
 *
 * @throws what `fs.open` rejects with; ENOTDIR when it is no folder
 */
export async function openSharedFolder(path: string): Promise<ShareObject> {
  return new SharedObject(await fs.open(path, O_PATH | constants.O_DIRECTORY));
}

abstract class Inode {
  readonly handle: fs.FileHandle;

  constructor(handle: fs.FileHandle) {
    this.handle = handle;
  }

  /** This very object, by a path. */
  protected get path(): string {
    return `/proc/self/fd/${this.handle.fd}`;
  }

  stat(): Promise<ShareStat> {
    return attempt(async () => statOf(await this.handle.stat({ bigint: true })));
  }

  async change(changes: ShareChanges): Promise<void> {
    const { mode, user, group, size, accessed, modified } = changes;
    await attempt(async () => {
      if (size !== undefined) await this.truncate(size);
      if (user !== undefined || group !== undefined) await this.#own(user, group);
      if (mode !== undefined) await fs.chmod(this.path, mode & allowedMode);
      if (accessed !== undefined || modified !== undefined) {
        const stat = await this.handle.stat({ bigint: true });
        await fs.utimes(this.path, seconds(accessed ?? stat.atimeNs), seconds(modified ?? stat.mtimeNs));
      }
    });
  }

  async close(): Promise<void> {
    await attempt(() => this.handle.close());
  }

  protected abstract truncate(size: number): Promise<void>;

  /** A host's user who may not give files away keeps them; the guest need not care. */
  async #own(user: number | undefined, group: number | undefined): Promise<void> {
    const stat = await this.handle.stat();
    try {
      await fs.chown(this.path, user ?? stat.uid, group ?? stat.gid);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EPERM") throw error;
    }
  }
}

class SharedObject extends Inode implements ShareObject {
  async lookup(name: string): Promise<ShareObject> {
    return new SharedObject(await attempt(() => fs.open(this.#child(name), O_PATH | constants.O_NOFOLLOW)));
  }

  open(flags: number): Promise<ShareFile> {
    return attempt(async () => {
      // Opening a pipe waits, and opening a device does what the device likes.
      if (!(await this.handle.stat()).isFile()) throw new ShareError(Errno.EOPNOTSUPP);
      return new SharedFile(await fs.open(this.path, flags & allowedFlags & ~constants.O_CREAT));
    });
  }

  create(name: string, flags: number, mode: number): Promise<ShareFile> {
    return attempt(async () => {
      const guarded = (flags & allowedFlags) | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK;
      const handle = await fs.open(this.#child(name), guarded, mode & allowedMode);
      if ((await handle.stat()).isFile()) return new SharedFile(handle);
      await handle.close();
      throw new ShareError(Errno.EOPNOTSUPP);
    });
  }

  list(): Promise<readonly ShareEntry[]> {
    return attempt(async () => {
      const names = await fs.readdir(this.path, { encoding: "latin1" });
      const entries = await Promise.all(names.map((name) => this.#entry(name)));
      return entries.filter((entry) => entry !== undefined);
    });
  }

  makeDirectory(name: string, mode: number): Promise<void> {
    return attempt(async () => {
      await fs.mkdir(this.#child(name), mode & allowedMode);
    });
  }

  makeSymbolicLink(name: string, target: string): Promise<void> {
    return attempt(() => fs.symlink(Buffer.from(target, "latin1"), this.#child(name)));
  }

  readSymbolicLink(name: string): Promise<string> {
    return attempt(() => fs.readlink(this.#child(name), "latin1"));
  }

  link(name: string, directory: ShareObject, newName: string): Promise<void> {
    return attempt(() => fs.link(this.#child(name), (directory as SharedObject).#child(newName)));
  }

  rename(name: string, directory: ShareObject, newName: string): Promise<void> {
    return attempt(() => fs.rename(this.#child(name), (directory as SharedObject).#child(newName)));
  }

  remove(name: string, isDirectory: boolean): Promise<void> {
    return attempt(() => (isDirectory ? fs.rmdir(this.#child(name)) : fs.unlink(this.#child(name))));
  }

  statistics(): Promise<ShareStatistics> {
    return attempt(async () => {
      const told = await fs.statfs(this.path, { bigint: true });
      return {
        type: Number(BigInt.asUintN(32, told.type)),
        blockBytes: Number(told.bsize),
        blocks: told.blocks,
        freeBlocks: told.bfree,
        availableBlocks: told.bavail,
        files: told.files,
        freeFiles: told.ffree,
      };
    });
  }

  protected override async truncate(size: number): Promise<void> {
    if (!(await this.handle.stat()).isFile()) throw new ShareError(Errno.EINVAL);
    await fs.truncate(this.path, size);
  }

  /** The server has made sure that the name is one. */
  #child(name: string): Buffer {
    return Buffer.from(`${this.path}/${name}`, "latin1");
  }

  /** What has gone between the list and now is not in it. */
  async #entry(name: string): Promise<ShareEntry | undefined> {
    try {
      return { name, stat: statOf(await fs.lstat(this.#child(name), { bigint: true })) };
    } catch {
      return undefined;
    }
  }
}

class SharedFile extends Inode implements ShareFile {
  read(position: number, length: number): Promise<Uint8Array> {
    return attempt(async () => {
      const bytes = new Uint8Array(length);
      const { bytesRead } = await this.handle.read(bytes, 0, length, position);
      return bytes.subarray(0, bytesRead);
    });
  }

  write(position: number, data: Uint8Array): Promise<number> {
    return attempt(async () => (await this.handle.write(data, 0, data.length, position)).bytesWritten);
  }

  sync(dataOnly: boolean): Promise<void> {
    return attempt(() => (dataOnly ? this.handle.datasync() : this.handle.sync()));
  }

  protected override truncate(size: number): Promise<void> {
    return this.handle.truncate(size);
  }
}

function statOf(stat: BigIntStats): ShareStat {
  return {
    device: stat.dev,
    inode: stat.ino,
    mode: Number(stat.mode),
    links: stat.nlink,
    user: Number(stat.uid),
    group: Number(stat.gid),
    specialDevice: stat.rdev,
    size: stat.size,
    blockBytes: stat.blksize,
    blocks: stat.blocks,
    accessed: stat.atimeNs,
    modified: stat.mtimeNs,
    changed: stat.ctimeNs,
  };
}

function seconds(time: bigint | "now"): number {
  return time === "now" ? Date.now() / 1000 : Number(time) / 1e9;
}

/** A call to the host, whose errors become the share's. */
async function attempt<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { errno, code } = error as NodeJS.ErrnoException;
    if (error instanceof ShareError || code === undefined) throw error;
    throw new ShareError(errno === undefined ? Errno.EIO : -errno);
  }
}
