import { describe, expect, it } from "vitest";
import { NEEDS_CC, nativeProgram } from "./native/node/processor.ts";
import { compareX87, CPU, LAYOUT, testX87, X87_CASES } from "./native/node/x87-cases.ts";
import * as arithmetic from "./x87-arithmetic.ts";
import * as control from "./x87-control.ts";
import * as move from "./x87-load-store.ts";
import { x87Imports } from "./x87-imports.ts";
import { X87, X87_MF, X87_OK } from "./x87-state.ts";

const native = nativeProgram() !== undefined;

describe.skipIf(!native)(`x87 against the processor (${NEEDS_CC})`, () => {
  it.each(X87_CASES.map((item) => [item.name, item] as const))("%s", (_name, item) => {
    expect(compareX87([item], 600, 1, 1)).toEqual([]);
  });
});

it("has its native reference in CI", () => {
  const expected = process.env["CI"] !== undefined && process.arch === "x64" && process.platform === "linux";
  expect(native || !expected).toBe(true);
});

describe("pending exceptions", () => {
  it("are raised by the next waiting instruction, and not by others", () => {
    const fpu = testX87();
    control.fninit(fpu, CPU);
    control.fldcw(fpu, CPU, 0x037b); // unmask ZE
    move.fldConstant(fpu, CPU, 0);
    move.fldConstant(fpu, CPU, 6);
    expect(arithmetic.arithToSt(fpu, CPU, arithmetic.X87_DIV, 1, 1)).toBe(X87_OK);
    // Nothing was popped, both operands are still there.
    expect(control.fnstsw(fpu, CPU)).toBe(0xb084);
    expect(control.fnstcw(fpu, CPU)).toBe(0x037b);
    expect(move.fxch(fpu, CPU, 1)).toBe(X87_MF);
    expect(control.fwait(fpu, CPU)).toBe(X87_MF);
    expect(arithmetic.fcomi(fpu, CPU, 1, 0, 0)).toBe(arithmetic.FCOMI_MF);
    expect(control.mmxEnter(fpu, CPU)).toBe(X87_MF);
    control.fnclex(fpu, CPU);
    expect(move.fxch(fpu, CPU, 1)).toBe(X87_OK);
  });

  it("follow the masks that FLDCW changes", () => {
    const fpu = testX87();
    control.fninit(fpu, CPU);
    move.fldConstant(fpu, CPU, 6);
    arithmetic.arithSt(fpu, CPU, arithmetic.X87_DIV, 0); // 0 / 0, masked
    expect(control.fnstsw(fpu, CPU)).toBe(0x3801);
    control.fldcw(fpu, CPU, 0x037e);
    expect(control.fnstsw(fpu, CPU)).toBe(0xb881);
  });
});

describe("memory that grows", () => {
  it("is seen anew at the next instruction, also above 2 GiB", () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 65536 });
    const views = {
      u8: new Uint8Array(memory.buffer),
      u16: new Uint16Array(memory.buffer),
      i32: new Int32Array(memory.buffer),
      refresh(): void {
        this.u8 = new Uint8Array(memory.buffer);
        this.u16 = new Uint16Array(memory.buffer);
        this.i32 = new Int32Array(memory.buffer);
      },
    };
    const imports = x87Imports(new X87(views, LAYOUT));
    imports.fninit(CPU);
    imports.fldConstant(CPU, 3);
    memory.grow(1);
    expect(imports.fstM64(CPU)).toBe(X87_OK);
    expect(new DataView(memory.buffer).getFloat64(CPU + LAYOUT.scratch, true)).toBe(Math.PI);
    memory.grow(32768);
    const high = 0x80000000 | 0; // as generated code passes it
    imports.fninit(high);
    imports.fldConstant(high, 0);
    expect(imports.fstM80(high)).toBe(X87_OK);
    expect(new DataView(memory.buffer).getUint16(2 ** 31 + LAYOUT.scratch + 8, true)).toBe(0x3fff);
  });
});

describe("environment images", () => {
  it("keep the pointers in every format", () => {
    const fpu = testX87();
    const { i32, u16 } = fpu.views;
    for (const format of [control.ENV32, control.ENV16_REAL, control.ENV32_REAL]) {
      control.fninit(fpu, CPU);
      i32[(CPU + LAYOUT.fip) >>> 2] = 0x000f1234;
      i32[(CPU + LAYOUT.fdp) >>> 2] = 0x00095678;
      u16[(CPU + LAYOUT.fop) >>> 1] = 0x5d9;
      move.fldConstant(fpu, CPU, 3);
      control.fnsave(fpu, CPU, format);
      expect(i32[(CPU + LAYOUT.fip) >>> 2]).toBe(0);
      control.frstor(fpu, CPU, format);
      expect(i32[(CPU + LAYOUT.fip) >>> 2]).toBe(0x000f1234);
      expect(i32[(CPU + LAYOUT.fdp) >>> 2]).toBe(0x00095678);
      expect(u16[(CPU + LAYOUT.fop) >>> 1]).toBe(0x5d9);
      expect(control.fnstsw(fpu, CPU)).toBe(0x3800);
      expect(control.tagWord(fpu, CPU)).toBe(0x3fff);
    }
  });
});
