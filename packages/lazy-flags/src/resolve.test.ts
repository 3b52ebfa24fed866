import { describe, expect, it } from "vitest";
import {
  type FlagAlgebra,
  FlagCondition,
  FlagKind,
  type FlagRecord,
  resolveCondition,
  resolveFlag,
  FlagBit,
} from "./index.ts";

/** Values are the expressions that stand for them: what code a translator would make. */
const text = (strings: TemplateStringsArray, ...parts: readonly unknown[]): string =>
  String.raw({ raw: strings }, ...parts);

const symbolic: FlagAlgebra<string> = {
  constant: (value) => `${value}`,
  bit: (value) => (value ? "1" : "0"),
  widen: (bit) => bit,
  add: (a, b) => text`(${a} + ${b})`,
  subtract: (a, b) => text`(${a} - ${b})`,
  and: (a, b) => text`(${a} & ${b})`,
  xor: (a, b) => text`(${a} ^ ${b})`,
  shiftLeft: (a, count) => text`(${a} << ${count})`,
  isZero: (a) => text`(${a} == 0)`,
  isNegative: (a) => text`(${a} < 0)`,
  evenParity: (a) => text`parity(${a})`,
  testBit: (a, index) => text`bit(${a}, ${index})`,
  equal: (a, b) => text`(${a} == ${b})`,
  lessUnsigned: (a, b) => text`(${a} <u ${b})`,
  lessSigned: (a, b) => text`(${a} <s ${b})`,
  lessOrEqualUnsigned: (a, b) => text`(${a} <=u ${b})`,
  lessOrEqualSigned: (a, b) => text`(${a} <=s ${b})`,
  productOverflows: (a, b) => text`overflows(${a} * ${b})`,
  floatLess: (a, b) => text`(${a} <f ${b})`,
  floatGreaterOrEqual: (a, b) => text`(${a} >=f ${b})`,
  not: (a) => text`!${a}`,
  both: (a, b) => text`(${a} && ${b})`,
  either: (a, b) => text`(${a} || ${b})`,
  differ: (a, b) => text`(${a} != ${b})`,
};

/** A record that notes which of its fields are read. */
function watched(fields: Partial<FlagRecord<string>>): { record: FlagRecord<string>; read: Set<string> } {
  const read = new Set<string>();
  const all: FlagRecord<string> = {
    kind: FlagKind.subtract,
    width: 32,
    carryWidth: 32,
    a: "a",
    b: "b",
    result: "r",
    carryRule: 0,
    addend: undefined,
    carryIn: undefined,
    carry: undefined,
    overflow: undefined,
    ...fields,
  };
  const record = new Proxy(all, {
    get: (target, name: keyof FlagRecord<string>) => {
      read.add(name);
      return target[name];
    },
  });
  return { record, read };
}

describe("resolution", () => {
  it("F3 a comparison and a condition are one comparison of the parameters", () => {
    const { record } = watched({});
    const resolved = (condition: number): string => resolveCondition(condition, record, symbolic);
    expect(resolved(FlagCondition.below)).toBe("(a <u b)");
    expect(resolved(FlagCondition.belowOrEqual)).toBe("(a <=u b)");
    expect(resolved(FlagCondition.equal)).toBe("(a == b)");
    expect(resolved(FlagCondition.less)).toBe("(a <s b)");
    expect(resolved(FlagCondition.lessOrEqual)).toBe("(a <=s b)");
    expect(resolved(FlagCondition.greater)).toBe("!(a <=s b)");
  });

  it("F4 only the flag that is asked for is worked out", () => {
    const { record, read } = watched({ kind: FlagKind.increment });
    expect(resolveFlag(FlagBit.zero, record, symbolic)).toBe("(r == 0)");
    expect(read.has("a")).toBe(false);
    expect(read.has("b")).toBe(false);

    const second = watched({ kind: FlagKind.shiftLeft, carry: "c" });
    expect(resolveFlag(FlagBit.carry, second.record, symbolic)).toBe("c");
    expect(second.read.has("result")).toBe(false);
  });

  it("F6 carry after INC is that of the instruction before it", () => {
    const { record } = watched({ kind: FlagKind.increment });
    expect(resolveFlag(FlagBit.carry, record, symbolic)).toBe("(a <u b)");
  });

  it("F6 ADC and SBB take the carry that went in into account", () => {
    const { record } = watched({ carryIn: "c" });
    expect(resolveCondition(FlagCondition.less, record, symbolic)).toBe("((a <s b) || ((a == b) && c))");
    expect(resolveFlag(FlagBit.carry, record, symbolic)).toBe("((a <u b) || ((a == b) && c))");
  });
});
