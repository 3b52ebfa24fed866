/**
 * The operations of the intermediate representation, declared once.
 *
 * Pure value operations are WebAssembly's own (same names, same semantics), so a guest's semantics can be written
 * against a documented machine and emitting them is a table look-up. Operations with effects (guest memory, guest
 * state, exits, helpers) are listed after them; how they become code is the emitter's business.
 *
 * Grammar of a row: `name = opcode : operands -> result [immediate]`
 *   operands, result  i = i32, l = i64, f = f32, d = f64, v = v128, - = none
 *   immediate         `lane` a lane index, `shuffle` sixteen lane indices, `i32`/`i64`/`v128` a constant
 */
export type ValueType = "i32" | "i64" | "f32" | "f64" | "v128";

/** WebAssembly's one-byte encodings of the value types, in the order of `ValueType`. */
export const VALUE_TYPE_CODE: Readonly<Record<ValueType, number>> = {
  i32: 0x7f,
  i64: 0x7e,
  f32: 0x7d,
  f64: 0x7c,
  v128: 0x7b,
};

export type Immediate = "none" | "lane" | "shuffle" | "i32" | "i64" | "v128";

export interface Operation {
  readonly name: string;
  /** The WebAssembly opcode; SIMD opcodes carry the 0xfd prefix as 0xfd00 | opcode. -1 where the emitter composes. */
  readonly opcode: number;
  readonly operands: readonly ValueType[];
  readonly result: ValueType | undefined;
  readonly immediate: Immediate;
  /** No effect and no dependence on anything but its operands: may be dropped, moved later or emitted at its use. */
  readonly pure: boolean;
  /** May leave the region with the state as of the current guest instruction's start. */
  readonly mayFault: boolean;
}

const PURE = `
i32Const = 41 : -> i i32
i64Const = 42 : -> l i64
v128Const = fd0c : -> v v128
select32 = 1b : iii -> i
select64 = 1b : lli -> l
selectF32 = 1b : ffi -> f
selectF64 = 1b : ddi -> d
selectV128 = 1b : vvi -> v
i32Eqz = 45 : i -> i
i32Eq i32Ne i32LtS i32LtU i32GtS i32GtU i32LeS i32LeU i32GeS i32GeU = 46 : ii -> i
i64Eqz = 50 : l -> i
i64Eq i64Ne i64LtS i64LtU i64GtS i64GtU i64LeS i64LeU i64GeS i64GeU = 51 : ll -> i
f32Eq f32Ne f32Lt f32Gt f32Le f32Ge = 5b : ff -> i
f64Eq f64Ne f64Lt f64Gt f64Le f64Ge = 61 : dd -> i
i32Clz i32Ctz i32Popcnt = 67 : i -> i
i32Add i32Sub i32Mul i32DivS i32DivU i32RemS i32RemU i32And i32Or i32Xor i32Shl i32ShrS i32ShrU i32Rotl i32Rotr = 6a : ii -> i
i64Clz i64Ctz i64Popcnt = 79 : l -> l
i64Add i64Sub i64Mul i64DivS i64DivU i64RemS i64RemU i64And i64Or i64Xor i64Shl i64ShrS i64ShrU i64Rotl i64Rotr = 7c : ll -> l
f32Abs f32Neg f32Ceil f32Floor f32Trunc f32Nearest f32Sqrt = 8b : f -> f
f32Add f32Sub f32Mul f32Div f32Min f32Max f32Copysign = 92 : ff -> f
f64Abs f64Neg f64Ceil f64Floor f64Trunc f64Nearest f64Sqrt = 99 : d -> d
f64Add f64Sub f64Mul f64Div f64Min f64Max f64Copysign = a0 : dd -> d
i32WrapI64 = a7 : l -> i
i64ExtendI32S i64ExtendI32U = ac : i -> l
f32ConvertI32S f32ConvertI32U = b2 : i -> f
f32ConvertI64S f32ConvertI64U = b4 : l -> f
f32DemoteF64 = b6 : d -> f
f64ConvertI32S f64ConvertI32U = b7 : i -> d
f64ConvertI64S f64ConvertI64U = b9 : l -> d
f64PromoteF32 = bb : f -> d
i32ReinterpretF32 = bc : f -> i
i64ReinterpretF64 = bd : d -> l
f32ReinterpretI32 = be : i -> f
f64ReinterpretI64 = bf : l -> d
i32Extend8S i32Extend16S = c0 : i -> i
i64Extend8S i64Extend16S i64Extend32S = c2 : l -> l
i32TruncSatF32S i32TruncSatF32U = fc00 : f -> i
i32TruncSatF64S i32TruncSatF64U = fc02 : d -> i
i64TruncSatF32S i64TruncSatF32U = fc04 : f -> l
i64TruncSatF64S i64TruncSatF64U = fc06 : d -> l
i8x16Shuffle = fd0d : vv -> v shuffle
i8x16Swizzle = fd0e : vv -> v
i8x16Splat i16x8Splat i32x4Splat = fd0f : i -> v
i64x2Splat = fd12 : l -> v
f32x4Splat = fd13 : f -> v
f64x2Splat = fd14 : d -> v
i8x16ExtractLaneS i8x16ExtractLaneU = fd15 : v -> i lane
i8x16ReplaceLane = fd17 : vi -> v lane
i16x8ExtractLaneS i16x8ExtractLaneU = fd18 : v -> i lane
i16x8ReplaceLane = fd1a : vi -> v lane
i32x4ExtractLane = fd1b : v -> i lane
i32x4ReplaceLane = fd1c : vi -> v lane
i64x2ExtractLane = fd1d : v -> l lane
i64x2ReplaceLane = fd1e : vl -> v lane
f32x4ExtractLane = fd1f : v -> f lane
f32x4ReplaceLane = fd20 : vf -> v lane
f64x2ExtractLane = fd21 : v -> d lane
f64x2ReplaceLane = fd22 : vd -> v lane
i8x16Eq i8x16Ne i8x16LtS i8x16LtU i8x16GtS i8x16GtU i8x16LeS i8x16LeU i8x16GeS i8x16GeU = fd23 : vv -> v
i16x8Eq i16x8Ne i16x8LtS i16x8LtU i16x8GtS i16x8GtU i16x8LeS i16x8LeU i16x8GeS i16x8GeU = fd2d : vv -> v
i32x4Eq i32x4Ne i32x4LtS i32x4LtU i32x4GtS i32x4GtU i32x4LeS i32x4LeU i32x4GeS i32x4GeU = fd37 : vv -> v
f32x4Eq f32x4Ne f32x4Lt f32x4Gt f32x4Le f32x4Ge = fd41 : vv -> v
f64x2Eq f64x2Ne f64x2Lt f64x2Gt f64x2Le f64x2Ge = fd47 : vv -> v
v128Not = fd4d : v -> v
v128And v128Andnot v128Or v128Xor = fd4e : vv -> v
v128Bitselect = fd52 : vvv -> v
v128AnyTrue = fd53 : v -> i
f32x4DemoteF64x2Zero f64x2PromoteLowF32x4 i8x16Abs i8x16Neg i8x16Popcnt = fd5e : v -> v
i8x16AllTrue i8x16Bitmask = fd63 : v -> i
i8x16NarrowI16x8S i8x16NarrowI16x8U = fd65 : vv -> v
f32x4Ceil f32x4Floor f32x4Trunc f32x4Nearest = fd67 : v -> v
i8x16Shl i8x16ShrS i8x16ShrU = fd6b : vi -> v
i8x16Add i8x16AddSatS i8x16AddSatU i8x16Sub i8x16SubSatS i8x16SubSatU = fd6e : vv -> v
f64x2Ceil f64x2Floor = fd74 : v -> v
i8x16MinS i8x16MinU i8x16MaxS i8x16MaxU = fd76 : vv -> v
f64x2Trunc = fd7a : v -> v
i8x16AvgrU = fd7b : vv -> v
i16x8ExtaddPairwiseI8x16S i16x8ExtaddPairwiseI8x16U i32x4ExtaddPairwiseI16x8S i32x4ExtaddPairwiseI16x8U i16x8Abs i16x8Neg = fd7c : v -> v
i16x8Q15mulrSatS = fd82 : vv -> v
i16x8AllTrue i16x8Bitmask = fd83 : v -> i
i16x8NarrowI32x4S i16x8NarrowI32x4U = fd85 : vv -> v
i16x8ExtendLowI8x16S i16x8ExtendHighI8x16S i16x8ExtendLowI8x16U i16x8ExtendHighI8x16U = fd87 : v -> v
i16x8Shl i16x8ShrS i16x8ShrU = fd8b : vi -> v
i16x8Add i16x8AddSatS i16x8AddSatU i16x8Sub i16x8SubSatS i16x8SubSatU = fd8e : vv -> v
f64x2Nearest = fd94 : v -> v
i16x8Mul i16x8MinS i16x8MinU i16x8MaxS i16x8MaxU = fd95 : vv -> v
i16x8AvgrU i16x8ExtmulLowI8x16S i16x8ExtmulHighI8x16S i16x8ExtmulLowI8x16U i16x8ExtmulHighI8x16U = fd9b : vv -> v
i32x4Abs i32x4Neg = fda0 : v -> v
i32x4AllTrue i32x4Bitmask = fda3 : v -> i
i32x4ExtendLowI16x8S i32x4ExtendHighI16x8S i32x4ExtendLowI16x8U i32x4ExtendHighI16x8U = fda7 : v -> v
i32x4Shl i32x4ShrS i32x4ShrU = fdab : vi -> v
i32x4Add = fdae : vv -> v
i32x4Sub = fdb1 : vv -> v
i32x4Mul i32x4MinS i32x4MinU i32x4MaxS i32x4MaxU i32x4DotI16x8S = fdb5 : vv -> v
i32x4ExtmulLowI16x8S i32x4ExtmulHighI16x8S i32x4ExtmulLowI16x8U i32x4ExtmulHighI16x8U = fdbc : vv -> v
i64x2Abs i64x2Neg = fdc0 : v -> v
i64x2AllTrue i64x2Bitmask = fdc3 : v -> i
i64x2ExtendLowI32x4S i64x2ExtendHighI32x4S i64x2ExtendLowI32x4U i64x2ExtendHighI32x4U = fdc7 : v -> v
i64x2Shl i64x2ShrS i64x2ShrU = fdcb : vi -> v
i64x2Add = fdce : vv -> v
i64x2Sub = fdd1 : vv -> v
i64x2Mul i64x2Eq i64x2Ne i64x2LtS i64x2GtS i64x2LeS i64x2GeS i64x2ExtmulLowI32x4S i64x2ExtmulHighI32x4S i64x2ExtmulLowI32x4U i64x2ExtmulHighI32x4U = fdd5 : vv -> v
f32x4Abs f32x4Neg = fde0 : v -> v
f32x4Sqrt = fde3 : v -> v
f32x4Add f32x4Sub f32x4Mul f32x4Div f32x4Min f32x4Max f32x4Pmin f32x4Pmax = fde4 : vv -> v
f64x2Abs f64x2Neg = fdec : v -> v
f64x2Sqrt = fdef : v -> v
f64x2Add f64x2Sub f64x2Mul f64x2Div f64x2Min f64x2Max f64x2Pmin f64x2Pmax = fdf0 : vv -> v
i32x4TruncSatF32x4S i32x4TruncSatF32x4U f32x4ConvertI32x4S f32x4ConvertI32x4U i32x4TruncSatF64x2SZero i32x4TruncSatF64x2UZero f64x2ConvertLowI32x4S f64x2ConvertLowI32x4U = fdf8 : v -> v
`;

const LETTER: Readonly<Record<string, ValueType>> = { i: "i32", l: "i64", f: "f32", d: "f64", v: "v128" };

function parsePure(text: string): Operation[] {
  const rows: Operation[] = [];
  for (const line of text.trim().split("\n")) {
    const [names, rest] = line.split(" = ") as [string, string];
    const [code, signature] = rest.split(" : ") as [string, string];
    const [from, to] = signature.split("->") as [string, string];
    const [resultLetter, immediate = "none"] = to.trim().split(" ") as [string, Immediate?];
    const first = Number.parseInt(code, 16);
    names.split(" ").forEach((name, index) =>
      rows.push({
        name,
        opcode: first + index,
        operands: [...from.trim()].map((letter) => LETTER[letter]),
        result: LETTER[resultLetter],
        immediate,
        pure: true,
        mayFault: false,
      }),
    );
  }
  return rows;
}

const effect = (name: string, operands: string, result: string, mayFault: boolean): Operation => ({
  name,
  opcode: -1,
  operands: [...operands].map((letter) => LETTER[letter]),
  result: LETTER[result],
  immediate: "none",
  pure: false,
  mayFault,
});

/**
 * Operations with effects or dependences on state.
 *
 * `regionBase`   the guest-virtual address the region was entered at (i64): all code addresses are relative to it
 * `getState`     the value of a state slot (a guest register); its result type is the slot's
 * `setState`     gives a state slot a new value
 * `load*`        guest-virtual memory at the address; the suffix says the bytes read and the extension
 * `store*`       guest-virtual memory
 * `exitIf`       leaves the region with an exit code when the condition is not zero
 * `callHelper`   calls an imported function; what it may read and write is in its declaration
 * `instruction`  marks the start of a guest instruction: faults from here on report its offset
 * `guardTest`    leaves the region when a granule that it was made from has lost its protection
 */
const EFFECTS: readonly Operation[] = [
  { ...effect("regionBase", "", "l", false), pure: true },
  effect("getStateI32", "", "i", false),
  effect("getStateI64", "", "l", false),
  effect("getStateF64", "", "d", false),
  effect("getStateV128", "", "v", false),
  effect("setState", "", "-", false),
  effect("load8U", "l", "i", true),
  effect("load8S", "l", "i", true),
  effect("load16U", "l", "i", true),
  effect("load16S", "l", "i", true),
  effect("load32", "l", "i", true),
  effect("load64", "l", "l", true),
  effect("loadF32", "l", "f", true),
  effect("loadF64", "l", "d", true),
  effect("loadV128", "l", "v", true),
  effect("loadV128Zero32", "l", "v", true),
  effect("loadV128Zero64", "l", "v", true),
  effect("store8", "li", "-", true),
  effect("store16", "li", "-", true),
  effect("store32", "li", "-", true),
  effect("store64", "ll", "-", true),
  effect("storeF32", "lf", "-", true),
  effect("storeF64", "ld", "-", true),
  effect("storeV128", "lv", "-", true),
  effect("exitIf", "i", "-", true),
  effect("callHelper", "", "-", true),
  effect("helperResultI32", "", "i", false),
  effect("helperResultI64", "", "l", false),
  effect("helperResultF64", "", "d", false),
  effect("instruction", "", "-", false),
  effect("guardTest", "", "-", true),
];

/** All operations; a node's operation is an index into this list. */
export const operations: readonly Operation[] = [...parsePure(PURE), ...EFFECTS];

/** Index of an operation by name, for the places that are not on a hot path. */
const indexByName: ReadonlyMap<string, number> = new Map(operations.map((operation, index) => [operation.name, index]));

export function operationIndex(name: string): number {
  const index = indexByName.get(name);
  if (index === undefined) throw new Error(`no IR operation is called ${name}`);
  return index;
}
