/**
 * Path resolution (path_resolution(7)), one component at a time over our own mount table. The one idea: nothing is
 * ever handed to the host to resolve. Links are read and spliced in here, against the root of the asking process, and
 * ".." climbs inode parents and mounts but never above that root; so no path leaves `--root` or a sandbox.
 */
import { EEXIST, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, EXDEV } from "../kernel/errno.ts";
import { failed, MAX_SYMLINKS, NAME_MAX, PATH_MAX, type Failure } from "./constants.ts";
import type { Caller, Inode, MagicTarget } from "./inode.ts";

/** What fork copies and CLONE_FS shares: root, working directory, umask (fs_struct). */
export class FilesystemContext {
  root: Inode;
  cwd: Inode;
  umask: number;

  constructor(root: Inode, cwd: Inode, umask = 0o022) {
    this.root = root;
    this.cwd = cwd;
    this.umask = umask;
  }

  clone(): FilesystemContext {
    return new FilesystemContext(this.root, this.cwd, this.umask);
  }
}

// openat2(2)
export const RESOLVE_NO_XDEV = 1;
export const RESOLVE_NO_MAGICLINKS = 2;
export const RESOLVE_NO_SYMLINKS = 4;
export const RESOLVE_BENEATH = 8;
export const RESOLVE_IN_ROOT = 16;
export const RESOLVE_CACHED = 32;

export interface WalkOptions {
  /** Where a relative path starts. */
  readonly start: Inode;
  readonly caller: Caller;
  /** Whether a link in the last component is followed. A trailing slash follows it anyway. */
  readonly follow: boolean;
  /** RESOLVE_ bits of openat2(2). */
  readonly resolve?: number;
}

/** Where a path leads. */
export interface Walked {
  /** The directory of the last component. */
  readonly directory: Inode;
  /** The last component; "." or ".." when the path ends so, "" for "/". */
  readonly name: string;
  /** What is there; undefined when only the last component is missing. */
  readonly inode: Inode | undefined;
  /** The path ended in a slash. */
  readonly trailingSlash: boolean;
  /** The last link led to an object (/proc/self/fd/3). */
  readonly magic: MagicTarget | undefined;
}

/** The parent of a directory, across mounts; the top of everything is its own parent. */
export function parentOf(directory: Inode): Inode {
  if (directory.parent !== undefined) return directory.parent;
  return directory.filesystem.mountedOn?.directory ?? directory;
}

function nameOf(directory: Inode): string {
  return directory.parent === undefined ? (directory.filesystem.mountedOn?.name ?? "") : directory.name;
}

/** The absolute path of a directory as seen from `root`; undefined when it is not below it. */
export function pathOfDirectory(directory: Inode, root: Inode): string | undefined {
  const names: string[] = [];
  for (let at = directory; at !== root;) {
    const up = parentOf(at);
    if (up === at) return undefined;
    names.push(nameOf(at));
    at = up;
  }
  return `/${names.reverse().join("/")}`;
}

/** The path of a file by where it was found. */
export function pathOfFile(directory: Inode, name: string, root: Inode): string | undefined {
  const path = pathOfDirectory(directory, root);
  if (path === undefined) return undefined;
  return path === "/" ? `/${name}` : `${path}/${name}`;
}

/** A child by name, mounts first. */
export function childOf(directory: Inode, name: string, caller: Caller): Inode | Failure {
  return directory.mounts?.get(name)?.root ?? directory.lookup(name, caller);
}

class Walk {
  readonly root: Inode;
  readonly options: WalkOptions;
  readonly resolve: number;
  /** Components still to go, the next one last. */
  readonly pending: string[] = [];
  at: Inode;
  directory: Inode;
  name = "";
  links = 0;
  magic: MagicTarget | undefined = undefined;
  trailingSlash = false;

  constructor(context: FilesystemContext, path: string, options: WalkOptions) {
    this.resolve = options.resolve ?? 0;
    this.root = (this.resolve & (RESOLVE_IN_ROOT | RESOLVE_BENEATH)) !== 0 ? options.start : context.root;
    this.options = options;
    this.at = path.startsWith("/") ? this.root : options.start;
    this.directory = this.at;
    this.trailingSlash = path.endsWith("/");
    this.push(path);
  }

  private push(path: string): void {
    const names = path.split("/");
    for (let index = names.length - 1; index >= 0; index--) {
      if (names[index] !== "") this.pending.push(names[index]);
    }
  }

  run(): Walked | Failure {
    for (let name = this.pending.pop(); name !== undefined; name = this.pending.pop()) {
      const result = this.component(name);
      if (result === "missing") return this.result(undefined);
      if (result !== 0) return result;
    }
    if (this.trailingSlash && !this.at.isDirectory) return -ENOTDIR;
    return this.result(this.at);
  }

  private result(inode: Inode | undefined): Walked {
    const { directory, name, trailingSlash, magic } = this;
    return { directory, name, inode, trailingSlash, magic };
  }

  private component(name: string): 0 | "missing" | Failure {
    if (!this.at.isDirectory) return -ENOTDIR;
    if (name.length > NAME_MAX) return -ENAMETOOLONG;
    this.name = name;
    this.magic = undefined;
    this.directory = this.at;
    if (name === ".") return 0;
    if (name === "..") return this.up();
    const last = this.pending.length === 0;
    const mounted = this.at.mounts?.get(name);
    if (mounted !== undefined) {
      if ((this.resolve & RESOLVE_NO_XDEV) !== 0) return -EXDEV;
      this.at = mounted.root;
      return 0;
    }
    const next = last ? this.at.lookup(name, this.options.caller) : this.at.step(name, this.options.caller);
    if (failed(next)) return next === -ENOENT && last && !this.at.removed ? "missing" : next;
    if (next.isSymlink && (!last || this.options.follow || this.trailingSlash)) return this.link(next);
    this.at = next;
    return 0;
  }

  private up(): 0 | Failure {
    if (this.at === this.root) return (this.resolve & RESOLVE_BENEATH) !== 0 ? -EXDEV : 0;
    const crossing = this.at.parent === undefined;
    if (crossing && (this.resolve & RESOLVE_NO_XDEV) !== 0) return -EXDEV;
    this.at = parentOf(this.at);
    this.directory = this.at;
    return 0;
  }

  private link(link: Inode): 0 | Failure {
    if ((this.resolve & RESOLVE_NO_SYMLINKS) !== 0 || ++this.links > MAX_SYMLINKS) return -ELOOP;
    const magic = link.magic(this.options.caller);
    if (magic !== undefined) return this.jump(magic);
    const target = link.readlink(this.options.caller);
    if (failed(target)) return target;
    if (target === "") return -ENOENT;
    if (target.length >= PATH_MAX) return -ENAMETOOLONG;
    if (target.startsWith("/")) {
      if ((this.resolve & RESOLVE_BENEATH) !== 0) return -EXDEV;
      this.at = this.root;
    }
    if (this.pending.length === 0 && target.endsWith("/")) this.trailingSlash = true;
    this.push(target);
    return 0;
  }

  private jump(magic: MagicTarget | Failure): 0 | Failure {
    if (failed(magic)) return magic;
    if ((this.resolve & RESOLVE_NO_MAGICLINKS) !== 0) return -ELOOP;
    if ((this.resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT)) !== 0) return -EXDEV;
    this.at = magic.inode;
    this.magic = magic;
    return 0;
  }
}

/** Resolves `path` for a process with `context`. A missing last component is not an error here; see {@link Walked}. */
export function walk(context: FilesystemContext, path: string, options: WalkOptions): Walked | Failure {
  if (path === "") return -ENOENT;
  if (path.length >= PATH_MAX) return -ENAMETOOLONG;
  return new Walk(context, path, options).run();
}

/** As {@link walk}, for something that must exist. */
export function walkExisting(
  context: FilesystemContext,
  path: string,
  options: WalkOptions,
): (Walked & { inode: Inode }) | Failure {
  const walked = walk(context, path, options);
  if (failed(walked)) return walked;
  return walked.inode === undefined ? -ENOENT : (walked as Walked & { inode: Inode });
}

/** As {@link walk}, for a name that is to be made: EEXIST when it is there (mkdir(2), link(2), symlink(2)). */
export function walkNew(context: FilesystemContext, path: string, options: WalkOptions): Walked | Failure {
  const walked = walk(context, path, options);
  if (failed(walked)) return walked;
  return walked.inode === undefined ? walked : -EEXIST;
}
