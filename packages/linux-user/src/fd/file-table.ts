/** The descriptors of a process: small integers to open file descriptions, and the close-on-exec bit of each. */
import { EBADF, EINVAL, EMFILE } from "../kernel/errno.ts";
import type { FileTable as FileTablePort, OpenFile as MappableFile } from "../kernel/files.ts";
import type { OpenFile } from "./open-file.ts";

export interface InstallOptions {
  readonly closeOnExec: boolean;
  /** Lowest descriptor to give; default 0. */
  readonly from?: number;
  /** RLIMIT_NOFILE: descriptors are below it. */
  readonly limit: number;
}

/** Invariant: `#lowestFree` is not above the lowest free descriptor. */
export class FileTable implements FileTablePort {
  readonly #files: (OpenFile | undefined)[] = [];
  readonly #closeOnExec: Set<number> = new Set();
  /** Run when a descriptor is closed: POSIX locks of the process go with any close of the file. */
  onClose: ((file: OpenFile) => void) | undefined = undefined;
  #lowestFree = 0;
  #users = 1;

  get(fd: number): OpenFile | undefined {
    return fd >= 0 ? this.#files[fd] : undefined;
  }

  install(file: MappableFile, options: InstallOptions): number {
    const from = options.from ?? 0;
    let fd = Math.max(from, this.#lowestFree);
    while (this.#files[fd] !== undefined) fd++;
    if (fd >= options.limit) return -EMFILE;
    if (from <= this.#lowestFree) this.#lowestFree = fd + 1;
    this.#set(fd, file as OpenFile, options.closeOnExec);
    return fd;
  }

  #set(fd: number, file: OpenFile, closeOnExec: boolean): void {
    while (this.#files.length < fd) this.#files.push(undefined);
    this.#files[fd] = file;
    if (closeOnExec) this.#closeOnExec.add(fd);
    else this.#closeOnExec.delete(fd);
  }

  /** dup2, dup3: `fd` now names `file` (one hold taken over); what it named before is closed. */
  replace(fd: number, file: OpenFile, closeOnExec: boolean, limit: number): number {
    if (fd < 0 || fd >= limit) return -EBADF;
    const previous = this.#files[fd];
    this.#set(fd, file, closeOnExec);
    if (previous !== undefined) this.#drop(previous);
    return fd;
  }

  close(fd: number): number {
    const file = this.get(fd);
    if (file === undefined) return -EBADF;
    this.#files[fd] = undefined;
    this.#closeOnExec.delete(fd);
    if (fd < this.#lowestFree) this.#lowestFree = fd;
    const result = file.flushed();
    this.#drop(file);
    return result;
  }

  #drop(file: OpenFile): void {
    this.onClose?.(file);
    file.release();
  }

  /** close_range(2). */
  closeRange(first: number, last: number, closeOnExecOnly: boolean): number {
    if (first > last) return -EINVAL;
    for (let fd = first; fd <= Math.min(last, this.#files.length - 1); fd++) {
      if (this.#files[fd] === undefined) continue;
      if (closeOnExecOnly) this.#closeOnExec.add(fd);
      else this.close(fd);
    }
    return 0;
  }

  isCloseOnExec(fd: number): boolean {
    return this.#closeOnExec.has(fd);
  }

  setCloseOnExec(fd: number, on: boolean): void {
    if (on) this.#closeOnExec.add(fd);
    else this.#closeOnExec.delete(fd);
  }

  /** Open descriptors in ascending order. */
  descriptors(): number[] {
    const result: number[] = [];
    for (let fd = 0; fd < this.#files.length; fd++) {
      if (this.#files[fd] !== undefined) result.push(fd);
    }
    return result;
  }

  clone(): FileTable {
    const copy = new FileTable();
    for (const fd of this.descriptors()) {
      const file = this.#files[fd]!;
      file.retain();
      copy.#set(fd, file, this.#closeOnExec.has(fd));
    }
    copy.#lowestFree = this.#lowestFree;
    return copy;
  }

  closeOnExec(): void {
    for (const fd of [...this.#closeOnExec]) this.close(fd);
  }

  retain(): void {
    this.#users++;
  }

  release(): void {
    if (--this.#users !== 0) return;
    for (const fd of this.descriptors()) this.close(fd);
  }
}
