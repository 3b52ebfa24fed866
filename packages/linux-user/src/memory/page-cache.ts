// File pages in guest-physical memory: the same page of the same file is the same physical page for every process,
// so that libc's text is read once and translated once, and shared mappings are shared.
//
// Invariants: the cache holds each of its pages once (PageFrames); a page is in `dirty` when some shared mapping may
// write it without telling; a file on no mapping has no dirty page.

import { ENOMEM } from "../kernel/errno.ts";
import type { PageCache as PageCachePort, PageSource } from "../kernel/memory.ts";
import { PAGE_BYTES } from "../engine-port.ts";
import type { AddressSpace } from "./address-space.ts";
import type { PageFrames } from "./page-frames.ts";

/** `CachedFile.page`: reading failed, or the page is past the end (SIGBUS). */
export const PAGE_UNREADABLE = -1;

export class CachedFile {
  readonly source: PageSource;
  readonly #frames: PageFrames;
  readonly #cache: PageCache;
  /** File page index -> guest-physical page. */
  readonly pages: Map<number, number> = new Map();
  readonly dirty: Set<number> = new Set();
  mappings = 0;
  version: string | undefined;

  constructor(source: PageSource, frames: PageFrames, cache: PageCache) {
    this.source = source;
    this.#frames = frames;
    this.#cache = cache;
    this.version = source.version?.();
  }

  attach(): void {
    if (this.mappings++ === 0) this.source.mapped?.();
  }

  detach(): void {
    if (--this.mappings > 0) return;
    this.#cache.flushFile(this);
    this.source.unmapped?.();
    if (this.forgotten) this.drop();
  }

  /** Nobody can open the file any more; its pages go with its last mapping. */
  forgotten = false;

  /** The physical page of file page `index`, read in if need be; 0 out of memory, PAGE_UNREADABLE. Holds nothing. */
  page(index: number): number {
    const cached = this.pages.get(index);
    if (cached !== undefined) return cached;
    const offset = index * PAGE_BYTES;
    if (offset >= this.source.sizeBytes()) return PAGE_UNREADABLE;
    const page = this.#frames.allocate();
    if (page === 0) return 0;
    if (this.source.memoryOnly !== true) {
      this.#frames.memory.noteWrite(page, 0, PAGE_BYTES);
      const count = this.source.readAt(offset, this.#frames.bytesOf(page));
      if (count < 0) {
        this.#frames.release(page);
        return PAGE_UNREADABLE;
      }
    }
    this.pages.set(index, page);
    return page;
  }

  /** Reads the cached pages again in place (somebody else changed the file), or drops them when nobody maps them. */
  refresh(): void {
    const version = this.source.version?.();
    if (version === this.version || this.source.memoryOnly === true) return;
    this.version = version;
    this.#cache.flushFile(this);
    for (const [index, page] of this.pages) {
      if (this.#frames.holders(page) === 1) {
        this.pages.delete(index);
        this.#frames.release(page);
        continue;
      }
      this.#frames.memory.noteWrite(page, 0, PAGE_BYTES);
      const bytes = this.#frames.bytesOf(page);
      const count = Math.max(0, this.source.readAt(index * PAGE_BYTES, bytes));
      bytes.fill(0, count);
    }
  }

  drop(): void {
    for (const page of this.pages.values()) this.#frames.release(page);
    this.pages.clear();
    this.dirty.clear();
  }
}

export class PageCache implements PageCachePort {
  readonly #frames: PageFrames;
  readonly #files: Map<PageSource, CachedFile> = new Map();
  /** Every living address space: truncation and write-back must find who maps a file. */
  readonly spaces: Set<AddressSpace> = new Set();

  constructor(frames: PageFrames) {
    this.#frames = frames;
    frames.reclaim = () => this.#reclaim();
  }

  /** The cached file, made at need; what is cached under an old version is read again. */
  file(source: PageSource): CachedFile {
    let file = this.#files.get(source);
    if (file === undefined) {
      file = new CachedFile(source, this.#frames, this);
      this.#files.set(source, file);
    } else {
      file.refresh();
    }
    return file;
  }

  isCached(source: PageSource): boolean {
    const file = this.#files.get(source);
    return file !== undefined && file.pages.size > 0;
  }

  write(source: PageSource, offset: number, bytes: Uint8Array): number {
    if (source.memoryOnly !== true && !this.isCached(source)) return bytes.length;
    const file = this.file(source);
    for (let done = 0; done < bytes.length;) {
      const at = offset + done;
      const index = Math.floor(at / PAGE_BYTES);
      const within = at % PAGE_BYTES;
      const count = Math.min(PAGE_BYTES - within, bytes.length - done);
      let page = file.pages.get(index);
      if (page === undefined && source.memoryOnly === true) {
        page = this.#frames.allocate();
        if (page === 0) return done > 0 ? done : -ENOMEM;
        file.pages.set(index, page);
      }
      if (page !== undefined) {
        this.#frames.memory.noteWrite(page, within, count);
        this.#frames.bytesOf(page).set(bytes.subarray(done, done + count), within);
      }
      done += count;
    }
    // Our own write is no reason to read the pages again.
    file.version = source.version?.();
    return bytes.length;
  }

  read(source: PageSource, offset: number, into: Uint8Array): void {
    const file = this.#files.get(source);
    for (let done = 0; done < into.length;) {
      const at = offset + done;
      const within = at % PAGE_BYTES;
      const count = Math.min(PAGE_BYTES - within, into.length - done);
      const page = file?.pages.get(Math.floor(at / PAGE_BYTES));
      if (page === undefined) into.fill(0, done, done + count);
      else into.set(this.#frames.bytesOf(page).subarray(within, within + count), done);
      done += count;
    }
  }

  flush(source: PageSource): void {
    const file = this.#files.get(source);
    if (file !== undefined) this.flushFile(file);
  }

  /** Writes dirty pages back and takes the right to write from their mappings, so that new writes are seen. */
  flushFile(file: CachedFile): void {
    if (file.dirty.size === 0) return;
    for (const space of this.spaces) space.protectSharedPages(file);
    const size = file.source.sizeBytes();
    for (const index of file.dirty) {
      const page = file.pages.get(index);
      const offset = index * PAGE_BYTES;
      if (page === undefined || offset >= size) continue;
      file.source.writeAt?.(offset, this.#frames.bytesOf(page).subarray(0, Math.min(PAGE_BYTES, size - offset)));
    }
    file.dirty.clear();
    file.version = file.source.version?.();
  }

  truncate(source: PageSource, sizeBytes: number): void {
    const file = this.#files.get(source);
    if (file === undefined || file.pages.size === 0) return;
    const keep = Math.ceil(sizeBytes / PAGE_BYTES);
    for (const space of this.spaces) space.dropFilePages(file, keep);
    for (const [index, page] of file.pages) {
      if (index >= keep) {
        file.pages.delete(index);
        file.dirty.delete(index);
        this.#frames.release(page);
      } else if (index === keep - 1 && sizeBytes % PAGE_BYTES !== 0) {
        const from = sizeBytes % PAGE_BYTES;
        this.#frames.memory.noteWrite(page, from, PAGE_BYTES - from);
        this.#frames.bytesOf(page).fill(0, from);
      }
    }
    file.version = source.version?.();
  }

  forget(source: PageSource): void {
    const file = this.#files.get(source);
    if (file === undefined) return;
    this.#files.delete(source);
    file.forgotten = true;
    if (file.mappings === 0) file.drop();
  }

  cachedPages(): number {
    let count = 0;
    for (const file of this.#files.values()) count += file.pages.size;
    return count;
  }

  /** Frees the clean pages that only the cache holds. */
  #reclaim(): boolean {
    let freed = 0;
    for (const file of this.#files.values()) {
      if (file.source.memoryOnly === true) continue;
      for (const [index, page] of file.pages) {
        if (this.#frames.holders(page) > 1 || file.dirty.has(index)) continue;
        file.pages.delete(index);
        this.#frames.release(page);
        freed++;
      }
    }
    return freed > 0;
  }
}
