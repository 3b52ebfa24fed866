/**
 * The registers of an x86-64 processor as gdb knows them: the target description with gdb's own features
 * (`org.gnu.gdb.i386.core`, `.sse`, `.segments`; GDB manual, appendix G.5.6), and one of our own with what only a
 * supervisor has. Numbers follow the order here.
 */
import { ExtendedState, FXSAVE_BYTES, Mxcsr, StateOffset, VECTOR_STRIDE } from "@doppel/guest-x86";
import { isCanonical, type Registers, SegmentIndex } from "../cpu/registers.ts";

interface RegisterAccess {
  readonly bytes: number;
  read(registers: Registers): bigint;
  /** Absent: a debugger cannot change it. */
  write?(registers: Registers, value: bigint): boolean;
}

interface Register extends RegisterAccess {
  readonly name: string;
  readonly type: string;
  readonly group?: string;
}

interface Feature {
  readonly name: string;
  readonly types?: string;
  readonly registers: readonly Register[];
}

/** gdb's order, in encoding order's numbers. */
const generalRegisters = { rax: 0, rbx: 3, rcx: 1, rdx: 2, rsi: 6, rdi: 7, rbp: 5, rsp: 4 } as const;
const segmentRegisters = ["cs", "ss", "ds", "es", "fs", "gs"] as const;

// Where FXSAVE has them (SDM vol. 1, table 10-2).
const FXSAVE = { control: 0, status: 2, tags: 4, opcode: 6, instruction: 8, data: 16, registers: 32 } as const;
const X87_REGISTERS = 8;
const XMM_REGISTERS = 16;
/** CF, PF, AF, ZF, SF, TF, IF, DF, OF, IOPL, NT, RF, AC, VIF, VIP, ID: VM86 is not for 64-bit mode. */
const FLAGS_WRITABLE = 0x3d7fd5n;

function number(bytes: Uint8Array): bigint {
  let value = 0n;
  for (let index = bytes.length - 1; index >= 0; index--) value = (value << 8n) | BigInt(bytes[index]);
  return value;
}

function put(bytes: Uint8Array, value: bigint): void {
  let rest = value;
  for (let index = 0; index < bytes.length; index++, rest >>= 8n) bytes[index] = Number(rest & 0xffn);
}

const unsigned = (value: number): bigint => BigInt.asUintN(64, BigInt(value));

/** A register of 64 bits that holds an address. */
function address(
  read: (registers: Registers) => number,
  write: (registers: Registers, value: number) => void,
): RegisterAccess {
  return {
    bytes: 8,
    read: (registers) => unsigned(read(registers)),
    write: (registers, value) => {
      const wanted = Number(BigInt.asIntN(64, value));
      if (isCanonical(wanted)) write(registers, wanted);
      return isCanonical(wanted);
    },
  };
}

function general(index: number): RegisterAccess {
  return {
    bytes: 8,
    read: (registers) => (BigInt(registers.high(index) >>> 0) << 32n) | BigInt(registers.low(index) >>> 0),
    write: (registers, value) => {
      registers.set(index, Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n)));
      return true;
    },
  };
}

function constant(bytes: number, read: (registers: Registers) => bigint | number): RegisterAccess {
  return { bytes, read: (registers) => BigInt.asUintN(8 * bytes, BigInt(read(registers))) };
}

/** A field of the x87 state. */
function x87(bytes: number, offset: number, length: number): RegisterAccess {
  return {
    bytes,
    read: (registers) => number(x87Image(registers).subarray(offset, offset + length)),
    write: (registers, value) => {
      const image = x87Image(registers);
      put(image.subarray(offset, offset + length), value);
      new ExtendedState(registers.bytes.buffer).load(registers.pointer, image);
      return true;
    },
  };
}

function x87Image({ bytes, pointer }: Registers): Uint8Array {
  const image = new Uint8Array(FXSAVE_BYTES);
  new ExtendedState(bytes.buffer).save(pointer, image);
  return image;
}

/** The tag word of FSAVE (SDM vol. 1, 8.1.7), from FXSAVE's: in use or not is all that that knows. */
const tagWord: RegisterAccess = {
  bytes: 4,
  read: (registers) => {
    const inUse = x87Image(registers)[FXSAVE.tags];
    let word = 0;
    for (let index = 0; index < X87_REGISTERS; index++) if ((inUse & (1 << index)) === 0) word |= 3 << (2 * index);
    return BigInt(word);
  },
  write: (registers, value) => {
    let inUse = 0n;
    for (let index = 0n; index < X87_REGISTERS; index++)
      if (((value >> (2n * index)) & 3n) !== 3n) inUse |= 1n << index;
    return x87(4, FXSAVE.tags, 1).write?.(registers, inUse) === true;
  },
};

function vector(index: number): RegisterAccess {
  const place = ({ bytes, pointer }: Registers): Uint8Array => {
    const at = pointer + StateOffset.xmm + VECTOR_STRIDE * index;
    return bytes.subarray(at, at + 16);
  };
  return {
    bytes: 16,
    read: (registers) => number(place(registers)),
    write: (registers, value) => {
      put(place(registers), value);
      return true;
    },
  };
}

const flags: RegisterAccess = {
  bytes: 4,
  read: (registers) => BigInt(registers.flags >>> 0),
  write: (registers, value) => {
    registers.flags = Number(value & FLAGS_WRITABLE);
    return true;
  },
};

const mxcsr: RegisterAccess = {
  bytes: 4,
  read: (registers) => BigInt(registers.mxcsr >>> 0),
  write: (registers, value) => {
    if (value > BigInt(Mxcsr.writable)) return false;
    registers.view.setUint32(registers.pointer + StateOffset.mxcsr, Number(value), true);
    return true;
  },
};

const base = (segment: number): RegisterAccess =>
  address(
    (registers) => registers.base(segment),
    (registers, value) => registers.setBase(segment, value),
  );

const X87_CONTROL: readonly (readonly [string, RegisterAccess])[] = [
  ["fctrl", x87(4, FXSAVE.control, 2)],
  ["fstat", x87(4, FXSAVE.status, 2)],
  ["ftag", tagWord],
  ["fiseg", x87(4, FXSAVE.instruction + 4, 2)],
  ["fioff", x87(4, FXSAVE.instruction, 4)],
  ["foseg", x87(4, FXSAVE.data + 4, 2)],
  ["fooff", x87(4, FXSAVE.data, 4)],
  ["fop", x87(4, FXSAVE.opcode, 2)],
];

const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

const features: readonly Feature[] = [
  {
    name: "org.gnu.gdb.i386.core",
    types: `<flags id="x64_eflags" size="4">${[
      ["CF", 0],
      ["PF", 2],
      ["AF", 4],
      ["ZF", 6],
      ["SF", 7],
      ["TF", 8],
      ["IF", 9],
      ["DF", 10],
      ["OF", 11],
      ["NT", 14],
      ["RF", 16],
      ["AC", 18],
      ["ID", 21],
    ]
      .map(([name, bit]) => `<field name="${name}" start="${bit}" end="${bit}"/>`)
      .join("")}</flags>`,
    registers: [
      ...Object.entries(generalRegisters).map(([name, index]) => ({ name, type: "int64", ...general(index) })),
      ...range(8).map((index) => ({ name: `r${index + 8}`, type: "int64", ...general(index + 8) })),
      {
        name: "rip",
        type: "code_ptr",
        ...address(
          (registers) => registers.rip,
          (registers, value) => {
            registers.rip = value;
          },
        ),
      },
      { name: "eflags", type: "x64_eflags", ...flags },
      ...segmentRegisters.map((name) => ({
        name,
        type: "int32",
        ...constant(4, (registers) => registers.selector(SegmentIndex[name])),
      })),
      ...range(X87_REGISTERS).map((index) => ({
        name: `st${index}`,
        type: "i387_ext",
        ...x87(10, FXSAVE.registers + 16 * index, 10),
      })),
      ...X87_CONTROL.map(([name, access]) => ({ name, type: "int", group: "float", ...access })),
    ],
  },
  {
    name: "org.gnu.gdb.i386.sse",
    types: `<vector id="v4f" type="ieee_single" count="4"/><vector id="v2d" type="ieee_double" count="2"/><vector id="v16i8" type="int8" count="16"/><vector id="v8i16" type="int16" count="8"/><vector id="v4i32" type="int32" count="4"/><vector id="v2i64" type="int64" count="2"/><union id="vec128"><field name="v4_float" type="v4f"/><field name="v2_double" type="v2d"/><field name="v16_int8" type="v16i8"/><field name="v8_int16" type="v8i16"/><field name="v4_int32" type="v4i32"/><field name="v2_int64" type="v2i64"/><field name="uint128" type="uint128"/></union>`,
    registers: [
      ...range(XMM_REGISTERS).map((index) => ({ name: `xmm${index}`, type: "vec128", ...vector(index) })),
      { name: "mxcsr", type: "int", group: "vector", ...mxcsr },
    ],
  },
  {
    name: "org.gnu.gdb.i386.segments",
    registers: [
      { name: "fs_base", type: "uint64", ...base(SegmentIndex.fs) },
      { name: "gs_base", type: "uint64", ...base(SegmentIndex.gs) },
    ],
  },
  {
    name: "org.doppel.x86.system",
    registers: [
      {
        name: "k_gs_base",
        type: "uint64",
        ...address(
          (registers) => registers.kernelGsBase,
          (registers, value) => {
            registers.kernelGsBase = value;
          },
        ),
      },
      { name: "cr0", type: "uint64", ...constant(8, (registers) => registers.cr0 >>> 0) },
      {
        name: "cr2",
        type: "uint64",
        ...constant(8, (registers) => unsigned(registers.cr2High * 2 ** 32 + (registers.cr2Low >>> 0))),
      },
      { name: "cr3", type: "uint64", ...constant(8, (registers) => registers.cr3) },
      { name: "cr4", type: "uint64", ...constant(8, (registers) => registers.cr4 >>> 0) },
      { name: "efer", type: "uint64", ...constant(8, (registers) => registers.efer) },
    ].map((register) => ({ ...register, group: "system" })),
  },
];

const all: readonly Register[] = features.flatMap(({ registers }) => registers);

export const x86RegisterCount: number = all.length;

/** The number of a register by its name. */
export function x86RegisterNumber(name: string): number {
  return all.findIndex((register) => register.name === name);
}

/** Little-endian, as many bytes as the description says. */
export function readX86Register(registers: Registers, index: number): Uint8Array {
  const register = all[index];
  const value = new Uint8Array(register.bytes);
  put(value, register.read(registers));
  return value;
}

/** False when a debugger cannot change it, or not to this. What depends on it is the caller's to tell. */
export function writeX86Register(registers: Registers, index: number, value: Uint8Array): boolean {
  return all[index].write?.(registers, number(value)) === true;
}

export const x86TargetDescription: string = `<?xml version="1.0"?>
<!DOCTYPE target SYSTEM "gdb-target.dtd">
<target version="1.0">
<architecture>i386:x86-64</architecture>
${features
  .map(
    ({ name, types = "", registers }) => `<feature name="${name}">${types}
${registers
  .map(
    (register) =>
      `<reg name="${register.name}" bitsize="${8 * register.bytes}" type="${register.type}"${
        register.group === undefined ? "" : ` group="${register.group}"`
      }/>`,
  )
  .join("\n")}
</feature>`,
  )
  .join("\n")}
</target>
`;
