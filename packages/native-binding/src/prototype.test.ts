import { assert, integer, property } from "fast-check";
import { describe, expect, it } from "vitest";
import { C, type CType, pointerTo, PrototypeError, structOffsets } from "./c-types.ts";
import { nativeFunction, resumableFunction } from "./native-function.ts";
import { prototype } from "./prototype.ts";
import { FakeProcess } from "./testing/fake-process.ts";

const INTEGERS: readonly number[] = [7, 6, 2, 1, 8, 9];
const site = (): FakeProcess["process"] => new FakeProcess().process;

describe("prototypes", () => {
  it("B2 say where parameters are: integers and floating point in registers of their own, then the stack", () => {
    const { process, registers, view, stack } = new FakeProcess();
    const eight = prototype(C.void, [C.int, C.double, ...INTEGERS.map(() => C.long), C.float, C.char] as const);
    INTEGERS.forEach((register, index) => registers.set(register, index - 3, index === 0 ? 99 : -1));
    registers.setVectorWord(0, 1, 0x3ff80000);
    registers.setVectorWord(1, 0, 0x40200000);
    view.setInt32(stack + 8, 5, true);
    view.setInt32(stack + 12, 1, true);
    view.setInt32(stack + 16, -2, true);
    expect(eight.readArguments(process)).toEqual([
      -3,
      1.5,
      -2n,
      -1n,
      -4294967296n,
      -4294967295n,
      -4294967294n,
      4294967301n,
      2.5,
      -2,
    ]);
  });

  it("B2 on i386 all parameters are on the stack, eight bytes where they have them", () => {
    const fake = new FakeProcess();
    fake.abi = "i386";
    const { view, stack } = fake;
    view.setInt32(stack + 4, -1, true);
    view.setFloat64(stack + 8, 0.75, true);
    view.setInt32(stack + 16, 0x1234, true);
    view.setBigInt64(stack + 20, -5n, true);
    const four = prototype(C.longLong, [C.signedChar, C.double, C.pointer, C.longLong]);
    expect(four.readArguments(fake.process)).toEqual([-1, 0.75, 0x1234, -5n]);
    four.writeResult(fake.process, -(2n ** 40n));
    expect([fake.registers.low(0), fake.registers.low(2)]).toEqual([0, -256]);
    expect(prototype(C.double, []).fits("i386")).toBe(false);
  });

  it("B2 variable arguments go on where the declared ones end", () => {
    const { process, registers } = new FakeProcess();
    INTEGERS.forEach((register, index) => registers.set(register, 10 + index, 0));
    registers.setVectorWord(0, 1, 0x40000000);
    const list = prototype(C.int, [C.pointer], { variadic: true }).variableArguments(process);
    expect([list.next(C.int), list.next(C.double), list.next(C.long), list.next(C.unsignedChar)]).toEqual([
      11,
      2,
      12n,
      13,
    ]);
  });

  it("B2 structs are laid out as the ABI says, and read and written in place", () => {
    const fields = { a: C.char, b: C.double, c: C.short, d: C.pointer };
    expect(structOffsets(fields, "amd64")).toEqual({ a: 0, b: 8, c: 16, d: 24 });
    expect(structOffsets(fields, "i386")).toEqual({ a: 0, b: 4, c: 12, d: 16 });
    const { process, registers, view } = new FakeProcess();
    // Across two pages.
    registers.set(7, 2 * 4096 - 12, 0);
    const [struct] = prototype(C.void, [pointerTo("s", fields)]).readArguments(process);
    struct.set("b", 1.25);
    struct.set("d", 0x7fff_1234_5678);
    expect([struct.get("b"), struct.get("d"), view.getFloat64(2 * 4096 - 4, true)]).toEqual([
      1.25, 0x7fff_1234_5678, 1.25,
    ]);
  });

  it.each([C.char, C.unsignedChar, C.short, C.unsignedShort, C.int, C.unsignedInt] as const)(
    "B2 $name: what is encoded is decoded, and what does not fit wraps around",
    (type) => {
      const bits = 8 * type.bytes("amd64");
      assert(
        property(integer(), integer(), (value, above) => {
          const wrapped = Number(
            type.signed ? BigInt.asIntN(bits, BigInt(value)) : BigInt.asUintN(bits, BigInt(value)),
          );
          const { low, high } = type.encode(value, "amd64");
          expect(type.decode(low, high, "amd64", site().memory)).toBe(wrapped);
          // What a caller left above the type's width does not count.
          const dirty = bits === 32 ? low : (low & ((1 << bits) - 1)) | (above << bits);
          expect(type.decode(dirty, above, "amd64", site().memory)).toBe(wrapped);
        }),
        { numRuns: 50 },
      );
    },
  );

  it("B2 wrong ones are errors when they are declared", () => {
    const wrong = (declare: () => unknown, message: RegExp): void => {
      expect(declare).toThrow(PrototypeError);
      expect(declare).toThrow(message);
    };
    wrong(() => prototype(C.int, [C.void]), /parameter 1 is void/);
    wrong(() => prototype(C.int, [C.int, undefined as unknown as CType<number>]), /parameter 2 is no type/);
    wrong(() => prototype(C.int, [], { variadic: true }), /needs a parameter/);
    wrong(() => pointerTo("s", { nothing: C.void }), /field nothing is void/);
    const seven = prototype(
      C.int,
      Array.from({ length: 7 }, () => C.int),
    );
    const run = (): number => 0;
    wrong(() => nativeFunction({ name: "all", prototype: seven, run }), /cannot be a binding's name/);
    wrong(
      () => nativeFunction({ name: "f", prototype: seven, atLeast: { parameter: 6, value: 1 }, run }),
      /in no register/,
    );
    wrong(
      () =>
        resumableFunction({
          name: "f",
          prototype: seven,
          callees: { callback: { prototype: seven } },
          start: () => ({ returns: 0 }),
          resume: () => ({ returns: 0 }),
        }),
      /passes arguments on the stack/,
    );
  });
});
