// The x86-64 rt_sigframe (arch/x86/include/asm/sigframe.h, uapi/asm/sigcontext.h). Offsets in bytes:
//
//     0 pretcode           return address of the handler: sa_restorer, which calls rt_sigreturn
//     8 ucontext           0 uc_flags | 8 uc_link | 16 ss_sp | 24 ss_flags | 32 ss_size
//                         40 r8 … r15 | 104 rdi rsi rbp rbx rdx rax rcx rsp rip eflags | 184 cs gs fs ss
//                        192 err | 200 trapno | 208 oldmask | 216 cr2 | 224 fpstate | 232 reserved
//                        296 uc_sigmask
//   312 siginfo            128 bytes
//   440 (end); above it, 64-byte aligned: the FXSAVE or XSAVE image, with its size in FXSAVE's last 48 bytes
//                          and FP_XSTATE_MAGIC2 behind an XSAVE image

import type { GuestCpu } from "../engine-port.ts";
import {
  R10,
  R11,
  R12,
  R13,
  R14,
  R15,
  R8,
  R9,
  RAX,
  RBP,
  RBX,
  RCX,
  RDI,
  RDX,
  RSI,
  RSP,
  SEGMENT_CS,
  SEGMENT_FS,
  SEGMENT_GS,
  SEGMENT_SS,
} from "../engine-port.ts";
import type { UserMemory } from "../kernel/memory.ts";
import { SignalSet } from "../kernel/signal-info.ts";

export const FRAME_BYTES = 440;
const UCONTEXT = 8;
const SIGINFO = 312;
const REGISTERS = 40;
const FXSAVE_BYTES = 512;
const SOFTWARE_BYTES = 464;
const MAGIC1 = 0x4650_5853;
const MAGIC2 = 0x4650_5845;
const UC_FP_XSTATE = 1;
const UC_SIGCONTEXT_SS = 2;
const UC_STRICT_RESTORE_SS = 4;

/** In the order of sigcontext. */
const ORDER: readonly number[] = [R8, R9, R10, R11, R12, R13, R14, R15, RDI, RSI, RBP, RBX, RDX, RAX, RCX, RSP];
/** Flags that sigreturn restores: OF DF TF SF ZF AF PF CF, AC, RF. */
const RESTORED_FLAGS = 0x0005_0dd5;

export interface FrameRequest {
  /** Stack pointer to build below: red zone already skipped, or the alternate stack's top. */
  readonly stackTop: number;
  readonly signal: number;
  readonly info: Uint8Array;
  readonly handler: number;
  readonly restorer: number;
  /** The mask to restore. */
  readonly mask: SignalSet;
  readonly alternateStack: { readonly address: number; readonly flags: number; readonly size: number };
  readonly trap: number;
  readonly errorCode: number;
  readonly faultAddress: number;
}

function setWord(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, value % 2 ** 32, true);
  view.setUint32(offset + 4, Math.floor(value / 2 ** 32), true);
}

function getWord(view: DataView, offset: number): number {
  return view.getUint32(offset, true) + view.getUint32(offset + 4, true) * 2 ** 32;
}

/** The extended state as a frame has it. */
export function extendedImage(cpu: GuestCpu): { readonly image: Uint8Array; readonly isXsave: boolean } {
  const size = cpu.extendedStateBytes;
  const isXsave = size > FXSAVE_BYTES;
  const image = new Uint8Array(isXsave ? size + 4 : FXSAVE_BYTES);
  cpu.saveExtendedState(image.subarray(0, size));
  const view = new DataView(image.buffer);
  image.fill(0, SOFTWARE_BYTES, FXSAVE_BYTES);
  if (isXsave) {
    view.setUint32(SOFTWARE_BYTES, MAGIC1, true);
    view.setUint32(SOFTWARE_BYTES + 4, size + 4, true);
    view.setUint32(SOFTWARE_BYTES + 8, cpu.extendedFeatures, true);
    view.setUint32(SOFTWARE_BYTES + 16, size, true);
    view.setUint32(size, MAGIC2, true);
  }
  return { image, isXsave };
}

/** Loads what a frame holds at `address`; a frame without valid magic numbers has FXSAVE's part alone. */
export function loadExtendedImage(cpu: GuestCpu, memory: UserMemory, address: number): void {
  const legacy = memory.readBytes(address, FXSAVE_BYTES);
  const view = new DataView(legacy.buffer);
  const size = view.getUint32(SOFTWARE_BYTES + 16, true);
  const valid =
    view.getUint32(SOFTWARE_BYTES, true) === MAGIC1 &&
    size === cpu.extendedStateBytes &&
    size > FXSAVE_BYTES &&
    memory.readU32(address + size) === MAGIC2;
  cpu.loadExtendedState(valid ? memory.readBytes(address, size) : legacy);
}

/** Builds the frame and points the thread at the handler. Throws EFAULT when the stack cannot take it. */
export function pushFrame64(cpu: GuestCpu, memory: UserMemory, request: FrameRequest): void {
  const { image, isXsave } = extendedImage(cpu);
  let top = request.stackTop - image.length;
  top -= top % 64;
  const extended = top;
  let frame = extended - FRAME_BYTES;
  frame -= frame % 16;
  frame -= 8;
  const bytes = new Uint8Array(FRAME_BYTES);
  const view = new DataView(bytes.buffer);
  setWord(view, 0, request.restorer);
  const uc = UCONTEXT;
  setWord(view, uc, (isXsave ? UC_FP_XSTATE : 0) | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS);
  setWord(view, uc + 16, request.alternateStack.address);
  view.setUint32(uc + 24, request.alternateStack.flags, true);
  setWord(view, uc + 32, request.alternateStack.size);
  ORDER.forEach((register, index) => {
    view.setInt32(uc + REGISTERS + index * 8, cpu.getLo(register), true);
    view.setInt32(uc + REGISTERS + index * 8 + 4, cpu.getHi(register), true);
  });
  setWord(view, uc + 168, cpu.rip);
  view.setUint32(uc + 176, cpu.flags, true);
  view.setUint16(uc + 184, cpu.getSegment(SEGMENT_CS), true);
  view.setUint16(uc + 186, cpu.getSegment(SEGMENT_GS), true);
  view.setUint16(uc + 188, cpu.getSegment(SEGMENT_FS), true);
  view.setUint16(uc + 190, cpu.getSegment(SEGMENT_SS), true);
  setWord(view, uc + 192, request.errorCode);
  setWord(view, uc + 200, request.trap);
  view.setInt32(uc + 208, request.mask.lo, true);
  view.setInt32(uc + 212, request.mask.hi, true);
  setWord(view, uc + 216, request.faultAddress);
  setWord(view, uc + 224, extended);
  view.setInt32(uc + 296, request.mask.lo, true);
  view.setInt32(uc + 300, request.mask.hi, true);
  bytes.set(request.info, SIGINFO);
  memory.writeBytes(extended, image);
  memory.writeBytes(frame, bytes);
  const set = (register: number, value: number): void =>
    cpu.setRegister(register, value | 0, Math.floor(value / 2 ** 32) | 0);
  set(RDI, request.signal);
  set(RSI, frame + SIGINFO);
  set(RDX, frame + UCONTEXT);
  set(RAX, 0);
  set(RSP, frame);
  cpu.rip = request.handler;
  // Handlers start with DF, RF and TF clear.
  cpu.flags &= ~0x0001_0500;
}

export interface RestoredFrame {
  readonly mask: SignalSet;
  readonly alternateStack: { readonly address: number; readonly flags: number; readonly size: number };
}

/** rt_sigreturn: takes everything from the frame that rsp points into. Throws EFAULT. */
export function popFrame64(cpu: GuestCpu, memory: UserMemory): RestoredFrame {
  const uc = (cpu.getLo(RSP) >>> 0) + (cpu.getHi(RSP) >>> 0) * 2 ** 32;
  const bytes = memory.readBytes(uc, SIGINFO - UCONTEXT);
  const view = new DataView(bytes.buffer);
  const extended = getWord(view, 224);
  if (extended !== 0) loadExtendedImage(cpu, memory, extended);
  ORDER.forEach((register, index) => {
    const at = REGISTERS + index * 8;
    cpu.setRegister(register, view.getInt32(at, true), view.getInt32(at + 4, true));
  });
  cpu.rip = getWord(view, 168);
  cpu.flags = (cpu.flags & ~RESTORED_FLAGS) | (view.getUint32(176, true) & RESTORED_FLAGS);
  return {
    mask: new SignalSet(view.getInt32(296, true), view.getInt32(300, true)),
    alternateStack: { address: getWord(view, 16), flags: view.getUint32(24, true), size: getWord(view, 32) },
  };
}
