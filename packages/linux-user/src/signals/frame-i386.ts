// The i386 frames (arch/x86/include/asm/sigframe.h, ia32). Offsets in bytes:
//
//   sigframe     0 pretcode | 4 sig | 8 sigcontext (88) | 96 (unused fpstate, 624) | 720 extramask | 724 retcode (8)
//   rt_sigframe  0 pretcode | 4 sig | 8 pinfo | 12 puc | 16 siginfo (128) | 144 ucontext (116) | 260 retcode (8)
//   ucontext     0 flags | 4 link | 8 ss_sp | 12 ss_flags | 16 ss_size | 20 sigcontext | 108 sigmask (8)
//   sigcontext   0 gs 4 fs 8 es 12 ds | 16 edi esi ebp esp ebx edx ecx eax | 48 trapno 52 err 56 eip 60 cs
//               64 eflags 68 esp_at_signal 72 ss | 76 fpstate 80 oldmask 84 cr2
//   fpstate      0 FSAVE image (108) | 108 status, magic (0: an FXSAVE image follows) | 112 FXSAVE or XSAVE image

import type { GuestCpu } from "../engine-port.ts";
import {
  RAX,
  RBP,
  RBX,
  RCX,
  RDI,
  RDX,
  RSI,
  RSP,
  SEGMENT_CS,
  SEGMENT_DS,
  SEGMENT_ES,
  SEGMENT_FS,
  SEGMENT_GS,
  SEGMENT_SS,
} from "../engine-port.ts";
import type { UserMemory } from "../kernel/memory.ts";
import { SignalSet } from "../kernel/signal-info.ts";
import type { FrameRequest, RestoredFrame } from "./frame-x86-64.ts";
import { extendedImage, loadExtendedImage } from "./frame-x86-64.ts";

const SIGFRAME_BYTES = 732;
const RT_FRAME_BYTES = 268;
const CONTEXT_BYTES = 88;
const LEGACY_BYTES = 112;
const ORDER: readonly number[] = [RDI, RSI, RBP, RSP, RBX, RDX, RCX, RAX];
const RESTORED_FLAGS = 0x0005_0dd5;
/** popl %eax; movl $__NR_sigreturn, %eax; int $0x80 */
const RETURN_CODE: readonly number[] = [0x58, 0xb8, 119, 0, 0, 0, 0xcd, 0x80];
/** movl $__NR_rt_sigreturn, %eax; int $0x80 */
const RT_RETURN_CODE: readonly number[] = [0xb8, 173, 0, 0, 0, 0xcd, 0x80, 0];

function writeContext(view: DataView, at: number, cpu: GuestCpu, request: FrameRequest, extended: number): void {
  view.setUint16(at, cpu.getSegment(SEGMENT_GS), true);
  view.setUint16(at + 4, cpu.getSegment(SEGMENT_FS), true);
  view.setUint16(at + 8, cpu.getSegment(SEGMENT_ES), true);
  view.setUint16(at + 12, cpu.getSegment(SEGMENT_DS), true);
  ORDER.forEach((register, index) => view.setInt32(at + 16 + index * 4, cpu.getLo(register), true));
  view.setUint32(at + 48, request.trap, true);
  view.setUint32(at + 52, request.errorCode, true);
  view.setUint32(at + 56, cpu.rip, true);
  view.setUint16(at + 60, cpu.getSegment(SEGMENT_CS), true);
  view.setUint32(at + 64, cpu.flags, true);
  view.setInt32(at + 68, cpu.getLo(RSP), true);
  view.setUint16(at + 72, cpu.getSegment(SEGMENT_SS), true);
  view.setUint32(at + 76, extended, true);
  view.setInt32(at + 80, request.mask.lo, true);
  view.setUint32(at + 84, request.faultAddress, true);
}

/** FSAVE's 32-bit environment and registers out of an FXSAVE image (Intel SDM vol. 1, 8.1.10 and 10.5.1). */
function legacyImage(fxsave: Uint8Array): Uint8Array {
  const from = new DataView(fxsave.buffer, fxsave.byteOffset);
  const bytes = new Uint8Array(LEGACY_BYTES);
  const view = new DataView(bytes.buffer);
  const status = from.getUint16(2, true);
  view.setUint32(0, 0xffff_0000 | from.getUint16(0, true), true);
  view.setUint32(4, 0xffff_0000 | status, true);
  let tags = 0;
  const top = (status >> 11) & 7;
  for (let physical = 0; physical < 8; physical++) {
    let tag = 3;
    if ((from.getUint8(4) & (1 << physical)) !== 0) {
      const at = 32 + ((physical - top) & 7) * 16;
      const exponent = from.getUint16(at + 8, true) & 0x7fff;
      const lo = from.getUint32(at, true);
      const hi = from.getUint32(at + 4, true);
      if (exponent === 0) tag = (lo | hi) === 0 ? 1 : 2;
      else tag = exponent === 0x7fff || hi >>> 31 === 0 ? 2 : 0;
    }
    tags |= tag << (physical * 2);
  }
  view.setUint32(8, 0xffff_0000 | tags, true);
  view.setUint32(12, from.getUint32(8, true), true);
  view.setUint32(16, from.getUint16(12, true) | (from.getUint16(6, true) << 16), true);
  view.setUint32(20, from.getUint32(16, true), true);
  view.setUint32(24, 0xffff_0000 | from.getUint16(20, true), true);
  for (let index = 0; index < 8; index++) bytes.set(fxsave.subarray(32 + index * 16, 42 + index * 16), 28 + index * 10);
  view.setUint16(108, status, true);
  return bytes;
}

/** Builds a frame: with siginfo when `withInfo`. Throws EFAULT when the stack cannot take it. */
export function pushFrame32(cpu: GuestCpu, memory: UserMemory, request: FrameRequest, withInfo: boolean): void {
  const { image } = extendedImage(cpu);
  let extended = request.stackTop - image.length;
  extended -= extended % 64;
  extended -= LEGACY_BYTES;
  const size = withInfo ? RT_FRAME_BYTES : SIGFRAME_BYTES;
  let frame = extended - size;
  frame = frame + 4 - ((frame + 4) % 16) - 4;
  if (frame < 0x1_0000) frame = 0;
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  const codeAt = withInfo ? 260 : 724;
  view.setUint32(0, request.restorer === 0 ? frame + codeAt : request.restorer, true);
  view.setUint32(4, request.signal, true);
  bytes.set(withInfo ? RT_RETURN_CODE : RETURN_CODE, codeAt);
  if (withInfo) {
    view.setUint32(8, frame + 16, true);
    view.setUint32(12, frame + 144, true);
    bytes.set(request.info, 16);
    view.setUint32(152, request.alternateStack.address, true);
    view.setUint32(156, request.alternateStack.flags, true);
    view.setUint32(160, request.alternateStack.size, true);
    writeContext(view, 164, cpu, request, extended);
    view.setInt32(252, request.mask.lo, true);
    view.setInt32(256, request.mask.hi, true);
  } else {
    writeContext(view, 8, cpu, request, extended);
    view.setInt32(720, request.mask.hi, true);
  }
  memory.writeBytes(extended, legacyImage(image));
  memory.writeBytes(extended + LEGACY_BYTES, image);
  memory.writeBytes(frame, bytes);
  cpu.setRegister(RSP, frame | 0, 0);
  cpu.setRegister(RAX, request.signal, 0);
  cpu.setRegister(RDX, withInfo ? (frame + 16) | 0 : 0, 0);
  cpu.setRegister(RCX, withInfo ? (frame + 144) | 0 : 0, 0);
  cpu.setSegment(SEGMENT_DS, 0x2b);
  cpu.setSegment(SEGMENT_ES, 0x2b);
  cpu.rip = request.handler;
  cpu.flags &= ~0x0001_0500;
}

function readContext(cpu: GuestCpu, memory: UserMemory, address: number): number {
  const bytes = memory.readBytes(address, CONTEXT_BYTES);
  const view = new DataView(bytes.buffer);
  const extended = view.getUint32(76, true);
  if (extended !== 0) loadExtendedImage(cpu, memory, extended + LEGACY_BYTES);
  cpu.setSegment(SEGMENT_GS, view.getUint16(0, true));
  cpu.setSegment(SEGMENT_FS, view.getUint16(4, true));
  cpu.setSegment(SEGMENT_ES, view.getUint16(8, true));
  cpu.setSegment(SEGMENT_DS, view.getUint16(12, true));
  ORDER.forEach((register, index) => cpu.setRegister(register, view.getInt32(16 + index * 4, true), 0));
  cpu.rip = view.getUint32(56, true);
  cpu.flags = (cpu.flags & ~RESTORED_FLAGS) | (view.getUint32(64, true) & RESTORED_FLAGS);
  return view.getInt32(80, true);
}

/** sigreturn (without siginfo): its code popped the signal number too. Throws EFAULT. */
export function popFrame32(cpu: GuestCpu, memory: UserMemory): SignalSet {
  const frame = (cpu.getLo(RSP) >>> 0) - 8;
  const hi = memory.readI32(frame + 720);
  const lo = readContext(cpu, memory, frame + 8);
  return new SignalSet(lo, hi);
}

/** rt_sigreturn. Throws EFAULT. */
export function popRtFrame32(cpu: GuestCpu, memory: UserMemory): RestoredFrame {
  const uc = (cpu.getLo(RSP) >>> 0) - 4 + 144;
  const mask = new SignalSet(memory.readI32(uc + 108), memory.readI32(uc + 112));
  const alternateStack = {
    address: memory.readU32(uc + 8),
    flags: memory.readU32(uc + 12),
    size: memory.readU32(uc + 16),
  };
  readContext(cpu, memory, uc + 20);
  return { mask, alternateStack };
}
