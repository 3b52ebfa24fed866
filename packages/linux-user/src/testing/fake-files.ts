// The least of a file system that the kernel's core needs, for its tests.

import { EACCES, EBADF, EMFILE, ENOENT } from "../kernel/errno.ts";
import type { ExecutableFile, FilesystemContext, FilesystemPort, FileTable, OpenFile } from "../kernel/files.ts";
import type { PageSource } from "../kernel/memory.ts";

export class FakeSource implements PageSource {
  readonly name: string;
  readonly device = 1;
  readonly inode = 1;
  content: Uint8Array;
  reads = 0;

  constructor(name: string, content: Uint8Array) {
    this.name = name;
    this.content = content;
  }

  sizeBytes(): number {
    return this.content.length;
  }

  readAt(offset: number, into: Uint8Array): number {
    this.reads++;
    const piece = this.content.subarray(offset, offset + into.length);
    into.set(piece);
    return piece.length;
  }

  writeAt(offset: number, from: Uint8Array): number {
    this.content.set(from, offset);
    return from.length;
  }
}

export class FakeFiles implements FileTable {
  readonly files: Map<number, OpenFile> = new Map();
  users = 1;

  get(fd: number): OpenFile | undefined {
    return this.files.get(fd);
  }

  install(file: OpenFile, options: { readonly from?: number; readonly limit: number }): number {
    let fd = options.from ?? 0;
    while (this.files.has(fd)) fd++;
    if (fd >= options.limit) return -EMFILE;
    this.files.set(fd, file);
    return fd;
  }

  close(fd: number): number {
    return this.files.delete(fd) ? 0 : -EBADF;
  }

  clone(): FakeFiles {
    const copy = new FakeFiles();
    for (const [fd, file] of this.files) {
      file.retain();
      copy.files.set(fd, file);
    }
    return copy;
  }

  closeOnExec(): void {}

  retain(): void {
    this.users++;
  }

  release(): void {
    if (--this.users > 0) return;
    for (const file of this.files.values()) file.release();
    this.files.clear();
  }
}

export class FakeContextOfFiles implements FilesystemContext {
  umask = 0o022;

  clone(): FakeContextOfFiles {
    return new FakeContextOfFiles();
  }
}

export class FakeFilesystem implements FilesystemPort {
  readonly sources: Map<string, FakeSource> = new Map();

  add(path: string, content: Uint8Array | string): FakeSource {
    const source = new FakeSource(path, typeof content === "string" ? new TextEncoder().encode(content) : content);
    this.sources.set(path, source);
    return source;
  }

  openExecutable(_task: unknown, _directory: number, path: string): ExecutableFile | number {
    const source = this.sources.get(path);
    if (source === undefined) return path.startsWith("/forbidden") ? -EACCES : -ENOENT;
    return { path, source, setUserId: null, setGroupId: null, release: () => {} };
  }
}
