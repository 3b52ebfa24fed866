// A system call's arguments, read from the registers of the thread that made it: they do not change while it waits.

import type { GuestCpu } from "../engine-port.ts";
import { R10, R8, R9, RBP, RBX, RCX, RDI, RDX, RSI } from "../engine-port.ts";
import type { SyscallAbi, SyscallArguments } from "../kernel/syscall.ts";

const TWO_32 = 2 ** 32;
/** syscall(2), "Architecture calling conventions". */
const REGISTERS_64: readonly number[] = [RDI, RSI, RDX, R10, R8, R9];
const REGISTERS_32: readonly number[] = [RBX, RCX, RDX, RSI, RDI, RBP];

class Registers64 implements SyscallArguments {
  readonly abi: SyscallAbi = "x86-64";
  readonly wordBytes = 8;
  readonly #cpu: GuestCpu;

  constructor(cpu: GuestCpu) {
    this.#cpu = cpu;
  }

  i32(index: number): number {
    return this.#cpu.getLo(REGISTERS_64[index]);
  }

  u32(index: number): number {
    return this.#cpu.getLo(REGISTERS_64[index]) >>> 0;
  }

  number(index: number): number {
    const register = REGISTERS_64[index];
    return this.#cpu.getHi(register) * TWO_32 + (this.#cpu.getLo(register) >>> 0);
  }

  address(index: number): number {
    const register = REGISTERS_64[index];
    return (this.#cpu.getHi(register) >>> 0) * TWO_32 + (this.#cpu.getLo(register) >>> 0);
  }

  lo(index: number): number {
    return this.#cpu.getLo(REGISTERS_64[index]);
  }

  hi(index: number): number {
    return this.#cpu.getHi(REGISTERS_64[index]);
  }
}

class Registers32 implements SyscallArguments {
  readonly abi: SyscallAbi = "i386";
  readonly wordBytes = 4;
  readonly #cpu: GuestCpu;

  constructor(cpu: GuestCpu) {
    this.#cpu = cpu;
  }

  i32(index: number): number {
    return this.#cpu.getLo(REGISTERS_32[index]);
  }

  u32(index: number): number {
    return this.#cpu.getLo(REGISTERS_32[index]) >>> 0;
  }

  number(index: number): number {
    return this.#cpu.getLo(REGISTERS_32[index]);
  }

  address(index: number): number {
    return this.#cpu.getLo(REGISTERS_32[index]) >>> 0;
  }

  lo(index: number): number {
    return this.#cpu.getLo(REGISTERS_32[index]);
  }

  hi(index: number): number {
    return this.#cpu.getLo(REGISTERS_32[index]) >> 31;
  }
}

export function argumentsOf(cpu: GuestCpu, abi: SyscallAbi): SyscallArguments {
  return abi === "x86-64" ? new Registers64(cpu) : new Registers32(cpu);
}
