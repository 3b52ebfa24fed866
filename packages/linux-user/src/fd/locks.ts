/**
 * Advisory locks: flock(2) of descriptions, fcntl(2) record locks of processes, and open file description locks.
 * They hold between guest processes; programs of the host do not see them.
 *
 * Invariant: the ranges of one owner on one file are disjoint and sorted by nothing in particular; no two owners have
 * overlapping ranges unless both are shared.
 */
import { WaitQueue } from "../kernel/wait.ts";

export interface RangeLock {
  /** A process, or an open file description. */
  readonly owner: object;
  readonly exclusive: boolean;
  readonly start: number;
  /** Exclusive; Infinity for "to the end of the file". */
  readonly end: number;
  readonly pid: number;
}

/** All locks of one file. */
export class FileLocks {
  ranges: RangeLock[] = [];
  readonly flocks: Map<object, "shared" | "exclusive"> = new Map();
  readonly queue: WaitQueue = new WaitQueue();

  /** The first lock of somebody else that forbids this one. */
  conflict(wanted: RangeLock): RangeLock | undefined {
    return this.ranges.find(
      (lock) =>
        lock.owner !== wanted.owner &&
        lock.start < wanted.end &&
        wanted.start < lock.end &&
        (lock.exclusive || wanted.exclusive),
    );
  }

  /** Sets or, with `unlock`, clears the range for its owner: what it had there is replaced. */
  set(wanted: RangeLock, unlock: boolean): void {
    const kept: RangeLock[] = [];
    for (const lock of this.ranges) {
      if (lock.owner !== wanted.owner || lock.end <= wanted.start || wanted.end <= lock.start) {
        kept.push(lock);
        continue;
      }
      if (lock.start < wanted.start) kept.push({ ...lock, end: wanted.start });
      if (lock.end > wanted.end) kept.push({ ...lock, start: wanted.end });
    }
    if (!unlock) kept.push(wanted);
    this.ranges = kept;
    this.queue.wakeAll();
  }

  /** Everything of an owner goes: a close of the file (fcntl(2)) or of the description. */
  drop(owner: object): void {
    const had = this.ranges.length;
    this.ranges = this.ranges.filter((lock) => lock.owner !== owner);
    if (this.flocks.delete(owner) || this.ranges.length !== had) this.queue.wakeAll();
  }

  /** flock(2): true when the description has the lock now. */
  tryFlock(owner: object, kind: "shared" | "exclusive"): boolean {
    for (const [other, held] of this.flocks) {
      if (other !== owner && (held === "exclusive" || kind === "exclusive")) return false;
    }
    const before = this.flocks.get(owner);
    this.flocks.set(owner, kind);
    if (before === "exclusive" && kind === "shared") this.queue.wakeAll();
    return true;
  }

  get isEmpty(): boolean {
    return this.ranges.length === 0 && this.flocks.size === 0;
  }
}

/** The locks of all files, by device and inode. */
export class LockTable {
  readonly #files: Map<string, FileLocks> = new Map();

  of(key: string): FileLocks {
    let locks = this.#files.get(key);
    if (locks === undefined) this.#files.set(key, (locks = new FileLocks()));
    return locks;
  }

  /** Drops an owner's locks on a file, and the file when it has none left. */
  drop(key: string, owner: object): void {
    const locks = this.#files.get(key);
    if (locks === undefined) return;
    locks.drop(owner);
    if (locks.isEmpty && locks.queue.size === 0) this.#files.delete(key);
  }

  get isEmpty(): boolean {
    return this.#files.size === 0;
  }
}
