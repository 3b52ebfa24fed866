/** Open host files and their place in the page cache. */
import { EIO, ESTALE } from "../kernel/errno.ts";
import type { PageCache, PageSource } from "../kernel/memory.ts";
import type { FileContent } from "../fd/regular-file.ts";
import { failed, type Failure } from "./constants.ts";
import type { HostFile, HostStatus } from "./host.ts";
import type { FileStatus } from "./inode.ts";

/** Files that were mapped, by device and inode; they stay, so that a page of libc is the same page for all processes. */
export class HostSources {
  readonly pageCache: PageCache | undefined;
  readonly files: Map<string, HostPageSource> = new Map();

  constructor(pageCache: PageCache | undefined) {
    this.pageCache = pageCache;
  }

  find(status: HostStatus): HostPageSource | undefined {
    return this.files.get(sourceKey(status));
  }
}

function sourceKey(status: HostStatus): string {
  return `${status.dev}:${status.ino}`;
}

/** An open host file. */
export class HostContent implements FileContent {
  readonly inMemory = false;
  readonly #sources: HostSources;
  readonly #path: string;
  readonly file: HostFile;
  readonly readable: boolean;
  readonly writable: boolean;
  #source: HostPageSource | undefined = undefined;
  #key: string | undefined = undefined;

  constructor(sources: HostSources, file: HostFile, path: string, readable: boolean, writable: boolean) {
    this.#sources = sources;
    this.#path = path;
    this.file = file;
    this.readable = readable;
    this.writable = writable;
    if (writable && sources.files.size > 0) this.pageSource(false);
  }

  size(): number | Failure {
    return this.file.size();
  }

  read(into: Uint8Array, offset: number): number | Failure {
    return this.file.read(into, offset);
  }

  write(from: Uint8Array, offset: number): number | Failure {
    return this.file.write(from, offset);
  }

  truncate(size: number): 0 | Failure {
    return this.file.truncate(size);
  }

  /** The host has emptied it at open (O_TRUNC): so must the pages be. */
  truncated(): void {
    const source = this.pageSource(false);
    if (source !== undefined) this.#sources.pageCache?.truncate(source, 0);
  }

  sync(dataOnly: boolean): 0 | Failure {
    return this.file.sync(dataOnly);
  }

  status(): FileStatus | Failure {
    return this.file.status();
  }

  setMode(mode: number): 0 | Failure {
    return this.file.setMode(mode);
  }

  setOwner(uid: number, gid: number): 0 | Failure {
    return this.file.setOwner(uid, gid);
  }

  setTimes(atimeNs: bigint, mtimeNs: bigint): 0 | Failure {
    return this.file.setTimes(atimeNs, mtimeNs);
  }

  pageSource(create: boolean): PageSource | undefined {
    if (this.#source !== undefined) return this.#source;
    if (this.#sources.files.size === 0 && !create) return undefined;
    if (this.#key === undefined) {
      const status = this.file.status();
      if (failed(status)) return undefined;
      this.#key = sourceKey(status);
    }
    let source = this.#sources.files.get(this.#key);
    if (source === undefined && create) {
      source = new HostPageSource(this.#path, this.#key);
      this.#sources.files.set(this.#key, source);
    }
    if (source === undefined) return undefined;
    this.#source = source;
    source.attach(this);
    return source;
  }

  close(): void {
    if (this.#source !== undefined) {
      if (this.writable) this.#sources.pageCache?.flush(this.#source);
      if (this.#source.keep(this)) return;
      this.#source.detach(this);
    }
    this.file.close();
  }
}

/**
 * A host file in the page cache. It reads through any description that is open on it; while the file is mapped, those
 * that are closed are kept, so that there is one whenever a page may be asked for.
 */
export class HostPageSource implements PageSource {
  readonly name: string;
  readonly device: number;
  readonly inode: number;
  readonly #contents: Set<HostContent> = new Set();
  readonly #kept: Set<HostContent> = new Set();
  #mapped = false;

  constructor(name: string, key: string) {
    this.name = name;
    const [device, inode] = key.split(":");
    this.device = Number(device);
    this.inode = Number(inode);
  }

  mapped(): void {
    this.#mapped = true;
  }

  unmapped(): void {
    this.#mapped = false;
    for (const content of this.#kept) {
      this.detach(content);
      content.file.close();
    }
    this.#kept.clear();
  }

  /** Takes over a description that its last holder closes, when mappings may need it. */
  keep(content: HostContent): boolean {
    if (!this.#mapped) return false;
    const enough = [...this.#kept].some((kept) => kept.writable || kept.writable === content.writable);
    if (enough) return false;
    this.#kept.add(content);
    return true;
  }

  attach(content: HostContent): void {
    this.#contents.add(content);
  }

  detach(content: HostContent): void {
    this.#contents.delete(content);
  }

  #any(): HostContent | undefined {
    for (const content of this.#contents) {
      if (content.readable) return content;
    }
    return undefined;
  }

  sizeBytes(): number {
    const size = this.#any()?.size() ?? 0;
    return size < 0 ? 0 : size;
  }

  readAt(offset: number, into: Uint8Array): number {
    return this.#any()?.read(into, offset) ?? -ESTALE;
  }

  writeAt(offset: number, from: Uint8Array): number {
    for (const content of this.#contents) {
      if (content.writable) return content.write(from, offset);
    }
    return -EIO;
  }

  version(): string {
    const status = this.#any()?.status();
    return status === undefined || failed(status) ? "" : `${status.mtimeNs}:${status.ctimeNs}:${status.size}`;
  }
}
