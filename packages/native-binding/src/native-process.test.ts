import { describe, expect, it } from "vitest";
import { C } from "./c-types.ts";
import { GuestFault } from "./guest-memory.ts";
import { nativeFunction, resumableFunction } from "./native-function.ts";
import { NativeFrames } from "./native-frames.ts";
import { Outcome } from "./native-process.ts";
import { prototype } from "./prototype.ts";
import { FakeProcess } from "./testing/fake-process.ts";
import { twins } from "./twins/index.ts";

const unary = prototype(C.int, [C.int]);
const twice = resumableFunction({
  name: "twice",
  prototype: unary,
  callees: { scale: { prototype: unary, native: (_call, value: number) => 10 * value } },
  start: (_call, value) => ({ call: "scale", values: [value], state: { round: 1 } }),
  resume: (_call, state: { round: number }, result) => {
    if (state.round === 2) return { returns: result };
    return { call: "scale", values: [result], state: { round: 2 } };
  },
});
const RDI = 7;
const RSI = 6;

/** Compares the four-byte numbers that RDI and RSI point to. */
function compareNumbers(process: FakeProcess): number {
  const { view, registers } = process;
  return Math.sign(view.getInt32(registers.low(RDI), true) - view.getInt32(registers.low(RSI), true));
}

function putNumbers(process: FakeProcess, address: number, numbers: readonly number[]): void {
  numbers.forEach((value, index) => process.view.setInt32(address + 4 * index, value, true));
}
function numbersAt(process: FakeProcess, address: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => process.view.getInt32(address + 4 * index, true));
}

describe("calls of guest functions", () => {
  it("B3 go to the guest where a bind point names a function, and stay native without", () => {
    const process = new FakeProcess([twice]);
    expect(process.call("twice", 3)).toBe(300);
    process.guestFunction(function scale(inside) {
      return inside.registers.low(RDI) + 1;
    });
    process.bindPoints.push({ native: "twice.scale", guest: { name: "scale" } });
    expect(process.call("twice", 3)).toBe(5);
    process.bindPoints[0] = { native: "twice.scale", guest: { name: "nobody" } };
    expect(process.call("twice", 3)).toBe(300);
  });

  it("B4 nest: a comparator sorts with a comparator", () => {
    const process = new FakeProcess(twins);
    const numbers = [5, 3, 9, 1, 7, 7, 0, 2];
    const sorted: string[] = [];
    let depth = 0;
    const compare = process.guestFunction((inside) => {
      const order = compareNumbers(inside);
      if (depth < 2) {
        depth++;
        putNumbers(inside, 8192 * depth, [2, 1, 3]);
        inside.call("qsort", 8192 * depth, 3, 4, compare);
        sorted.push(numbersAt(inside, 8192 * depth, 3).join());
        depth--;
      }
      return order;
    });
    putNumbers(process, 4096, numbers);
    process.call("qsort", 4096, numbers.length, 4, compare);
    expect(numbersAt(process, 4096, numbers.length)).toEqual(numbers.toSorted((a, b) => a - b));
    expect(sorted.length).toBeGreaterThan(50);
    expect(new Set(sorted)).toEqual(new Set(["1,2,3"]));
    expect(process.process.frames.size).toBe(0);
  });

  it("B5 find the guest as it was: a fault in between is repeated from the same state", () => {
    const process = new FakeProcess(twins);
    const numbers = Array.from({ length: 2000 }, (_, index) => (index * 7919) % 2003);
    let calls = 0;
    const compare = process.guestFunction((inside) => {
      // The pages that are sorted may not be written, and then may again.
      if (++calls === 5000) inside.rights[3] = "r";
      return compareNumbers(inside);
    });
    putNumbers(process, 3 * 4096, numbers);
    const resume = process.process.resume.bind(process.process);
    let faults = 0;
    process.process.resume = (address) => {
      try {
        return resume(address);
      } catch (error) {
        if (!(error instanceof GuestFault)) throw error;
        faults++;
        process.rights[3] = "rw";
        return resume(address);
      }
    };
    process.call("qsort", 3 * 4096, numbers.length, 4, compare);
    expect(faults).toBe(1);
    expect(numbersAt(process, 3 * 4096, numbers.length)).toEqual(numbers.toSorted((a, b) => a - b));
  });

  it("B6 that never return leave nothing: their frames go when their words on the stack do", () => {
    const process = new FakeProcess(twins);
    const compare = process.guestFunction(() => {
      throw new RangeError("longjmp");
    });
    const top = process.stack;
    for (let round = 0; round < 3000; round++) {
      // At ever other depths, over what was there.
      process.setStackPointer(top - 16 * (round % 500));
      process.bytes.fill(0, process.stack - 64, process.stack);
      expect(() => process.call("qsort", 4096, 10, 4, compare)).toThrow(RangeError);
    }
    expect(process.process.frames.size).toBeLessThanOrEqual(1000);
    process.bytes.fill(0, 4096);
    process.process.frames.sweep(process.process.memory);
    expect(process.process.frames.size).toBe(0);
    // A return to the resume address that nobody waits for is the guest's own affair.
    expect(process.process.resume(0x40_0051)).toBe(Outcome.guest);
  });

  it("C1 wait as plain data: saved in the middle of a sort, gone on with elsewhere", () => {
    const first = new FakeProcess(twins);
    const frames = new NativeFrames();
    let saved = "";
    const compare = (inside: FakeProcess): number => {
      if (inside === first && saved === "" && inside.process.frames.size === 1) {
        saved = "now";
        frames.load(inside.process.frames.save());
        second.bytes.set(inside.bytes);
        second.registers.general.set(inside.registers.general);
        second.setStackPointer(inside.stack);
      }
      return compareNumbers(inside);
    };
    const second = new FakeProcess(twins, frames);
    const numbers = [4, 2, 8, 6, 1, 9, 3];
    putNumbers(first, 4096, numbers);
    second.guestFunction(compare);
    first.call("qsort", 4096, numbers.length, 4, first.guestFunction(compare));
    // The other process is inside the comparator, of whose first call this is.
    let outcome: number;
    const resumeAddress = second.process.memory.word(second.stack);
    do {
      const inside = second.stack;
      second.setWord(0, compareNumbers(second));
      second.setStackPointer(inside + 8);
      outcome = second.process.resume(resumeAddress);
    } while (outcome === Outcome.call);
    expect(outcome).toBe(Outcome.returned);
    for (const process of [first, second])
      expect(numbersAt(process, 4096, numbers.length)).toEqual(numbers.toSorted((a, b) => a - b));
  });
});

describe("protection", () => {
  it("B7 a twin of libc's that may not touch all of its memory leaves the call to the guest, with nothing written", () => {
    const process = new FakeProcess(twins);
    process.rights[8] = "r";
    process.rights[10] = "";
    process.bytes.fill(7, 4096, 16384);
    const before = process.bytes.slice(0, 0x3_0000);
    expect(process.call("memcpy", 7 * 4096, 4096, 5000)).toBeUndefined();
    expect(process.call("memset", 7 * 4096, 1, 5000)).toBeUndefined();
    expect(process.call("memmove", 4096, 9 * 4096, 5000)).toBeUndefined();
    expect(process.call("strcpy", 7 * 4096 + 4000, 4096)).toBeUndefined();
    expect(process.call("strlen", 9 * 4096 + 4095)).toBe(0);
    expect(process.call("crc32", 0, 9 * 4096, 4097)).toBeUndefined();
    expect(process.call("memcpy", 2 ** 40, 4096, 16)).toBeUndefined();
    expect(process.bytes.subarray(0, 0x3_0000)).toEqual(before);
    expect(process.call("memcpy", 6 * 4096 + 1, 4096, 5000)).toBe(6 * 4096 + 1);
  });

  it("B7 a twin that does not look first writes up to the fault, and says where it is", () => {
    const fill = nativeFunction({
      name: "fill",
      prototype: prototype(C.void, [C.pointer, C.size]),
      run: ({ memory }, to, length) => memory.copyOut(to, new Uint8Array(length).fill(9)),
    });
    const process = new FakeProcess([fill]);
    process.rights[6] = "r";
    expect(() => process.call("fill", 5 * 4096 + 4000, 200)).toThrow(new GuestFault(6 * 4096, true));
    expect(process.bytes.indexOf(9)).toBe(5 * 4096 + 4000);
    expect(process.bytes.lastIndexOf(9)).toBe(6 * 4096 - 1);
  });
});
