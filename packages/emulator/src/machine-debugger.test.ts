import { type StopReason, x86RegisterNumber } from "@doppel/pc-machine";
import { describe, expect, it } from "vitest";
import { Machine, type MachineEnd } from "./machine.ts";
import { MachineDebugger } from "./machine-debugger.ts";
import { elfProgram } from "./testing/elf-program.ts";

const MEBIBYTE = 2 ** 20;
const START = 0x10_0000n;
const INCREMENT = START + 2n;
const COMPARE = START + 4n;
const LIMIT = START + 6n;

/** Counts to 100 in EAX, then resets the machine. */
const counts: Uint8Array = elfProgram([
  ...[0x31, 0xc0], // xor eax, eax
  ...[0xff, 0xc0], // inc eax
  ...[0x83, 0xf8, 100], // cmp eax, 100
  ...[0x75, 0xf9], // jne inc
  ...[0x89, 0xc3], // mov ebx, eax
  ...[0xb0, 0xfe, 0xe6, 0x64], // mov al, 0feh; out 64h, al
  ...[0xeb, 0xfe],
]);
/** Counts to 4 in memory at 2 MiB + 1 page - 2: across two pages, 4 bytes each time; and reads it, and a neighbour. */
const stores: Uint8Array = elfProgram([
  ...[0x31, 0xc0], // xor eax, eax
  ...[0xff, 0xc0], // inc eax
  ...[0x89, 0x04, 0x25, 0xfe, 0x0f, 0x20, 0x00], // mov [200ffeh], eax
  ...[0x8b, 0x1c, 0x25, 0xfe, 0x0f, 0x20, 0x00], // mov ebx, [200ffeh]
  ...[0x89, 0x04, 0x25, 0xf0, 0x0f, 0x20, 0x00], // mov [200ff0h], eax
  ...[0x83, 0xf8, 4], // cmp eax, 4
  ...[0x75, 0xe4], // jne inc
  ...[0xb0, 0xfe, 0xe6, 0x64], // mov al, 0feh; out 64h, al
  ...[0xeb, 0xfe],
]);
const WATCHED = 0x20_1000n;
const loops: Uint8Array = elfProgram([0xeb, 0xfe]);

class Session {
  readonly machine: Machine;
  readonly target: MachineDebugger;
  readonly ended: Promise<MachineEnd>;
  private stopped: (reason: StopReason) => void = () => {};

  constructor(kernel: Uint8Array) {
    this.machine = new Machine({
      ramBytes: 4 * MEBIBYTE,
      kernel,
      serial: { read: () => -1, write: () => true },
      endOnReset: true,
    });
    this.ended = this.machine.run();
    this.target = new MachineDebugger({ machine: this.machine, kill: () => {} });
    this.target.onStop = (reason) => this.stopped(reason);
  }

  next(how: "continue" | "step"): Promise<StopReason> {
    return new Promise((resolve) => {
      this.stopped = resolve;
      this.target.resume(how);
    });
  }

  register(name: string): bigint {
    const bytes = this.target.readRegister(x86RegisterNumber(name));
    return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
  }
}

describe("a machine under a debugger", () => {
  it("stops in the middle of what is translated as one, and goes on from there", async () => {
    const session = new Session(counts);
    const { target } = session;
    expect(session.register("rip")).toBe(START);
    target.setBreakpoint("software", COMPARE);
    for (const count of [1n, 2n, 3n]) {
      expect(await session.next("continue")).toEqual({ kind: "software" });
      expect([session.register("rip"), session.register("rax")]).toEqual([COMPARE, count]);
      // As gdb does: away with it, one step, and back.
      expect(target.clearBreakpoint("software", COMPARE)).toBe(true);
      expect(await session.next("step")).toEqual({ kind: "stepped" });
      expect(session.register("rip")).toBe(COMPARE + 3n);
      target.setBreakpoint("software", COMPARE);
    }
    // Resumed on a breakpoint, it stops there.
    target.setBreakpoint("hardware", INCREMENT);
    expect(await session.next("continue")).toEqual({ kind: "hardware" });
    expect(await session.next("continue")).toEqual({ kind: "hardware" });
    target.detach();
    expect(await session.ended).toBe("reset");
    expect(session.register("rbx")).toBe(100n);
  });

  it("is changed in its registers and its code, which is translated anew", async () => {
    const session = new Session(counts);
    const { target } = session;
    target.setBreakpoint("hardware", COMPARE);
    await session.next("continue");
    expect(target.writeMemory(LIMIT, Uint8Array.of(5))).toBe(true);
    expect(target.writeRegister(x86RegisterNumber("rax"), Uint8Array.of(3, 0, 0, 0, 0, 0, 0, 0))).toBe(true);
    expect(target.writeRegister(x86RegisterNumber("cr0"), new Uint8Array(8))).toBe(false);
    expect(target.writeRegister(x86RegisterNumber("rip"), new Uint8Array(8).fill(0x7f))).toBe(false);
    target.clearBreakpoint("hardware", COMPARE);
    target.resume("continue");
    await session.ended;
    expect(session.register("rbx")).toBe(5n);
  });

  it("shows memory through the page tables, where there is any", () => {
    const { target, machine } = new Session(counts);
    expect([...target.readMemory(START, 4)]).toEqual([0x31, 0xc0, 0xff, 0xc0]);
    expect(target.readMemory(BigInt(4 * MEBIBYTE) - 2n, 8).length).toBe(2);
    for (const nowhere of [2n ** 47n, 2n ** 63n, 0xffff_8000_0000_0000n, 0xfee0_0000n]) {
      expect(target.readMemory(nowhere, 8).length).toBe(0);
      expect(target.writeMemory(nowhere, Uint8Array.of(1))).toBe(false);
    }
    expect(target.monitor("translate 100002")).toBe("0x100002\n");
    expect(target.monitor("info")).toContain("RIP 0000000000100000");
    expect(target.monitor("fly")).toBeUndefined();
    machine.pause();
  });

  it("stops behind what writes, or reads, watched bytes, and behind nothing else", async () => {
    const session = new Session(stores);
    const { target } = session;
    // The first byte of the second page: the access begins before it.
    expect(target.setBreakpoint("write", WATCHED, 1)).toBe(true);
    for (const count of [1n, 2n]) {
      expect(await session.next("continue")).toEqual({ kind: "write", address: WATCHED });
      expect([session.register("rip"), session.register("rax")]).toEqual([START + 11n, count]);
    }
    expect(target.clearBreakpoint("write", WATCHED, 1)).toBe(true);
    target.setBreakpoint("read", WATCHED - 2n, 4);
    expect(await session.next("continue")).toEqual({ kind: "read", address: WATCHED - 2n });
    expect([session.register("rip"), session.register("rbx")]).toEqual([START + 18n, 2n]);
    expect([...target.readMemory(WATCHED - 16n, 4)]).toEqual([1, 0, 0, 0]);
    target.detach();
    await session.ended;
    expect(session.register("rbx")).toBe(4n);
    expect([...target.readMemory(WATCHED - 2n, 4)]).toEqual([4, 0, 0, 0]);
  });

  it("is interrupted", async () => {
    const session = new Session(loops);
    const stopped = session.next("continue");
    setTimeout(() => session.target.interrupt(), 20);
    expect(await stopped).toEqual({ kind: "interrupted" });
    expect(session.register("rip")).toBe(START);
    expect(session.machine.isRunning).toBe(false);
  });

  it("has x87 and vector registers as gdb wants them", async () => {
    const session = new Session(elfProgram([0xd9, 0xe8, 0xeb, 0xfe])); // fld1
    const { target } = session;
    await session.next("step");
    expect(session.register("st0")).toBe(0x3fff_8000_0000_0000_0000n);
    expect([session.register("ftag"), session.register("fctrl")]).toEqual([0x3fffn, 0x37fn]);
    const pi = Uint8Array.of(0x35, 0xc2, 0x68, 0x21, 0xa2, 0xda, 0x0f, 0xc9, 0x00, 0x40);
    expect(target.writeRegister(x86RegisterNumber("st0"), pi)).toBe(true);
    expect(target.readRegister(x86RegisterNumber("st0"))).toEqual(pi);
    const vector = Uint8Array.from({ length: 16 }, (_, index) => index);
    expect(target.writeRegister(x86RegisterNumber("xmm15"), vector)).toBe(true);
    expect(target.readRegister(x86RegisterNumber("xmm15"))).toEqual(vector);
  });
});
