/**
 * What a pure operation gives, asked of WebAssembly itself: a function for each operation, made from its row in
 * `operations.ts` and nothing else of the emitter.
 *
 * Values in JavaScript: i32 and f32 as 32 bits in a number, i64 and f64 as 64 bits in a signed bigint (floats as bit
 * patterns, so that no NaN loses its payload), v128 as an unsigned bigint, lane 0 lowest.
 */
import { type Operation, operations, VALUE_TYPE_CODE, type ValueType } from "../ir/operations.ts";
import { ByteWriter } from "../wasm/byte-writer.ts";

export type Value = number | bigint;

const LOCAL_GET = 0x20;
const I64X2_SPLAT = 0xfd12;
const I64X2_REPLACE_LANE = 0xfd1e;
const I64X2_EXTRACT_LANE = 0xfd1d;
const TO_BITS: Readonly<Partial<Record<ValueType, number>>> = { f32: 0xbc, f64: 0xbd };
const FROM_BITS: Readonly<Partial<Record<ValueType, number>>> = { f32: 0xbe, f64: 0xbf };
const EQUIVALENT: Readonly<Record<ValueType, readonly ValueType[]>> = {
  i32: ["i32"],
  i64: ["i64"],
  f32: ["i32"],
  f64: ["i64"],
  v128: ["i64", "i64"],
};

type Compiled = (...values: Value[]) => Value | [bigint, bigint];

function signature(types: readonly ValueType[]): number[] {
  const all = types.flatMap((type) => EQUIVALENT[type]);
  return [all.length, ...all.map((type) => VALUE_TYPE_CODE[type])];
}

function compile(operation: Operation, immediate: readonly number[]): Compiled {
  const { operands } = operation;
  const result = operation.result!;
  const body = new ByteWriter(64);
  // A vector result is taken apart from a local.
  body.raw(result === "v128" ? Uint8Array.of(1, 1, VALUE_TYPE_CODE.v128) : Uint8Array.of(0));
  let parameter = 0;
  for (const type of operands) {
    body.u8(LOCAL_GET);
    body.u32(parameter++);
    if (type === "v128") {
      body.opcode(I64X2_SPLAT);
      body.u8(LOCAL_GET);
      body.u32(parameter++);
      body.opcode(I64X2_REPLACE_LANE);
      body.u8(1);
    } else if (FROM_BITS[type] !== undefined) body.u8(FROM_BITS[type]);
  }
  body.opcode(operation.opcode);
  body.raw(Uint8Array.from(immediate));
  if (result === "v128") {
    body.raw(Uint8Array.of(0x22, parameter));
    body.opcode(I64X2_EXTRACT_LANE);
    body.raw(Uint8Array.of(0, LOCAL_GET, parameter));
    body.opcode(I64X2_EXTRACT_LANE);
    body.u8(1);
  } else if (TO_BITS[result] !== undefined) body.u8(TO_BITS[result]);
  body.u8(0x0b);

  const out = new ByteWriter(256);
  const section = (id: number, content: readonly number[]): void => {
    out.u8(id);
    out.u32(content.length);
    out.raw(Uint8Array.from(content));
  };
  out.raw(Uint8Array.of(0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00));
  section(1, [1, 0x60, ...signature(operands), ...signature([result])]);
  section(3, [1, 0]);
  section(7, [1, 1, 0x66, 0, 0]);
  const size = new ByteWriter(8);
  size.u32(body.length);
  section(10, [1, ...size.toBytes(), ...body.toBytes()]);
  const instance = new WebAssembly.Instance(new WebAssembly.Module(out.toBytes()));
  return instance.exports["f"] as Compiled;
}

const compiled: Map<string, Compiled> = new Map();

/** `immediate`: the lane, or the sixteen lanes of a shuffle, as the operation has it. */
export function evaluatePure(op: number, values: readonly Value[], immediate: readonly number[]): Value {
  const operation = operations[op];
  const key = `${op}:${immediate.join()}`;
  let run = compiled.get(key);
  if (run === undefined) compiled.set(key, (run = compile(operation, immediate)));
  const parts: Value[] = [];
  operation.operands.forEach((type, index) => {
    if (type === "v128") parts.push(BigInt.asIntN(64, values[index] as bigint), (values[index] as bigint) >> 64n);
    else parts.push(values[index]);
  });
  const result = run(...parts);
  if (typeof result !== "object") return result;
  return (BigInt.asUintN(64, result[1]) << 64n) | BigInt.asUintN(64, result[0]);
}
