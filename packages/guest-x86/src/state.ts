/**
 * The processor's state as it lies in a context block of the emulated machine's WebAssembly memory, and which of it
 * translated code keeps in wasm locals (the state slots).
 *
 *     0    the engine's header (exit code and payload, budget; see dbt-core)
 *   256    RAX RCX RDX RBX RSP RBP RSI RDI R8..R15      16 x 8 bytes, in encoding order
 *   384    the flags record: operation i32; 388 DF as 0 or 1 (i32); 392 A, B, result i64   (see lift/flags.ts)
 *   416    segment bases ES CS SS DS FS GS              6 x 8 bytes
 *   464    segment selectors ES CS SS DS FS GS          6 x u16
 *   476    MXCSR
 *   480    x87: control, status (without TOP), opcode u16; TOP u8; which registers MMX wrote, a bit each (u8);
 *          8 tag bytes (1 empty, 0 in use); instruction and data pointers u64
 *   512    x87 registers R0..R7                         8 x 16 bytes (an MMX register is the low 8)
 *   640    the system bits of EFLAGS (i32), TSC_AUX (u32)
 *   648    the GS base that SWAPGS swaps in             8 bytes
 *  1024    vector registers 0..31                       32 x 64 bytes (room for 512 bits)
 *  3072    scratch for helpers: x87 operands, images    512 bytes
 *  3584    vector operands A, B, result of helpers      3 x 64 bytes
 */
import type { StateSlot } from "@doppel/dbt-core";

export const StateOffset = {
  gpr: 256,
  flagOperation: 384,
  direction: 388,
  flagA: 392,
  flagB: 400,
  flagResult: 408,
  segmentBase: 416,
  segmentSelector: 464,
  mxcsr: 476,
  fcw: 480,
  fsw: 482,
  fop: 484,
  ftop: 486,
  /** Registers whose bits 64..79 count as all ones, whatever memory says: an MMX instruction wrote them last. */
  mmxWritten: 487,
  ftag: 488,
  fip: 496,
  fdp: 504,
  fpr: 512,
  systemFlags: 640,
  tscAux: 644,
  kernelGsBase: 648,
  xmm: 1024,
  scratch: 3072,
  scratchLength: 512,
  vectorOperands: 3584,
  end: 3776,
} as const;

export const VECTOR_STRIDE = 64;

/** State slot numbers. General registers are 0..15 in encoding order, XMM registers `Slot.xmm + n`. */
export const Slot = {
  rax: 0,
  rcx: 1,
  rdx: 2,
  rbx: 3,
  rsp: 4,
  rbp: 5,
  rsi: 6,
  rdi: 7,
  flagOperation: 16,
  flagA: 17,
  flagB: 18,
  flagResult: 19,
  direction: 20,
  mxcsr: 21,
  /** ES CS SS DS FS GS bases: `segmentBase + Segment.fs` … */
  segmentBase: 22,
  xmm: 28,
  /** The low 64 bits of x87 registers R0..R7. */
  mmx: 44,
  /** The eight tag bytes, R0 lowest. */
  ftag: 52,
  /** The x87 opcode in bits 0..15, TOP in bits 16..23, `mmxWritten` in bits 24..31. */
  fopTop: 53,
  /** Vector operands of a helper. */
  vectorA: 54,
  vectorB: 55,
  systemFlags: 56,
  /** The vector result of a helper, and the start of the x87 scratch area, where stores leave their bits. */
  vectorResult: 57,
  x87Scratch: 58,
  /** The x87 control word in bits 0..15, the status word without TOP in bits 16..31. */
  fcwFsw: 59,
  kernelGsBase: 60,
} as const;

export const registerNames = [
  "rax",
  "rcx",
  "rdx",
  "rbx",
  "rsp",
  "rbp",
  "rsi",
  "rdi",
  "r8",
  "r9",
  "r10",
  "r11",
  "r12",
  "r13",
  "r14",
  "r15",
] as const;

const segmentNames = ["es", "cs", "ss", "ds", "fs", "gs"];

export const slots: readonly StateSlot[] = [
  ...registerNames.map((name, index): StateSlot => ({ name, offset: StateOffset.gpr + 8 * index, type: "i64" })),
  { name: "flagOperation", offset: StateOffset.flagOperation, type: "i32" },
  { name: "flagA", offset: StateOffset.flagA, type: "i64" },
  { name: "flagB", offset: StateOffset.flagB, type: "i64" },
  { name: "flagResult", offset: StateOffset.flagResult, type: "i64" },
  { name: "direction", offset: StateOffset.direction, type: "i32" },
  { name: "mxcsr", offset: StateOffset.mxcsr, type: "i32" },
  ...segmentNames.map((name, index): StateSlot => ({
    name: `${name}Base`,
    offset: StateOffset.segmentBase + 8 * index,
    type: "i64",
  })),
  ...Array.from({ length: 16 }, (_, index): StateSlot => ({
    name: `xmm${index}`,
    offset: StateOffset.xmm + VECTOR_STRIDE * index,
    type: "v128",
  })),
  ...Array.from({ length: 8 }, (_, index): StateSlot => ({
    name: `mm${index}`,
    offset: StateOffset.fpr + 16 * index,
    type: "i64",
  })),
  { name: "ftag", offset: StateOffset.ftag, type: "i64" },
  { name: "fopTop", offset: StateOffset.fop, type: "i32" },
  { name: "vectorA", offset: StateOffset.vectorOperands, type: "v128" },
  { name: "vectorB", offset: StateOffset.vectorOperands + 64, type: "v128" },
  // AC is among them, which page walks go by.
  { name: "systemFlags", offset: StateOffset.systemFlags, type: "i32", inContext: true },
  { name: "vectorResult", offset: StateOffset.vectorOperands + 128, type: "v128" },
  { name: "x87Scratch", offset: StateOffset.scratch, type: "v128" },
  { name: "fcwFsw", offset: StateOffset.fcw, type: "i32" },
  { name: "kernelGsBase", offset: StateOffset.kernelGsBase, type: "i64" },
];

/** Translation modes: bits of the mode word a context runs in; part of what a fragment is keyed by. */
export const ModeBit = {
  /** 64-bit mode; without it, 32-bit protected mode. */
  long: 1,
  /** Floating point must be exact in rounding mode, FTZ/DAZ and sticky flags: SSE arithmetic goes through helpers. */
  exactFloat: 2,
  /** A whole machine's supervisor code: privileged instructions are allowed. */
  supervisor: 4,
  /** Segment bases of ES, CS, SS, DS may be other than 0 (32-bit mode only). */
  segmented: 8,
  /** 16-bit code segment. */
  small: 16,
  /** A whole machine: descriptor tables and I/O permissions are real, and whoever owns them is asked. */
  machine: 32,
  /** CR0.TS or CR0.EM is set: x87, MMX and SSE instructions are for the machine to refuse. */
  noFloat: 64,
} as const;

/** Exit codes of x86 code; the engine's own are below 64. An exception is `exception + vector`, payload its error code. */
export const ExitCode = {
  exception: 64,
  /** INT n: payload n. */
  interrupt: 100,
  halt: 101,
  /** A privileged instruction for the machine to carry out: see privileged-payload.ts for the payload. */
  privileged: 102,
  /**
   * The interrupt flag was set while an interrupt waits, or the trap flag: payload 1 when one more instruction runs before
   * an interrupt (STI).
   */
  interruptWindow: 103,
} as const;

export const Vector = {
  divideError: 0,
  debug: 1,
  breakpoint: 3,
  overflow: 4,
  bound: 5,
  invalidOpcode: 6,
  deviceNotAvailable: 7,
  doubleFault: 8,
  invalidTss: 10,
  segmentNotPresent: 11,
  stackFault: 12,
  generalProtection: 13,
  pageFault: 14,
  floatingPoint: 16,
  alignmentCheck: 17,
  simdFloatingPoint: 19,
} as const;

/** Services translated code asks of the supervisor. */
export const Service = {
  /** In a machine RCX and R11 are set already (SDM vol. 2, SYSCALL). */
  syscall: 1,
  interrupt80: 2,
  sysenter: 3,
  /** MXCSR may ask for another mode now (`modeForMxcsr`): leave if it does, so that what follows runs in that mode. */
  modeChange: 4,
} as const;
