// Memory that processes share and no file names: MAP_SHARED | MAP_ANONYMOUS. Its pages live in the page cache under
// an object of their own, until the last mapping goes.

import type { PageSource } from "../kernel/memory.ts";
import type { CachedFile, PageCache } from "./page-cache.ts";

export class AnonymousSource implements PageSource {
  readonly name = "/dev/zero (deleted)";
  readonly device = 1;
  readonly inode: number;
  readonly memoryOnly = true;
  readonly #bytes: number;

  constructor(bytes: number, inode: number) {
    this.#bytes = bytes;
    this.inode = inode;
  }

  sizeBytes(): number {
    return this.#bytes;
  }

  /** Never asked: what is not in the cache is zeros. */
  readAt(): number {
    return 0;
  }
}

let lastInode = 1024;

export function sharedAnonymous(cache: PageCache, bytes: number): CachedFile {
  const source = new AnonymousSource(bytes, ++lastInode);
  const file = cache.file(source);
  // Nobody can open it: the mappings alone keep it.
  cache.forget(source);
  return file;
}
