/**
 * WebAssembly back into text: the instructions the emitters use (core specification, 5.4), read from a finished module.
 * Names come from the tables that emitters write from, so that an operation has one spelling.
 */
import { operations, type Operation } from "../ir/operations.ts";
import { Wasm } from "../emit/wasm-opcodes.ts";

export interface WasmInstruction {
  readonly name: string;
  /** Blocks around it. */
  readonly depth: number;
  /** Indices, constants, alignment and offset, in the order of the encoding. */
  readonly immediates: readonly (number | bigint)[];
  /** What stands behind the name: names where there are any. */
  readonly text: string;
  /** Values that it takes from the stack, and puts there. What opens a block puts nothing: its end does. */
  readonly pops: number;
  readonly pushes: number;
}

export interface WasmFunction {
  readonly parameters: readonly string[];
  readonly result: string;
  /** Types of the locals behind the parameters. */
  readonly locals: readonly string[];
  readonly instructions: readonly WasmInstruction[];
  /** Length of its body: locals and code. */
  readonly bytes: number;
}

interface FunctionType {
  readonly parameters: readonly string[];
  readonly results: readonly string[];
}

const TYPE_NAME: Readonly<Record<number, string>> = {
  0x7f: "i32",
  0x7e: "i64",
  0x7d: "f32",
  0x7c: "f64",
  0x7b: "v128",
  0x70: "funcref",
};
const BLOCK_EMPTY = 0x40;
const SECTION = { type: 1, import: 2, function: 3, code: 10 } as const;
const KIND = { function: 0, table: 1, memory: 2 } as const;
/** Names of a region's parameters; see region-emitter.ts. */
const PARAMETER_NAMES = ["$context", "$address", "$slot", "$depth"];

/** `i64ExtendI32U` is `i64.extend_i32_u`, `brIf` is `br_if`, `localGet` is `local.get`. */
function textName(name: string): string {
  if (name.startsWith("select")) return "select";
  const dotted = /^(local|i32|i64|f32|f64|v128|i8x16|i16x8|i32x4|i64x2|f32x4|f64x2)(?=[A-Z])(.*)$/.exec(name);
  const snake = (text: string): string => text.replaceAll(/(?<!^)[A-Z]/g, (letter) => `_${letter}`).toLowerCase();
  return dotted === null ? snake(name) : `${dotted[1]}.${snake(dotted[2])}`;
}

const nameOf: Map<number, string> = new Map();
const immediateOf: Map<number, Operation["immediate"]> = new Map();
const effectOf: Map<number, readonly [pops: number, pushes: number]> = new Map();
for (const { name, opcode, operands, result, immediate } of operations) {
  if (opcode < 0) continue;
  nameOf.set(opcode, textName(name));
  immediateOf.set(opcode, immediate);
  effectOf.set(opcode, [operands.length, result === undefined ? 0 : 1]);
}
for (const [name, opcode] of Object.entries(Wasm)) {
  nameOf.set(opcode, textName(name));
  if (/Load/.test(name)) effectOf.set(opcode, [1, 1]);
  if (/Store/.test(name)) effectOf.set(opcode, [2, 0]);
}
/** Of control and locals; calls are as their types say. */
const CONTROL: readonly (readonly [opcode: number, pops: number, pushes: number])[] = [
  [Wasm.if, 1, 0],
  [Wasm.brIf, 1, 0],
  [Wasm.brTable, 1, 0],
  [Wasm.return, 1, 0],
  [Wasm.drop, 1, 0],
  [Wasm.localGet, 0, 1],
  [Wasm.localSet, 1, 0],
  [Wasm.localTee, 1, 1],
];
for (const [opcode, pops, pushes] of CONTROL) effectOf.set(opcode, [pops, pushes]);

/** Loads and stores carry an alignment and an offset. */
function isMemoryAccess(opcode: number): boolean {
  return (
    (opcode >= 0x28 && opcode <= 0x3e) ||
    (opcode >= 0xfd00 && opcode <= 0xfd0b) ||
    opcode === 0xfd5c ||
    opcode === 0xfd5d
  );
}

class Reader {
  readonly bytes: Uint8Array;
  position: number;

  constructor(bytes: Uint8Array, position = 0) {
    this.bytes = bytes;
    this.position = position;
  }

  u8(): number {
    if (this.position >= this.bytes.length) throw new RangeError("the module ends too early");
    return this.bytes[this.position++];
  }

  u32(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.u8();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  }

  signed(): bigint {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.u8();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asIntN(Number(shift) + 7, value);
    }
  }

  raw(length: number): Uint8Array {
    this.position += length;
    return this.bytes.subarray(this.position - length, this.position);
  }

  name(): string {
    return String.fromCharCode(...this.raw(this.u32()));
  }
}

/** The functions a module of the emitter defines, in order. */
export function readModule(bytes: Uint8Array): WasmFunction[] {
  const reader = new Reader(bytes, 8);
  let types: FunctionType[] = [];
  let imports: Callee[] = [];
  let declared: number[] = [];
  const functions: WasmFunction[] = [];
  while (reader.position < bytes.length) {
    const id = reader.u8();
    const end = reader.u32() + reader.position;
    if (id === SECTION.type) types = list(reader, () => functionType(reader));
    else if (id === SECTION.import) imports = list(reader, () => importedFunction(reader, types)).flat();
    else if (id === SECTION.function) declared = list(reader, () => reader.u32());
    else if (id === SECTION.code) {
      list(reader, () => functions.push(functionBody(reader, types[declared[functions.length]], imports)));
    }
    reader.position = end;
  }
  return functions;
}

function list<T>(reader: Reader, item: () => T): T[] {
  return Array.from({ length: reader.u32() }, item);
}

function functionType(reader: Reader): FunctionType {
  reader.u8();
  const type = (): string => TYPE_NAME[reader.u8()] ?? "?";
  return { parameters: list(reader, type), results: list(reader, type) };
}

interface Callee {
  readonly name: string;
  readonly type: FunctionType;
}

/** An imported function; nothing where something else is imported. */
function importedFunction(reader: Reader, types: readonly FunctionType[]): Callee[] {
  reader.name();
  const name = reader.name();
  const kind = reader.u8();
  if (kind === KIND.function) return [{ name, type: types[reader.u32()] }];
  if (kind === KIND.table) reader.u8();
  if (kind === KIND.table || kind === KIND.memory) {
    const limits = reader.u8();
    reader.u32();
    if ((limits & 1) !== 0) reader.u32();
  }
  return [];
}

function functionBody(reader: Reader, type: FunctionType, imports: readonly Callee[]): WasmFunction {
  const bytes = reader.u32();
  const end = reader.position + bytes;
  const locals: string[] = [];
  list(reader, () => {
    const count = reader.u32();
    const name = TYPE_NAME[reader.u8()] ?? "?";
    for (let index = 0; index < count; index++) locals.push(name);
  });
  const instructions: WasmInstruction[] = [];
  let depth = 0;
  while (reader.position < end - 1) {
    let opcode = reader.u8();
    if (opcode >= 0xfc) opcode = (opcode << 8) | reader.u32();
    if (opcode === Wasm.end || opcode === Wasm.else) depth--;
    instructions.push(instruction(reader, opcode, depth, imports, type));
    if (opcode === Wasm.block || opcode === Wasm.loop || opcode === Wasm.if || opcode === Wasm.else) depth++;
  }
  reader.position = end;
  return { parameters: type.parameters, result: type.results[0] ?? "", locals, instructions, bytes };
}

function localName(index: number): string {
  return PARAMETER_NAMES[index] ?? `$${index}`;
}

/** @param own the type of the function itself, which is that of all the functions that modules define */
function instruction(
  reader: Reader,
  opcode: number,
  depth: number,
  imports: readonly Callee[],
  own: FunctionType,
): WasmInstruction {
  const name = nameOf.get(opcode);
  if (name === undefined) throw new Error(`WebAssembly opcode 0x${opcode.toString(16)} has no name here`);
  const immediates: (number | bigint)[] = [];
  const u32 = (): number => {
    const value = reader.u32();
    immediates.push(value);
    return value;
  };
  const signed = (): string => {
    const value = reader.signed();
    immediates.push(value);
    return `${value}`;
  };
  const hex = (length: number): string =>
    [...reader.raw(length)].map((byte) => `0x${byte.toString(16).padStart(2, "0")}`).join(" ");
  const [pops, pushes] = effectOf.get(opcode) ?? [0, 0];
  const made = (text: string): WasmInstruction => ({ name, depth, immediates, text, pops, pushes });
  const call = (type: FunctionType, text: string, others: number): WasmInstruction => ({
    ...made(text),
    pops: type.parameters.length + others,
    pushes: name.startsWith("return") ? 0 : type.results.length,
  });
  if (isMemoryAccess(opcode)) {
    u32();
    const offset = u32();
    return made(offset === 0 ? "" : `offset=${offset}`);
  }
  switch (opcode) {
    case Wasm.block:
    case Wasm.loop:
    case Wasm.if: {
      const type = reader.u8();
      return made(type === BLOCK_EMPTY ? "" : `(result ${TYPE_NAME[type] ?? "?"})`);
    }
    case Wasm.br:
    case Wasm.brIf:
      return made(`${u32()}`);
    case Wasm.call:
    case Wasm.returnCall: {
      const callee = u32();
      const imported = imports[callee];
      return call(imported?.type ?? own, `$${imported?.name ?? callee}`, 0);
    }
    case Wasm.callIndirect:
    case Wasm.returnCallIndirect:
      u32();
      u32();
      return call(own, "(type $region)", 1);
    case Wasm.brTable:
      return made(list(reader, u32).concat(u32()).join(" "));
    case Wasm.localGet:
    case Wasm.localSet:
    case Wasm.localTee:
      return made(localName(u32()));
    case Wasm.i32Const:
    case Wasm.i64Const:
      return made(signed());
    default:
      break;
  }
  switch (immediateOf.get(opcode)) {
    case "lane":
      return made(`${u32()}`);
    case "shuffle":
      return made(hex(16));
    case "v128":
      return made(`i8x16 ${hex(16)}`);
    default:
      return made("");
  }
}

/** A function in the manner of the text format, one instruction a line. */
export function formatFunction({ parameters, result, locals, instructions }: WasmFunction): string {
  const lines = [
    `(func ${parameters.map((type, index) => `(param ${localName(index)} ${type})`).join(" ")} (result ${result})`,
  ];
  for (let index = 0; index < locals.length;) {
    let end = index;
    while (end < locals.length && locals[end] === locals[index]) end++;
    const first = parameters.length + index;
    const range =
      end - index === 1 ? localName(first) : `${localName(first)}..${localName(parameters.length + end - 1)}`;
    lines.push(`  (local ${range} ${locals[index]})`);
    index = end;
  }
  for (const { name, depth, text } of instructions)
    lines.push(`${"  ".repeat(depth + 1)}${name}${text === "" ? "" : ` ${text}`}`);
  lines.push(")");
  return `${lines.join("\n")}\n`;
}
