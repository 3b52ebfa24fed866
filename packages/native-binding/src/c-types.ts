/**
 * C types as values, and how each is represented in TypeScript.
 *
 * ```text
 *   integers of up to 32 bits, float, double, _Bool   number
 *   long, long long and their like                    bigint: exact
 *   pointers, size_t                                  number: exact for every address a process can have
 *   T *, a pointer to a struct                        StructView: fields by name, read and written in guest memory
 * ```
 */
import type { GuestMemory } from "./guest-memory.ts";

/** The data models of the System V ABIs: AMD64 (LP64) and i386 (ILP32). */
export type Abi = "amd64" | "i386";

export interface CType<T> {
  /** As C spells it. */
  readonly name: string;
  readonly kind: "void" | "integer" | "float";
  readonly signed: boolean;
  /** Size in bytes, also its alignment except where i386 aligns eight bytes to four; 0 for void. */
  bytes(abi: Abi): number;
  /** From the low and high 32 bits of a register or memory; what is above the type's width is ignored. */
  decode(low: number, high: number, abi: Abi, memory: GuestMemory): T;
  /** The bits, sign- or zero-extended to 64. Values out of range wrap around as C's conversions do. */
  encode(value: T, abi: Abi): Halves;
}

export interface Halves {
  readonly low: number;
  readonly high: number;
}

/** A type, a prototype or a binding that cannot be: said when it is declared. */
export class PrototypeError extends TypeError {
  constructor(message: string) {
    super(message);
    this.name = "PrototypeError";
  }
}

const TWO_32 = 2 ** 32;
const scratch = new DataView(new ArrayBuffer(8));

function narrow(name: string, bytes: 1 | 2 | 4, signed: boolean): CType<number> {
  const shift = 32 - 8 * bytes;
  const fit = (value: number): number => (signed ? (value << shift) >> shift : (value << shift) >>> shift);
  return {
    name,
    kind: "integer",
    signed,
    bytes: () => bytes,
    decode: (low) => fit(low),
    encode: (value) => ({ low: fit(value) | 0, high: fit(value) < 0 ? -1 : 0 }),
  };
}

function wide(name: string, signed: boolean, bytes: (abi: Abi) => number): CType<bigint> {
  const fit = (value: bigint, abi: Abi): bigint =>
    signed ? BigInt.asIntN(8 * bytes(abi), value) : BigInt.asUintN(8 * bytes(abi), value);
  return {
    name,
    kind: "integer",
    signed,
    bytes,
    decode: (low, high, abi) => fit((BigInt(high) << 32n) | BigInt(low >>> 0), abi),
    encode: (value, abi) => {
      const bits = fit(value, abi);
      return { low: Number(BigInt.asIntN(32, bits)), high: Number(BigInt.asIntN(32, bits >> 32n)) };
    },
  };
}

function word(name: string): CType<number> {
  return {
    name,
    kind: "integer",
    signed: false,
    bytes: (abi) => (abi === "amd64" ? 8 : 4),
    decode: (low, high, abi) => (abi === "amd64" ? (high >>> 0) * TWO_32 : 0) + (low >>> 0),
    encode: (value) => ({ low: value | 0, high: Math.floor(value / TWO_32) | 0 }),
  };
}

function signedWord(name: string): CType<number> {
  return {
    ...word(name),
    signed: true,
    decode: (low, high, abi) => (abi === "amd64" ? (high | 0) * TWO_32 + (low >>> 0) : low | 0),
  };
}

const eight = (): number => 8;
const byModel = (abi: Abi): number => (abi === "amd64" ? 8 : 4);

export interface StandardTypes {
  readonly void: CType<void>;
  readonly bool: CType<boolean>;
  readonly char: CType<number>;
  readonly signedChar: CType<number>;
  readonly unsignedChar: CType<number>;
  readonly short: CType<number>;
  readonly unsignedShort: CType<number>;
  readonly int: CType<number>;
  readonly unsignedInt: CType<number>;
  readonly long: CType<bigint>;
  readonly unsignedLong: CType<bigint>;
  readonly longLong: CType<bigint>;
  readonly unsignedLongLong: CType<bigint>;
  readonly float: CType<number>;
  readonly double: CType<number>;
  readonly size: CType<number>;
  readonly signedSize: CType<number>;
  readonly pointer: CType<number>;
}

/** The types themselves. `pointer` is `void *`, also a function's address; `size` is `size_t`. */
export const C: StandardTypes = {
  void: {
    name: "void",
    kind: "void",
    signed: false,
    bytes: () => 0,
    decode: () => undefined,
    encode: () => ({ low: 0, high: 0 }),
  },
  bool: {
    name: "_Bool",
    kind: "integer",
    signed: false,
    bytes: () => 1,
    decode: (low) => (low & 0xff) !== 0,
    encode: (value) => ({ low: value ? 1 : 0, high: 0 }),
  },
  // Plain char is signed on both (System V AMD64 ABI, figure 3.1).
  char: narrow("char", 1, true),
  signedChar: narrow("signed char", 1, true),
  unsignedChar: narrow("unsigned char", 1, false),
  short: narrow("short", 2, true),
  unsignedShort: narrow("unsigned short", 2, false),
  int: narrow("int", 4, true),
  unsignedInt: narrow("unsigned int", 4, false),
  long: wide("long", true, byModel),
  unsignedLong: wide("unsigned long", false, byModel),
  longLong: wide("long long", true, eight),
  unsignedLongLong: wide("unsigned long long", false, eight),
  float: {
    name: "float",
    kind: "float",
    signed: true,
    bytes: () => 4,
    decode: (low) => {
      scratch.setInt32(0, low);
      return scratch.getFloat32(0);
    },
    encode: (value) => {
      scratch.setFloat32(0, value);
      return { low: scratch.getInt32(0), high: 0 };
    },
  },
  double: {
    name: "double",
    kind: "float",
    signed: true,
    bytes: eight,
    decode: (low, high) => {
      scratch.setInt32(0, high);
      scratch.setInt32(4, low);
      return scratch.getFloat64(0);
    },
    encode: (value) => {
      scratch.setFloat64(0, value);
      return { low: scratch.getInt32(4), high: scratch.getInt32(0) };
    },
  },
  size: word("size_t"),
  signedSize: signedWord("ssize_t"),
  pointer: word("void *"),
};

/** Fields of a struct, in order. */
export type Fields = Readonly<Record<string, CType<unknown>>>;
export type ValueOf<T> = T extends CType<infer V> ? V : never;

/** A struct in guest memory. Reading and writing a field faults as the guest's own access would. */
export interface StructView<F extends Fields> {
  readonly address: number;
  get<K extends keyof F>(field: K): ValueOf<F[K]>;
  set<K extends keyof F>(field: K, value: ValueOf<F[K]>): void;
}

/** Byte offsets of the fields (System V ABIs: natural alignment; i386 aligns eight bytes to four). */
export function structOffsets<F extends Fields>(fields: F, abi: Abi): { readonly [K in keyof F]: number } {
  const offsets: Record<string, number> = {};
  let at = 0;
  for (const [name, type] of Object.entries(fields)) {
    const size = type.bytes(abi);
    if (size === 0) throw new PrototypeError(`field ${name} is ${type.name}, which has no size`);
    const alignment = abi === "i386" ? Math.min(size, 4) : size;
    at = Math.ceil(at / alignment) * alignment;
    offsets[name] = at;
    at += size;
  }
  return offsets as { readonly [K in keyof F]: number };
}

/** `struct name *` as a parameter. */
export function pointerTo<F extends Fields>(name: string, fields: F): CType<StructView<F>> {
  const offsets = { amd64: structOffsets(fields, "amd64"), i386: structOffsets(fields, "i386") };
  return {
    ...C.pointer,
    name: `struct ${name} *`,
    encode: (view, abi) => C.pointer.encode(view.address, abi),
    decode: (low, high, abi, memory) => {
      const address = C.pointer.decode(low, high, abi, memory);
      return {
        address,
        get: (field) => memory.read(fields[field], address + offsets[abi][field], abi) as ValueOf<F[typeof field]>,
        set: (field, value) => memory.write(fields[field], address + offsets[abi][field], value, abi),
      };
    },
  };
}
