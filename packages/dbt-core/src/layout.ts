/**
 * Where emitted code finds things: the context block, one per processor of the guest.
 *
 * ```text
 *  context pointer (first parameter of every region)
 *     0  exit code i32        why a region left
 *     4  exit offset i32      guest offset of the instruction, relative to the region's entry
 *     8  exit payload i64     error code, service number …
 *    16  instruction pointer  guest-virtual, valid when no region runs
 *    24  budget i32           what is left before a region must return to the engine
 *    28  slot entries i32     array: by table slot, where threaded code is entered through it; 0: nowhere
 *    32  fault address i64
 *    40  fault access i32     0 read, 1 write, 2 execute
 *    48  store value v128     what a slow vector store is to write
 *    64  bounce v128 x 2      where a slow load leaves the bytes of an access that straddles pages or reaches a device
 *   128  (free)
 *   256  guest state          the frontend's, up to `guestStateEnd`
 *  4096  cells                values of a block of threaded code, see threaded/record.ts
 *        soft TLB             see `TlbLayout`
 *        jump cache           see `JumpCacheLayout`
 * ```
 */
export const Header = {
  exitCode: 0,
  exitOffset: 4,
  exitPayload: 8,
  instructionPointer: 16,
  budget: 24,
  slotEntries: 28,
  faultAddress: 32,
  faultAccess: 40,
  storeValue: 48,
  bounce: 64,
  guestState: 256,
  guestStateEnd: 4096,
} as const;

/** The engine's own exit codes; those of guest architectures start at 64. */
export const EngineExit = {
  /** The budget is used up; nothing happened. */
  budget: 1,
  /** An access to guest memory failed: fault address and access are in the header. */
  pageFault: 2,
  /** A store was about to change translated code, which is discarded now: the instruction is to be tried again, alone. */
  retry: 3,
  /** The supervisor asked to leave after a service; the instruction pointer stands behind the instruction. */
  service: 4,
  /** An instruction run alone is done. */
  stepped: 5,
  /** A granule the region was made from has lost its protection: what is translated from there is to be looked at. */
  stale: 6,
  /** A helper wants to go on at the guest address that is the payload. */
  goTo: 7,
  /** A place that a debugger stops at: nothing of the instruction there has happened. */
  breakpoint: 8,
} as const;

/**
 * The soft TLB as emitted code reads it. An entry has a tag for reads and one for writes (the page's virtual address, or something
 * no address with this index can match); behind each is what added to an address's low half gives its byte offset in
 * WebAssembly memory.
 */
export interface TlbLayout {
  /** Bytes from the context pointer to entry 0. */
  readonly offset: number;
  readonly indexBits: number;
  readonly entryShift: number;
  /** Bytes from an entry to its tags. */
  readonly readTag: number;
  readonly writeTag: number;
  /** Bytes from a tag to what belongs to it. */
  readonly addend: number;
  /** Bytes from a tag for writes to a word; its bit that says that the page may be written but for guarded granules. */
  readonly state: number;
  readonly byGranule: number;
  readonly pageShift: number;
}

/**
 * From guest-virtual code addresses to table indices, in sets of two ways (`engine/jump-cache.ts`), each { address i64, index i32,
 * unit i32 }; the unit of threaded code is 0 for what is compiled.
 */
export interface JumpCacheLayout {
  readonly offset: number;
  /** Of the number of sets. */
  readonly indexBits: number;
}

export interface CodeLayout {
  /** Where cells begin. */
  readonly cells: number;
  readonly tlb: TlbLayout;
  readonly jumpCache: JumpCacheLayout;
  /** Byte offset in memory of the words with a guard bit for each granule of 64 bytes: 8 bytes a page. */
  readonly guardWords: number;
}

/** Size codes of slow memory accesses: what is read or written at `info & 0xff`; `info >> 8` is the exit offset. */
export const Access = { bytes1: 1, bytes2: 2, bytes4: 4, bytes8: 8, bytes16: 16 } as const;
