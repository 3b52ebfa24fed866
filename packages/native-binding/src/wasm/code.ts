/**
 * WebAssembly written as nested expressions: each function gives the bytes of an instruction behind its operands (core
 * specification, 5.4), and `wasmModule` puts functions together. As much of it as twins need.
 */
export type Code = readonly (number | Code)[];

export const I32 = 0x7f;
export const I64 = 0x7e;
export const V128 = 0x7b;
const EMPTY = 0x40;
const FUNCTION = 0x60;
/** Memories: the guest's, and one of the module's own. */
const GUEST = 0;
const OWN = 1;

function unsigned(value: number): number[] {
  const bytes: number[] = [];
  let rest = value >>> 0;
  for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return [...bytes, rest];
}

function signed(value: bigint): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>= 7n) {
    const group = Number(rest & 0x7fn);
    if (rest >= -64n && rest < 64n) return [...bytes, group];
    bytes.push(group | 0x80);
  }
}

type Operation = (...operands: Code[]) => Code;
/** A load or store at an address plus a constant; alignment is never promised. */
type Access = (offset: number, ...operands: Code[]) => Code;

const operation =
  (...opcode: number[]): Operation =>
  (...operands) => [...operands, ...opcode];
const access =
  (...opcode: number[]): Access =>
  (offset, ...operands) => [...operands, ...opcode, 0, ...unsigned(offset)];
/** In the module's own memory; a bit of the alignment says that a memory's number follows (5.4.6). */
const ownAccess =
  (...opcode: number[]): Access =>
  (offset, ...operands) => [...operands, ...opcode, 0x40, OWN, ...unsigned(offset)];

const named = <Name extends string>(
  opcodes: Readonly<Record<Name, number | readonly number[]>>,
): Record<Name, Operation> =>
  Object.fromEntries(
    Object.entries<number | readonly number[]>(opcodes).map(([name, opcode]) => [name, operation(...[opcode].flat())]),
  ) as Record<Name, Operation>;

interface I32Instructions extends Record<
  | "eqz"
  | "eq"
  | "ne"
  | "ltS"
  | "ltU"
  | "gtU"
  | "leU"
  | "geU"
  | "ctz"
  | "add"
  | "sub"
  | "mul"
  | "remU"
  | "and"
  | "or"
  | "xor"
  | "shl"
  | "shrU"
  | "wrap",
  Operation
> {
  readonly const: (value: number) => Code;
  readonly load: Access;
  readonly load8: Access;
  readonly store: Access;
}
export const i32: I32Instructions = {
  const: (value) => [0x41, ...signed(BigInt(value | 0))],
  load: access(0x28),
  load8: access(0x2d),
  store: access(0x36),
  ...named({
    eqz: 0x45,
    eq: 0x46,
    ne: 0x47,
    ltS: 0x48,
    ltU: 0x49,
    gtU: 0x4b,
    leU: 0x4d,
    geU: 0x4f,
    ctz: 0x68,
    add: 0x6a,
    sub: 0x6b,
    mul: 0x6c,
    remU: 0x70,
    and: 0x71,
    or: 0x72,
    xor: 0x73,
    shl: 0x74,
    shrU: 0x76,
    wrap: 0xa7,
  }),
};

interface I64Instructions extends Record<
  "eq" | "ltU" | "gtU" | "geU" | "add" | "sub" | "and" | "or" | "xor" | "shl" | "shrU" | "extendU" | "extendS",
  Operation
> {
  readonly const: (value: bigint) => Code;
  readonly load: Access;
  readonly store: Access;
}
export const i64: I64Instructions = {
  const: (value) => [0x42, ...signed(value)],
  load: access(0x29),
  store: access(0x37),
  ...named({
    eq: 0x51,
    ltU: 0x54,
    gtU: 0x56,
    geU: 0x5a,
    add: 0x7c,
    sub: 0x7d,
    and: 0x83,
    or: 0x84,
    xor: 0x85,
    shl: 0x86,
    shrU: 0x88,
    extendU: 0xad,
    extendS: 0xac,
  }),
};

interface V128Instructions extends Record<
  | "splat8"
  | "eq8"
  | "ne8"
  | "and"
  | "or"
  | "xor"
  | "allTrue8"
  | "minU8"
  | "bits8"
  | "add16"
  | "add32"
  | "pairs8"
  | "pairs16"
  | "productsLow8"
  | "productsHigh8",
  Operation
> {
  readonly load: Access;
  readonly const: (bytes: readonly number[]) => Code;
  readonly lane32: (lane: number, vector: Code) => Code;
}
export const v128: V128Instructions = {
  load: access(0xfd, 0x00),
  const: (bytes) => [0xfd, 0x0c, ...bytes],
  lane32: (lane, vector) => [vector, 0xfd, 0x1b, lane],
  ...named({
    splat8: [0xfd, 0x0f],
    eq8: [0xfd, 0x23],
    ne8: [0xfd, 0x24],
    and: [0xfd, 0x4e],
    or: [0xfd, 0x50],
    xor: [0xfd, 0x51],
    allTrue8: [0xfd, 0x63],
    bits8: [0xfd, 0x64],
    minU8: [0xfd, 0x77],
    add16: [0xfd, 0x8e, 0x01],
    add32: [0xfd, 0xae, 0x01],
    // Sums of neighbours, products of halves: unsigned, in lanes twice as wide.
    pairs8: [0xfd, 0x7d],
    pairs16: [0xfd, 0x7f],
    productsLow8: [0xfd, 0x9e, 0x01],
    productsHigh8: [0xfd, 0x9f, 0x01],
  }),
};

/** The module's own memory. */
export const own: Readonly<
  Record<"load8" | "load32" | "load64" | "load128" | "store8" | "store16" | "store32" | "store64" | "store128", Access>
> = {
  load8: ownAccess(0x2d),
  load32: ownAccess(0x28),
  load64: ownAccess(0x29),
  load128: ownAccess(0xfd, 0x00),
  store8: ownAccess(0x3a),
  store16: ownAccess(0x3b),
  store32: ownAccess(0x36),
  store64: ownAccess(0x37),
  store128: ownAccess(0xfd, 0x0b),
};

/** To, from, count. */
export const memoryCopy: Operation = operation(0xfc, 0x0a, GUEST, GUEST);
export const copyToOwn: Operation = operation(0xfc, 0x0a, OWN, GUEST);
export const copyFromOwn: Operation = operation(0xfc, 0x0a, GUEST, OWN);
export const memoryFill: Operation = operation(0xfc, 0x0b, GUEST);
/** To, byte, count. */
export const fillOwn: Operation = operation(0xfc, 0x0b, OWN);

export const get = (local: number): Code => [0x20, ...unsigned(local)];
export const set = (local: number, value: Code): Code => [value, 0x21, ...unsigned(local)];
export const tee = (local: number, value: Code): Code => [value, 0x22, ...unsigned(local)];
export const getGlobal = (index: number): Code => [0x23, ...unsigned(index)];
export const setGlobal = (index: number, value: Code): Code => [value, 0x24, ...unsigned(index)];
export const select = (yes: Code, no: Code, condition: Code): Code => [yes, no, condition, 0x1b];
export const call = (index: number, ...operands: Code[]): Code => [...operands, 0x10, ...unsigned(index)];
export const give = (...value: Code[]): Code => [...value, 0x0f];
export const when = (condition: Code, ...body: Code[]): Code => [condition, 0x04, EMPTY, ...body, 0x0b];
/** The body repeats where it says `again`, and ends behind itself otherwise. */
export const loop = (...body: Code[]): Code => [0x03, EMPTY, ...body, 0x0b];
/** Goes to the beginning of the innermost loop, `outer` blocks (of `loop` and `when`) further out. */
export const again = (outer = 0): Code => [0x0c, ...unsigned(outer)];

export interface WasmFunction {
  readonly parameters: readonly number[];
  readonly results: readonly number[];
  readonly locals: readonly number[];
  readonly body: Code;
  /** Under this name others find it. */
  readonly name?: string;
}

export interface WasmImport {
  readonly name: string;
  readonly parameters: readonly number[];
  readonly results: readonly number[];
}

const text = (name: string): Code => [name.length, ...new TextEncoder().encode(name)];
const vector = (items: readonly Code[]): Code => [...unsigned(items.length), ...items];
const withLength = (code: Code): Code => {
  const bytes = flat(code);
  return [...unsigned(bytes.length), bytes];
};
const section = (id: number, content: Code): Code => [id, withLength(content)];

function flat(code: Code, bytes: number[] = []): number[] {
  for (const part of code) {
    if (typeof part === "number") bytes.push(part);
    else flat(part, bytes);
  }
  return bytes;
}

/**
 * A module over the memory `e.memory`, of that many pages of 64 KiB, and one of its own, with its imports from `e` too.
 */
export function wasmModule(
  memoryPages: number,
  ownPages: number,
  imports: readonly WasmImport[],
  functions: readonly WasmFunction[],
  globals: readonly string[],
): Uint8Array<ArrayBuffer> {
  const type = ({ parameters, results }: WasmImport | WasmFunction): Code => [
    FUNCTION,
    vector(parameters.map((one) => [one])),
    vector(results.map((one) => [one])),
  ];
  const environment = text("e");
  const sections = [
    section(1, vector([...imports, ...functions].map(type))),
    section(
      2,
      vector([
        [environment, text("memory"), 2, 1, ...unsigned(memoryPages), ...unsigned(memoryPages)],
        ...imports.map(({ name }, index) => [environment, text(name), 0, ...unsigned(index)]),
      ]),
    ),
    section(3, vector(functions.map((_one, index) => unsigned(imports.length + index)))),
    section(5, vector([[1, ...unsigned(ownPages), ...unsigned(ownPages)]])),
    section(6, vector(globals.map(() => [I32, 1, i32.const(0), 0x0b]))),
    section(
      7,
      vector([
        ...functions.flatMap(({ name }, index) =>
          name === undefined ? [] : [[text(name), 0, ...unsigned(imports.length + index)]],
        ),
        ...globals.map((name, index) => [text(name), 3, ...unsigned(index)]),
      ]),
    ),
    section(
      10,
      vector(functions.map(({ locals, body }) => withLength([vector(locals.map((local) => [1, local])), body, 0x0b]))),
    ),
  ];
  return Uint8Array.from(flat([0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...sections]));
}
