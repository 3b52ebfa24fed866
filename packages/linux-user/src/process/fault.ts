// Engine exits that are faults, as the signals Linux makes of them (arch/x86/kernel/traps.c, mm/fault.c by effect).

import type { EngineExit } from "../engine-port.ts";
import { FAULT_BUS, FAULT_OUT_OF_MEMORY, FAULT_PROTECTION } from "../engine-port.ts";
import type { SignalInfo } from "../kernel/signal-info.ts";
import {
  BUS_ADRALN,
  BUS_ADRERR,
  FPE_FLTDIV,
  FPE_FLTINV,
  FPE_FLTOVF,
  FPE_FLTRES,
  FPE_FLTUND,
  FPE_INTDIV,
  ILL_ILLOPN,
  SEGV_ACCERR,
  SEGV_MAPERR,
  SI_KERNEL,
  SIGBUS,
  SIGFPE,
  SIGILL,
  SIGKILL,
  SIGSEGV,
  SIGTRAP,
  TRAP_TRACE,
} from "../kernel/signal-info.ts";
import { forceSignal } from "../signals/deliver.ts";
import { exitProcess } from "./exit.ts";
import type { GuestTask } from "./task.ts";

const MXCSR_OFFSET = 24;

/** Which unmasked exception of status bits IE DE ZE OE UE PE is reported. */
function floatCode(flags: number): number {
  if ((flags & 0x01) !== 0) return FPE_FLTINV;
  if ((flags & 0x04) !== 0) return FPE_FLTDIV;
  if ((flags & 0x08) !== 0) return FPE_FLTOVF;
  if ((flags & 0x12) !== 0) return FPE_FLTUND;
  return (flags & 0x20) === 0 ? 0 : FPE_FLTRES;
}

function floatFault(task: GuestTask, trap: number): SignalInfo {
  const image = new Uint8Array(task.cpu.extendedStateBytes);
  task.cpu.saveExtendedState(image);
  const view = new DataView(image.buffer);
  const raised =
    trap === 16
      ? view.getUint16(2, true) & ~view.getUint16(0, true)
      : view.getUint32(MXCSR_OFFSET, true) & ~(view.getUint32(MXCSR_OFFSET, true) >>> 7);
  return { signal: SIGFPE, code: floatCode(raised & 0x3f), address: task.cpu.rip, trap };
}

function pageFault(exit: EngineExit): SignalInfo {
  // Error code: 1 protection, 2 write, 4 user, 16 fetch (Intel SDM vol. 3, 4.7).
  const errorCode =
    4 | (exit.fault === FAULT_PROTECTION ? 1 : 0) | (exit.access === 1 ? 2 : exit.access === 2 ? 16 : 0);
  const { address } = exit;
  if (exit.fault === FAULT_BUS) return { signal: SIGBUS, code: BUS_ADRERR, address, trap: 14, errorCode };
  const code = exit.fault === FAULT_PROTECTION ? SEGV_ACCERR : SEGV_MAPERR;
  return { signal: SIGSEGV, code, address, trap: 14, errorCode };
}

function faultSignal(task: GuestTask, exit: EngineExit): SignalInfo {
  const address = task.cpu.rip;
  switch (exit.reason) {
    case "page-fault":
      return pageFault(exit);
    case "divide-error":
      return { signal: SIGFPE, code: FPE_INTDIV, address, trap: 0 };
    case "invalid-opcode":
      return { signal: SIGILL, code: ILL_ILLOPN, address, trap: 6 };
    case "debug":
      return { signal: SIGTRAP, code: TRAP_TRACE, address, trap: 1 };
    case "breakpoint":
      return { signal: SIGTRAP, code: SI_KERNEL, address: 0, trap: 3 };
    case "x87-error":
      return floatFault(task, 16);
    case "simd-error":
      return floatFault(task, 19);
    case "alignment-check":
      return { signal: SIGBUS, code: BUS_ADRALN, address, trap: 17 };
    case "stack-fault":
      return { signal: SIGBUS, code: SI_KERNEL, address: 0, trap: 12 };
    case "overflow":
      return { signal: SIGSEGV, code: SI_KERNEL, address: 0, trap: 4 };
    case "bound":
      return { signal: SIGSEGV, code: SI_KERNEL, address: 0, trap: 5 };
    default:
      // Privileged instructions, non-canonical addresses, halt.
      return { signal: SIGSEGV, code: SI_KERNEL, address: 0, trap: 13 };
  }
}

/** Queues the signal of a fault; without memory for the page the process is killed. */
export function raiseFault(task: GuestTask, exit: EngineExit): void {
  if (exit.reason === "page-fault" && exit.fault === FAULT_OUT_OF_MEMORY) {
    task.kernel.observer?.outOfMemory?.(task.process);
    exitProcess(task.process, SIGKILL);
    return;
  }
  forceSignal(task, faultSignal(task, exit));
}
