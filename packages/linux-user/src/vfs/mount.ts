/** The mount table of a guest: which file system hangs on which name. It has the shape that `doppel run` asks for. */
import { ENOENT, ENOTDIR } from "../kernel/errno.ts";
import { failed, S_IFDIR, type Failure } from "./constants.ts";
import type { Caller, Filesystem, Inode } from "./inode.ts";
import { Tmpfs, type TmpfsOptions } from "./tmpfs.ts";
import { childOf, pathOfFile } from "./walk.ts";

export class MountTable {
  readonly root: Filesystem;
  readonly #mounted: Filesystem[] = [];
  readonly #tmpfs: TmpfsOptions;

  /** `tmpfs` makes the directories on the way to a mount point that does not exist below it. */
  constructor(root: Filesystem, tmpfs: TmpfsOptions) {
    this.root = root;
    this.#tmpfs = tmpfs;
  }

  get filesystems(): readonly Filesystem[] {
    return [this.root, ...this.#mounted];
  }

  /**
   * Mounts on an absolute path of plain names. Missing names become directories: real ones on a tmpfs, else
   * in-memory ones that cover nothing (nothing is created on the host).
   */
  mount(path: string, filesystem: Filesystem, caller: Caller): 0 | Failure {
    const names = path.split("/").filter((name) => name !== "" && name !== ".");
    const last = names.pop();
    if (last === undefined) return -ENOENT;
    let directory: Inode = this.root.root;
    for (const name of names) {
      const next = this.#directory(directory, name, caller);
      if (failed(next)) return next;
      directory = next;
    }
    if (directory.filesystem instanceof Tmpfs && filesystem.root.isDirectory)
      directory.makeDirectory(last, 0o755, caller);
    this.#attach(directory, last, filesystem);
    return 0;
  }

  #directory(directory: Inode, name: string, caller: Caller): Inode | Failure {
    if (directory.filesystem instanceof Tmpfs) directory.makeDirectory(name, 0o755, caller);
    const found = childOf(directory, name, caller);
    if (!failed(found)) return found.type === S_IFDIR ? found : -ENOTDIR;
    if (found !== -ENOENT) return found;
    const cover = new Tmpfs(this.#tmpfs);
    this.#attach(directory, name, cover);
    return cover.root;
  }

  #attach(directory: Inode, name: string, filesystem: Filesystem): void {
    directory.mounts ??= new Map();
    const covered = directory.mounts.get(name);
    if (covered !== undefined) this.#mounted.splice(this.#mounted.indexOf(covered), 1);
    directory.mounts.set(name, filesystem);
    filesystem.mountedOn = { directory, name };
    this.#mounted.push(filesystem);
  }

  /** Where a file system hangs, as a process with that root sees it; undefined when it is not below it. */
  pathOf(filesystem: Filesystem, root: Inode): string | undefined {
    if (filesystem.root === root) return "/";
    const on = filesystem.mountedOn;
    return on === undefined ? undefined : pathOfFile(on.directory, on.name, root);
  }
}
