// What handlers see of a process's memory. Faulting pages in, copy-on-write and the notification that discards
// translated code happen inside; a bad address throws `SyscallError(EFAULT)`, which the dispatcher returns.

export interface UserMemory {
  /**
   * The guest bytes at `address` as pieces of guest-physical pages, without a copy, in order. They are good until
   * this handler or retry returns: never keep them across a wait, since physical memory may grow or be remapped.
   * `"write"` breaks copy-on-write and tells the engine that the whole range changes.
   */
  views(address: number, length: number, access: "read" | "write"): Uint8Array[];
  /** Like `views`, but stops before the first bad page: as many bytes as are accessible, maybe none. */
  viewsUntilFault(address: number, length: number, access: "read" | "write"): Uint8Array[];
  /** A copy. */
  readBytes(address: number, length: number): Uint8Array;
  writeBytes(address: number, bytes: Uint8Array): void;
  fill(address: number, length: number, byte: number): void;
  /** Bytes up to the NUL, without it; ENAMETOOLONG when there is none within `limit` (default PATH_MAX, 4096). */
  readCStringBytes(address: number, limit?: number): Uint8Array;
  /** The same as a byte string (each UTF-16 unit is one byte, 0 to 255), the form of all paths and names. */
  readCString(address: number, limit?: number): string;
  readU8(address: number): number;
  readU16(address: number): number;
  readU32(address: number): number;
  readI32(address: number): number;
  /** Unsigned; exact below 2^53. */
  readU64(address: number): number;
  /** Signed; exact within 2^53. */
  readI64(address: number): number;
  /** A pointer or `long` of the given ABI, unsigned. */
  readWord(address: number, wordBytes: 8 | 4): number;
  writeU8(address: number, value: number): void;
  writeU16(address: number, value: number): void;
  /** Any i32 or u32. */
  writeU32(address: number, value: number): void;
  /** Any integer within 2^53, negative ones in two's complement. */
  writeU64(address: number, value: number): void;
  writeU64Pair(address: number, lo: number, hi: number): void;
  writeWord(address: number, value: number, wordBytes: 8 | 4): void;
}

/**
 * What can be mapped: one per inode, the same object for every open of the same file, since its identity names the
 * file in the page cache (the same file page is the same physical page in all processes).
 * All of it is synchronous: a page fault in translated code waits for it.
 */
export interface PageSource {
  /** Shown in /proc/PID/maps. */
  readonly name: string;
  readonly device: number;
  readonly inode: number;
  /** Current size in bytes; a page wholly past it gives SIGBUS. */
  sizeBytes(): number;
  /** Fills `into` (zeroed, at most a page) from `offset`; returns the bytes read, or -errno (SIGBUS). */
  readAt(offset: number, into: Uint8Array): number;
  /** Writes a page of a shared mapping back; absent for a read-only file. Returns the count or -errno. */
  writeAt?(offset: number, from: Uint8Array): number;
  /**
   * Changes when somebody changed the file behind our back (mtime and size, for instance); a clean page cached
   * under another version is read again at the next mmap. Absent: never.
   */
  version?(): string;
  /** The first mapping of the file was made: keep what `readAt` needs, an unlinked host file for instance. */
  mapped?(): void;
  /** The last mapping went away; dirty pages were written back before. */
  unmapped?(): void;
  /** True for memfd, tmpfs and shm: the page cache is the file, there is nothing behind it. */
  readonly memoryOnly?: boolean;
}

/** The page cache as files use it. Offsets and lengths in bytes. */
export interface PageCache {
  /**
   * `write(2)` on a file that may be mapped: copies into the pages that are cached. For a `memoryOnly` source it
   * makes the missing pages and is the write itself. Returns the bytes taken (fewer when memory ran out) or -ENOMEM.
   */
  write(source: PageSource, offset: number, bytes: Uint8Array): number;
  /** Reads of a `memoryOnly` source; a page that was never written reads as zeros. The caller bounds by the size. */
  read(source: PageSource, offset: number, into: Uint8Array): void;
  /** Whether any page of the source is cached: the cheap test before the calls below. */
  isCached(source: PageSource): boolean;
  /** Writes dirty pages of shared mappings back to the source (before a read(2), at fsync, msync, last close). */
  flush(source: PageSource): void;
  /** The file is now this long: zeroes the tail of its last page and drops the pages past it. */
  truncate(source: PageSource, sizeBytes: number): void;
  /** The file is gone (last unlink and close): drops the pages nobody maps. */
  forget(source: PageSource): void;
}
