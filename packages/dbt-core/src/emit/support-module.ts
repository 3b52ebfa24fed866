/**
 * The wasm functions every process has one instance of, bound to its trampoline table.
 *
 *   jump      to a guest address known only at run time: the jump cache, else the resolver
 *   trap      the stub that unlinked slots hold: asks the resolver, then goes on through what it answers
 *   leave     what the resolver answers when there is nowhere to go: returns -1
 *   run       the dispatch loop: jump, and jump again to whatever address comes back, until something leaves
 *   promote   like trap, for a region that has become hot
 *   compile   like trap, for threaded code that is worth compiling
 *   load, storeN   the soft-TLB check out of line, for code that runs seldom
 *   slow*     turn 64-bit parameters into halves for the JavaScript slow paths; stores beside code, on pages with guarded
 *             granules, are done here
 */
import { VALUE_TYPE_CODE, type ValueType } from "../ir/operations.ts";
import { type CodeLayout, EngineExit, Header } from "../layout.ts";
import { ByteWriter } from "../wasm/byte-writer.ts";
import { ModuleName, writeNameSection } from "../wasm/name-section.ts";
import { Wasm } from "./wasm-opcodes.ts";

const { localGet, localSet, localTee, i32Const, i64Const, i32Load, i64Load, i32Store, i64Store, end } = Wasm;
const I32_SHR_U = 0x76;
const I64_SHR_U = 0x88;
const I64_SHL = 0x86;
const I64_OR = 0x84;
const I64_EQ = 0x51;
const I32_XOR = 0x73;
const I32_SHL = 0x74;
const I32_EQ = 0x46;
const I32_EQZ = 0x45;
const I64_EQZ = 0x50;
const V128_LOAD = [0xfd, 0x00, 0x00];
const TABLE_COPY = [0xfc, 0x0e, 0x00, 0x00];

/** Like trap, by another import. */
function again(name: string, callee: number): SupportFunction {
  return {
    name,
    parameters: ["i32", "i64", "i32", "i32"],
    result: "i64",
    locals: [],
    code: [
      localGet,
      0,
      localGet,
      1,
      localGet,
      2,
      localGet,
      3,
      localGet,
      0,
      ...low(1),
      ...high(1),
      localGet,
      2,
      Wasm.call,
      callee,
      Wasm.returnCallIndirect,
      0,
      0,
    ],
  };
}

interface SupportFunction {
  readonly name: string;
  readonly parameters: readonly ValueType[];
  readonly result: ValueType | undefined;
  readonly locals: readonly ValueType[];
  readonly code: readonly number[];
}

function s32(value: number): number[] {
  const writer = new ByteWriter(8);
  writer.s32(value);
  return [...writer.toBytes()];
}
function u32(value: number): number[] {
  const writer = new ByteWriter(8);
  writer.u32(value);
  return [...writer.toBytes()];
}

const IMPORTS: readonly (readonly [string, readonly ValueType[]])[] = [
  ["resolve", ["i32", "i32", "i32", "i32"]],
  ["slowLoad", ["i32", "i32", "i32", "i32"]],
  ["slowStore", ["i32", "i32", "i32", "i32", "i32", "i32"]],
  ["slowStoreVector", ["i32", "i32", "i32", "i32"]],
  ["promote", ["i32", "i32", "i32", "i32"]],
  ["compile", ["i32", "i32", "i32", "i32"]],
];

/** Sizes of `load`'s and the stores' accesses are in the low byte of their `info`. */
const STORES: readonly (readonly [string, number, ValueType, readonly number[]])[] = [
  ["store1", 1, "i64", [0x3c, 0, 0]],
  ["store2", 2, "i64", [0x3d, 0, 0]],
  ["store4", 4, "i64", [0x3e, 0, 0]],
  ["store8", 8, "i64", [0x37, 0, 0]],
  ["store16", 16, "v128", [0xfd, 0x0b, 0, 0]],
];

const STORE_OF_SIZE: Readonly<Record<number, readonly number[]>> = Object.fromEntries(
  STORES.map(([, size, , store]) => [size, store]),
);
/** The i64 number of a place's granule, of 64 bytes, counted from anywhere 64 of them begin. */
const granuleOf = (place: readonly number[]): number[] => [...place, i32Const, 6, I32_SHR_U, Wasm.i64ExtendI32U];

/** Halves of the i64 in local n. */
const low = (local: number): number[] => [localGet, local, Wasm.i32WrapI64];
const high = (local: number): number[] => [localGet, local, i64Const, 32, I64_SHR_U, Wasm.i32WrapI64];

function functions(layout: CodeLayout): SupportFunction[] {
  const { jumpCache } = layout;
  const region: readonly ValueType[] = ["i32", "i64", "i32", "i32"];
  const mask = (1 << jumpCache.indexBits) - 1;
  const firstDefined = IMPORTS.length;
  const trap = firstDefined + 1;
  // The soft-TLB check of `MemoryEmitter`, with the entry in local `entry`; leaves what address and tag differ in.
  const { tlb } = layout;
  const lookUp = (tag: number, entry: number): number[] => [
    ...low(1),
    i32Const,
    ...s32(tlb.pageShift - tlb.entryShift),
    I32_SHR_U,
    i32Const,
    ...s32(((1 << tlb.indexBits) - 1) << tlb.entryShift),
    Wasm.i32And,
    localGet,
    0,
    Wasm.i32Add,
    localTee,
    entry,
    i64Load,
    3,
    ...u32(tlb.offset + tag),
    localGet,
    1,
    Wasm.i64Xor,
  ];
  const host = (tag: number, entry: number): number[] => [
    localGet,
    entry,
    i32Load,
    2,
    ...u32(tlb.offset + tag + tlb.addend),
    ...low(1),
    Wasm.i32Add,
  ];
  const jump = firstDefined;
  const slowStore = firstDefined + 5;
  const slowStoreVector = firstDefined + 6;
  const sizeIn = (info: number): number[] => [localGet, info, i32Const, ...s32(0xff), Wasm.i32And];
  /**
   * `if` the page may be read here and written but for guarded granules, has some of these, and none of them is touched: local 6 is
   * then the place in memory. Local 4 is the TLB entry, 5 the page's guard word. A page without guards is for the slow path, which
   * fills in the entry.
   */
  const ifBesideCode = (info: number): number[] => [
    ...lookUp(tlb.readTag, 4),
    i32Const,
    ...s32((1 << tlb.pageShift) + 1),
    ...sizeIn(info),
    Wasm.i32Sub,
    Wasm.i64ExtendI32U,
    Wasm.i64LtU,
    Wasm.if,
    0x7f,
    localGet,
    4,
    i32Load,
    2,
    ...u32(tlb.offset + tlb.writeTag + tlb.state),
    i32Const,
    ...s32(tlb.byGranule),
    Wasm.i32And,
    Wasm.if,
    0x7f,
    // The guard word of the host's page; its granules' bits are counted from the address, as shifts take the low six bits.
    ...host(tlb.readTag, 4),
    localTee,
    6,
    i32Const,
    ...s32(tlb.pageShift),
    I32_SHR_U,
    i32Const,
    3,
    I32_SHL,
    i64Load,
    3,
    ...u32(layout.guardWords),
    localTee,
    5,
    I64_EQZ,
    I32_EQZ,
    localGet,
    5,
    ...granuleOf([localGet, 6]),
    I64_SHR_U,
    localGet,
    5,
    ...granuleOf([localGet, 6, ...sizeIn(info), Wasm.i32Add, i32Const, 1, Wasm.i32Sub]),
    I64_SHR_U,
    I64_OR,
    Wasm.i32WrapI64,
    i32Const,
    ...s32(-1),
    I32_XOR,
    Wasm.i32And,
    i32Const,
    1,
    Wasm.i32And,
    Wasm.else,
    i32Const,
    0,
    end,
    Wasm.else,
    i32Const,
    0,
    end,
    Wasm.if,
    0x40,
  ];
  const spend = [
    localGet,
    0,
    localGet,
    0,
    i32Load,
    2,
    ...u32(Header.budget),
    i32Const,
    ...s32(1),
    Wasm.i32Sub,
    localTee,
    4,
    i32Store,
    2,
    ...u32(Header.budget),
    localGet,
    4,
    i32Const,
    ...s32(0),
    Wasm.i32LtS,
    Wasm.if,
    0x40,
    localGet,
    0,
    i32Const,
    ...s32(EngineExit.budget),
    i32Store,
    2,
    ...u32(Header.exitCode),
    localGet,
    0,
    localGet,
    1,
    i64Store,
    3,
    ...u32(Header.instructionPointer),
    i64Const,
    ...s32(-1),
    Wasm.return,
    end,
  ];
  /** If the way at this distance from the set in local 4 is for the address, through its slot. */
  const throughWay = (way: number): number[] => [
    localGet,
    4,
    i64Load,
    3,
    ...u32(jumpCache.offset + way),
    localGet,
    1,
    I64_EQ,
    Wasm.if,
    0x40,
    localGet,
    0,
    localGet,
    1,
    i32Const,
    ...s32(0),
    localGet,
    3,
    localGet,
    4,
    i32Load,
    2,
    ...u32(jumpCache.offset + way + 8),
    Wasm.returnCallIndirect,
    0,
    0,
    end,
  ];
  return [
    {
      name: "jump",
      parameters: region,
      result: "i64",
      locals: ["i32"],
      code: [
        ...spend,
        // set = context + ((address ^ address >> 12) & mask) * 32
        ...low(1),
        localGet,
        1,
        i64Const,
        ...s32(12),
        I64_SHR_U,
        Wasm.i32WrapI64,
        I32_XOR,
        i32Const,
        ...s32(mask),
        Wasm.i32And,
        i32Const,
        ...s32(5),
        I32_SHL,
        localGet,
        0,
        Wasm.i32Add,
        localSet,
        4,
        ...throughWay(0),
        ...throughWay(16),
        localGet,
        0,
        localGet,
        1,
        i32Const,
        ...s32(0),
        localGet,
        3,
        Wasm.returnCall,
        trap,
      ],
    },
    again("trap", 0),
    { name: "leave", parameters: region, result: "i64", locals: [], code: [i64Const, ...s32(-1)] },
    {
      name: "run",
      parameters: ["i32", "i32", "i32", "i32"],
      result: undefined,
      locals: ["i64"],
      code: [
        localGet,
        1,
        Wasm.i64ExtendI32U,
        localGet,
        2,
        Wasm.i64ExtendI32U,
        i64Const,
        32,
        I64_SHL,
        I64_OR,
        localSet,
        4,
        Wasm.loop,
        0x40,
        localGet,
        0,
        localGet,
        4,
        i32Const,
        ...s32(0),
        localGet,
        3,
        Wasm.call,
        jump,
        localTee,
        4,
        i64Const,
        ...s32(-1),
        Wasm.i64Ne,
        Wasm.brIf,
        0,
        end,
      ],
    },
    {
      name: "slowLoad",
      parameters: ["i32", "i64", "i32"],
      result: "i32",
      locals: [],
      code: [localGet, 0, ...low(1), ...high(1), localGet, 2, Wasm.call, 1],
    },
    {
      name: "slowStore",
      parameters: ["i32", "i64", "i64", "i32"],
      result: "i32",
      locals: ["i32", "i64", "i32"],
      code: [
        ...ifBesideCode(3),
        // Where it is, and the value; then the size decides.
        ...[8, 4, 2].flatMap((size) => [
          ...sizeIn(3),
          i32Const,
          size,
          I32_EQ,
          Wasm.if,
          0x40,
          localGet,
          6,
          localGet,
          2,
          ...STORE_OF_SIZE[size],
          i32Const,
          0,
          Wasm.return,
          end,
        ]),
        localGet,
        6,
        localGet,
        2,
        ...STORE_OF_SIZE[1],
        i32Const,
        0,
        Wasm.return,
        end,
        localGet,
        0,
        ...low(1),
        ...high(1),
        ...low(2),
        ...high(2),
        localGet,
        3,
        Wasm.call,
        2,
      ],
    },
    {
      name: "slowStoreVector",
      parameters: ["i32", "i64", "i32"],
      result: "i32",
      locals: ["i64", "i32", "i64", "i32"],
      code: [
        ...ifBesideCode(2),
        localGet,
        6,
        localGet,
        0,
        ...V128_LOAD,
        ...u32(Header.storeValue),
        ...STORE_OF_SIZE[16],
        i32Const,
        0,
        Wasm.return,
        end,
        localGet,
        0,
        ...low(1),
        ...high(1),
        localGet,
        2,
        Wasm.call,
        3,
      ],
    },
    {
      name: "load",
      parameters: ["i32", "i64", "i32"],
      result: "i32",
      locals: ["i32"],
      code: [
        ...lookUp(tlb.readTag, 3),
        i32Const,
        ...s32((1 << tlb.pageShift) + 1),
        localGet,
        2,
        i32Const,
        ...s32(0xff),
        Wasm.i32And,
        Wasm.i32Sub,
        Wasm.i64ExtendI32U,
        Wasm.i64LtU,
        Wasm.if,
        0x7f,
        ...host(tlb.readTag, 3),
        Wasm.else,
        localGet,
        0,
        ...low(1),
        ...high(1),
        localGet,
        2,
        Wasm.call,
        1,
        end,
      ],
    },
    ...STORES.map(([name, size, type, store]): SupportFunction => ({
      name,
      parameters: ["i32", "i64", type, "i32"],
      result: "i32",
      locals: ["i32"],
      code: [
        ...lookUp(tlb.writeTag, 4),
        i64Const,
        ...s32((1 << tlb.pageShift) - size + 1),
        Wasm.i64LtU,
        Wasm.if,
        0x7f,
        ...host(tlb.writeTag, 4),
        localGet,
        2,
        ...store,
        i32Const,
        ...s32(0),
        Wasm.else,
        ...(type === "v128"
          ? [
              localGet,
              0,
              localGet,
              2,
              0xfd,
              0x0b,
              0,
              ...u32(Header.storeValue),
              localGet,
              0,
              localGet,
              1,
              localGet,
              3,
              Wasm.call,
              slowStoreVector,
            ]
          : [localGet, 0, localGet, 1, localGet, 2, localGet, 3, Wasm.call, slowStore]),
        end,
      ],
    })),
    again("promote", 4),
    again("compile", 5),
    {
      name: "copySlot",
      parameters: ["i32", "i32"],
      result: undefined,
      locals: [],
      code: [localGet, 0, localGet, 1, i32Const, ...s32(1), ...TABLE_COPY],
    },
  ];
}

/** What an instance of the support module exports. */
export interface SupportExports {
  readonly jump: CallableFunction;
  readonly trap: CallableFunction;
  readonly leave: CallableFunction;
  readonly run: (context: number, addressLow: number, addressHigh: number, depth: number) => void;
  readonly slowLoad: CallableFunction;
  readonly slowStore: CallableFunction;
  readonly slowStoreVector: CallableFunction;
  readonly load: CallableFunction;
  readonly store1: CallableFunction;
  readonly store2: CallableFunction;
  readonly store4: CallableFunction;
  readonly store8: CallableFunction;
  readonly store16: CallableFunction;
  readonly promote: CallableFunction;
  readonly compile: CallableFunction;
  readonly copySlot: (to: number, from: number) => void;
}

export function supportModule(layout: CodeLayout, memoryPages: number): Uint8Array<ArrayBuffer> {
  const defined = functions(layout);
  const out = new ByteWriter(4096);
  const scratch = new ByteWriter(4096);
  const body = new ByteWriter(1024);
  // Type 0 must be the regions'.
  const types: (readonly [readonly ValueType[], ValueType | undefined])[] = [
    [["i32", "i64", "i32", "i32"], "i64"],
    ...IMPORTS.map(([, parameters]) => [parameters, "i32"] as const),
    ...defined.map((definition) => [definition.parameters, definition.result] as const),
  ];
  out.raw(Uint8Array.of(0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00));
  const section = (id: number, write: (writer: ByteWriter) => void): void => {
    out.u8(id);
    out.sized(scratch, write);
  };
  section(1, (writer) => {
    writer.u32(types.length);
    for (const [parameters, result] of types) {
      writer.u8(0x60);
      writer.u32(parameters.length);
      for (const parameter of parameters) writer.u8(VALUE_TYPE_CODE[parameter]);
      writer.u32(result === undefined ? 0 : 1);
      if (result !== undefined) writer.u8(VALUE_TYPE_CODE[result]);
    }
  });
  section(2, (writer) => {
    writer.u32(IMPORTS.length + 2);
    IMPORTS.forEach(([name], index) => {
      writer.name("j");
      writer.name(name);
      writer.u8(0);
      writer.u32(1 + index);
    });
    writer.name("e");
    writer.name("table");
    writer.raw(Uint8Array.of(1, 0x70, 0, 1));
    writer.name("e");
    writer.name("memory");
    writer.u8(2);
    writer.u8(1);
    writer.u32(memoryPages);
    writer.u32(memoryPages);
  });
  section(3, (writer) => {
    writer.u32(defined.length);
    defined.forEach((definition, index) => {
      // The region-typed functions must share type 0 for calls through the table.
      const isRegion = definition.result === "i64";
      writer.u32(isRegion ? 0 : 1 + IMPORTS.length + index);
    });
  });
  section(7, (writer) => {
    writer.u32(defined.length);
    defined.forEach((definition, index) => {
      writer.name(definition.name);
      writer.u8(0);
      writer.u32(IMPORTS.length + index);
    });
  });
  section(10, (writer) => {
    writer.u32(defined.length);
    for (const definition of defined) {
      body.reset();
      body.u32(definition.locals.length);
      for (const local of definition.locals) {
        body.u32(1);
        body.u8(VALUE_TYPE_CODE[local]);
      }
      body.raw(Uint8Array.from(definition.code));
      body.u8(end);
      writer.u32(body.length);
      writer.raw(body.bytes, 0, body.length);
    }
  });
  const names = defined.map(({ name }, index): [number, string] => [IMPORTS.length + index, name]);
  writeNameSection(out, scratch, ModuleName.support, names);
  return out.toBytes();
}
