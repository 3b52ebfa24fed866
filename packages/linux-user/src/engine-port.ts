// What the kernel asks of whoever executes guest code. Structural: this package imports no translator.
//
//   Kernel ── owns ──> AddressSpace (page tables, in TypeScript) ──implements──> AddressSpacePort
//   Kernel ── uses ──> ExecutionEngine ── createContext ──> EngineContext (private TLB and trampolines, per process)
//                                                            └─ createCpu ──> GuestCpu (registers, per thread)
//
// A page fault that the kernel resolves (demand zero, copy-on-write, file page) is resolved inside
// `AddressSpacePort.translate`, without leaving translated code; only a fault that becomes a signal exits.

/** Bytes in a guest page. */
export const PAGE_BYTES = 4096;

export const ACCESS_READ = 0;
export const ACCESS_WRITE = 1;
export const ACCESS_EXECUTE = 2;

/** 0 read, 1 write, 2 execute. */
export type Access = 0 | 1 | 2;

// The answer of `translate`: physical page number << 2 with these bits, or one of the negative faults below.
/** A write may go through without asking again. */
export const TRANSLATION_WRITABLE = 1;
/** Instructions may be fetched. */
export const TRANSLATION_EXECUTABLE = 2;
export const TRANSLATION_PAGE_SHIFT = 2;

/** Nothing is mapped there (SEGV_MAPERR). */
export const FAULT_UNMAPPED = -1;
/** The mapping forbids the access (SEGV_ACCERR). */
export const FAULT_PROTECTION = -2;
/** A file mapping past the end of its file, or an I/O error (SIGBUS, BUS_ADRERR). */
export const FAULT_BUS = -3;
/** Physical memory is exhausted: the process is killed, as Linux's OOM killer would. */
export const FAULT_OUT_OF_MEMORY = -4;

/** The guest-physical memory: pages numbered from 1; 0 stands for none. */
export interface PhysicalMemoryPort {
  /** The whole memory; read the property again after anything that may have grown it. */
  readonly bytes: Uint8Array;
  /** A zeroed page, or 0 when memory is exhausted. */
  allocatePage(): number;
  freePage(page: number): void;
  /** Byte offset of the page in `bytes`. */
  pageOffset(page: number): number;
  /** The kernel is about to write there: guard bits (translated code is discarded), dirty log. */
  noteWrite(page: number, offset: number, length: number): void;
  readonly totalPages: number;
  readonly freePages: number;
}

/** The page tables, as the engine's slow path asks them. Never throws. */
export interface AddressSpacePort {
  /**
   * Resolves an access at a guest-virtual address (a JS number below 2^48), faulting the page in if need be.
   * Returns `page << 2 | TRANSLATION_*` or a negative FAULT_*. Entries that stop being true are announced by
   * `EngineContext.invalidate` before they do.
   */
  translate(virtualAddress: number, access: Access): number;
  /** The file whose bytes are at this address, where no private copy of the page has taken their place. */
  fileAt?(virtualAddress: number): FilePlace | undefined;
  /** Everything mapped from files, ascending. */
  fileMappings?(): Iterable<FileMapping>;
}

/** A file's contents, whoever has it open. */
export interface FileContents {
  /** Its path, as /proc/PID/maps has it. */
  readonly name?: string;
  sizeBytes(): number;
  /** Reads into all of `into`; returns the bytes read, fewer at the end. */
  readAt(offset: number, into: Uint8Array): number;
}

export interface FilePlace {
  /** The same object for the same file. */
  readonly contents: FileContents;
  /** Bytes from the file's start. */
  readonly offset: number;
}

/** Guest-virtual bounds, and what is at the start. */
export interface FileMapping extends FilePlace {
  readonly start: number;
  readonly end: number;
}

// Register numbers of `GuestCpu`: the encoding of the instruction set (Intel SDM vol. 2, table 2-2).
export const RAX = 0;
export const RCX = 1;
export const RDX = 2;
export const RBX = 3;
export const RSP = 4;
export const RBP = 5;
export const RSI = 6;
export const RDI = 7;
export const R8 = 8;
export const R9 = 9;
export const R10 = 10;
export const R11 = 11;
export const R12 = 12;
export const R13 = 13;
export const R14 = 14;
export const R15 = 15;

// Segment registers, in their encoding.
export const SEGMENT_ES = 0;
export const SEGMENT_CS = 1;
export const SEGMENT_SS = 2;
export const SEGMENT_DS = 3;
export const SEGMENT_FS = 4;
export const SEGMENT_GS = 5;

export type GuestMode = "x86-64" | "i386";

/** The registers of one guest thread. Valid while the thread is not inside `run`. */
export interface GuestCpu {
  /** Halves of a general register, i32. */
  getLo(register: number): number;
  getHi(register: number): number;
  setRegister(register: number, lo: number, hi: number): void;
  rip: number;
  /** Low 32 bits of RFLAGS; setting ignores the bits a user program may not change. */
  flags: number;
  fsBase: number;
  gsBase: number;
  getSegment(segment: number): number;
  /** Loads a selector as `mov sreg` would; i386 TLS selectors find the base that `setTlsDescriptor` gave. */
  setSegment(segment: number, selector: number): void;
  /** GDT entry 12, 13 or 14 of set_thread_area(2), with its base, as a user data segment; null clears it. */
  setTlsDescriptor(entry: number, base: number | null): void;
  /** Bytes of the XSAVE image (standard form), 512 for FXSAVE alone. */
  readonly extendedStateBytes: number;
  /** XCR0: which components the image has (bit 0 x87, 1 SSE, 2 AVX). */
  readonly extendedFeatures: number;
  /** FXSAVE64/XSAVE layout (Intel SDM vol. 1, 13.4); `into` has `extendedStateBytes`. */
  saveExtendedState(into: Uint8Array): void;
  /** 512 bytes restore FXSAVE's part alone. Invalid reserved bits of MXCSR are cleared, never a fault. */
  loadExtendedState(from: Uint8Array): void;
  /** All registers, vector and segment state of another thread (clone, fork). */
  copyFrom(other: GuestCpu): void;
  /** The state of a fresh program: zero registers, FNINIT, MXCSR 0x1f80, flat segments of the mode. */
  reset(mode: GuestMode): void;
}

export type ExitReason =
  | "budget"
  /** `syscall`: rip is after it; rcx and r11 as the instruction leaves them. */
  | "syscall64"
  /** `int 0x80`: rip is after it. */
  | "syscall32"
  /** A system call was served in place (`EngineContext.serve`), and the server wants the thread back. */
  | "served"
  | "page-fault"
  | "divide-error"
  | "invalid-opcode"
  /** `int3`: rip is after it. */
  | "breakpoint"
  | "overflow"
  | "bound"
  /** Single step (TF) or icebp. */
  | "debug"
  /** Non-canonical address, privileged instruction, misaligned SSE operand. */
  | "general-protection"
  | "stack-fault"
  | "alignment-check"
  /** #MF: an unmasked x87 exception, the status word in the x87 state. */
  | "x87-error"
  /** #XM: an unmasked SSE exception, the flags in MXCSR. */
  | "simd-error"
  | "halt";

/** Why `run` returned. The engine may reuse one object per context. */
export interface EngineExit {
  readonly reason: ExitReason;
  /** Page fault: the guest-virtual address of the access (CR2); else 0. */
  readonly address: number;
  /** Page fault. */
  readonly access: Access;
  /** Page fault: the FAULT_* that `translate` gave. */
  readonly fault: number;
  /** Guest instructions or units of budget used by this run, for CPU-time accounting. */
  readonly spent: number;
}

/** What the engine keeps for one process. */
/** What an address space had of the translations that all share. */
export interface CodeUse {
  /** Jumps bound to translations, */
  readonly linked: number;
  /** after so many traps. */
  readonly traps: number;
  /** Translations made for it, and those that it found ready. */
  readonly translated: number;
  readonly ready: number;
}

export interface EngineContext {
  readonly codeUse: CodeUse;
  createCpu(mode: GuestMode): GuestCpu;
  /**
   * Serves system calls without leaving translated code, which keeps the guest's calls on the host's stack. Called with
   * the thread's state exact, as at an exit. "unserved" makes `run` return with the call as its reason, "leave" with
   * "served", "continue" goes on behind the call: only for a thread that is to go on there at once.
   */
  serve: ((reason: "syscall64" | "syscall32") => "unserved" | "leave" | "continue") | null;
  /** Runs the thread until something needs the kernel. State is precise at every exit. */
  run(cpu: GuestCpu, budget: number): EngineExit;
  /** Translations of these guest-virtual bytes change, or lose rights: drop TLB entries and slots. */
  invalidate(start: number, length: number): void;
  /** Any page may have lost the right to be written (fork: all become copy-on-write). */
  invalidateWrites(): void;
  /** Everything changes. */
  invalidateAll(): void;
  /** A context for a child whose mappings begin as this one's; null without room for it (ENOMEM). */
  fork(space: AddressSpacePort): EngineContext | null;
  /** The process is gone, or has been replaced by exec. */
  dispose(): void;
}

export interface ExecutionEngine {
  readonly memory: PhysicalMemoryPort;
  /** Null without room for it (ENOMEM). */
  createContext(space: AddressSpacePort): EngineContext | null;
  /** AT_HWCAP is CPUID.1:EDX. */
  readonly hwcap: number;
}
