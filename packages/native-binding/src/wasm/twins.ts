/**
 * Twins in WebAssembly: functions that translated code calls without JavaScript in between.
 *
 * They see guest memory through the soft TLB, page by page, as translated code does; a page that is not in it is asked for,
 * and one that may not simply be read (written) sends the call on to `slow`, the same function's twin in JavaScript, with nothing
 * written. So do strings, copies and fills of more than `LARGEST` bytes, which would take time from nobody's slice; sums and
 * `inflate_fast` say what they took.
 */
import {
  again,
  call,
  type Code,
  get,
  getGlobal,
  give,
  I32,
  i32,
  I64,
  i64,
  loop,
  memoryCopy,
  memoryFill,
  select,
  set,
  setGlobal,
  tee,
  V128,
  v128,
  type WasmFunction,
  wasmModule,
  when,
} from "./code.ts";
import { checksumFunctions, NO_SUM } from "./checksums.ts";
import { accessFunctions, allPages, Call, imports, onPage, PAGE, smaller, type WasmTwinLayout } from "./guest-pages.ts";
import { INFLATE_END, inflateFunctions } from "./inflate.ts";

export type { WasmTwinLayout } from "./guest-pages.ts";

/** Bytes that take no more time than other calls of functions. */
const LARGEST = 65536;
/** What is a time slice's work. */
const LARGEST_SUM = 1 << 26;
/** Units of the time slice are taken for so many bytes at once: that is a call of JavaScript. */
const BYTES_AT_ONCE = 16384;
const BYTES_A_UNIT = 1024;
const INFLATED_BYTES_A_UNIT = 128;
const ALL = 0x7fff_ffff_ffff_ffffn;
const UNREADABLE = -1n;

const [RAX, RDX, RSI, RDI] = [0, 2, 6, 7];
const RETURNED = 1;

/** What is scanned for: the end of a string, a byte, or either. */
type Sought = "zero" | "byte" | "both";
const SCANS: Readonly<Record<Sought, number>> = { zero: Call.scanZero, byte: Call.scanByte, both: Call.scanBoth };

/** (context, address, limit, byte): how far the first byte that is sought is, at most `limit`; or UNREADABLE. */
function scan(sought: Sought): WasmFunction {
  const [context, address, limit, byte, at, host, end, base, bits, wanted] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
  /** Zero in the lanes of what is sought. */
  const unlike = (offset: number): Code => {
    const bytes = v128.load(offset, get(base));
    if (sought === "zero") return bytes;
    const other = v128.xor(bytes, get(wanted));
    return sought === "byte" ? other : v128.minU8(bytes, other);
  };
  const matches = v128.bits8(v128.eq8(unlike(0), v128.splat8(i32.const(0))));
  const distance = i64.sub(get(at), get(address));
  const found = (where: Code): Code => [
    ...set(at, i64.add(distance, i64.extendU(where))),
    ...give(select(get(at), get(limit), i64.ltU(get(at), get(limit)))),
  ];
  return {
    parameters: [I32, I64, I64, I32],
    results: [I64],
    locals: [I64, I32, I32, I32, I32, V128],
    body: [
      set(wanted, v128.splat8(get(byte))),
      set(at, get(address)),
      loop(
        when(i64.geU(distance, get(limit)), give(get(limit))),
        when(i64.gtU(distance, i64.const(BigInt(LARGEST))), give(i64.const(UNREADABLE))),
        when(i32.eqz(tee(host, call(Call.read, get(context), get(at)))), give(i64.const(UNREADABLE))),
        set(end, i32.add(i32.or(get(host), i32.const(PAGE - 1)), i32.const(1))),
        // The vector that the first byte is in, without what comes before.
        set(base, i32.and(get(host), i32.const(-16))),
        set(bits, i32.shrU(matches, i32.and(get(host), i32.const(15)))),
        when(get(bits), found(i32.ctz(get(bits)))),
        set(base, i32.add(get(base), i32.const(16))),
        loop(
          when(
            i32.leU(i32.add(get(base), i32.const(64)), get(end)),
            when(
              v128.allTrue8(v128.minU8(v128.minU8(unlike(0), unlike(16)), v128.minU8(unlike(32), unlike(48)))),
              set(base, i32.add(get(base), i32.const(64))),
              again(2),
            ),
          ),
          when(
            i32.ltU(get(base), get(end)),
            set(bits, matches),
            when(get(bits), found(i32.add(i32.sub(get(base), get(host)), i32.ctz(get(bits))))),
            set(base, i32.add(get(base), i32.const(16))),
            again(1),
          ),
        ),
        set(at, i64.add(get(at), i64.extendU(i32.sub(get(end), get(host))))),
        again(),
      ),
      i64.const(UNREADABLE),
    ],
  };
}

/** Not a difference of bytes. */
const INCOMPARABLE = 1n << 32n;

/** (context, a, b, limit, -1 to stop behind a zero byte, or 0): the difference of the first bytes that differ; or INCOMPARABLE. */
function compare(): WasmFunction {
  const [context, a, b, limit, stop, done, left, right, count, index, bits, zeros] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
  ];
  const of = (host: number): Code => i32.add(get(host), get(index));
  const byteOf = (host: number): Code => i32.load8(0, of(host));
  const rest = i64.sub(get(limit), get(done));
  const difference = give(i64.extendS(i32.sub(byteOf(left), byteOf(right))));
  const zero = v128.splat8(i32.const(0));
  const unlike = v128.or(
    v128.ne8(v128.load(0, of(left)), v128.load(0, of(right))),
    v128.and(v128.eq8(v128.load(0, of(left)), zero), get(zeros)),
  );
  return {
    parameters: [I32, I64, I64, I64, I32],
    results: [I64],
    locals: [I64, I32, I32, I32, I32, I32, V128],
    body: [
      set(zeros, v128.splat8(get(stop))),
      loop(
        when(i64.eq(get(done), get(limit)), give(i64.const(0n))),
        when(i64.gtU(get(done), i64.const(BigInt(LARGEST))), give(i64.const(INCOMPARABLE))),
        when(
          i32.eqz(tee(left, call(Call.read, get(context), i64.add(get(a), get(done))))),
          give(i64.const(INCOMPARABLE)),
        ),
        when(
          i32.eqz(tee(right, call(Call.read, get(context), i64.add(get(b), get(done))))),
          give(i64.const(INCOMPARABLE)),
        ),
        set(count, onPage(get(left))),
        smaller(count, onPage(get(right)), index),
        when(i64.ltU(rest, i64.extendU(get(count))), set(count, i32.wrap(rest))),
        set(index, i32.const(0)),
        loop(
          when(
            i32.leU(i32.add(get(index), i32.const(16)), get(count)),
            when(tee(bits, v128.bits8(unlike)), set(index, i32.add(get(index), i32.ctz(get(bits)))), difference),
            set(index, i32.add(get(index), i32.const(16))),
            again(1),
          ),
          when(
            i32.ltU(get(index), get(count)),
            when(i32.ne(byteOf(left), byteOf(right)), difference),
            when(i32.and(i32.eqz(byteOf(left)), get(stop)), give(i64.const(0n))),
            set(index, i32.add(get(index), i32.const(1))),
            again(1),
          ),
        ),
        set(done, i64.add(get(done), i64.extendU(get(count)))),
        again(),
      ),
      i64.const(INCOMPARABLE),
    ],
  };
}

/** (context, to, from, length): 1, or 0 with nothing written. */
function move(): WasmFunction {
  const [context, to, from, length, done, target, source, count, scratch] = [0, 1, 2, 3, 4, 5, 6, 7, 8];
  const rest = i64.sub(get(length), get(done));
  return {
    parameters: [I32, I64, I64, I64],
    results: [I32],
    locals: [I64, I32, I32, I32, I32],
    body: [
      when(i64.gtU(get(length), i64.const(BigInt(LARGEST))), give(i32.const(0))),
      // What is read behind what is written of it is not what it was.
      when(i64.ltU(i64.sub(get(to), get(from)), get(length)), give(i32.const(0))),
      // Writable first: a page that was shared until now gets a copy of its own.
      allPages(Call.write, context, to, length, done),
      allPages(Call.read, context, from, length, done),
      set(done, i64.const(0n)),
      loop(
        when(
          i64.ltU(get(done), get(length)),
          set(target, call(Call.write, get(context), i64.add(get(to), get(done)))),
          set(source, call(Call.read, get(context), i64.add(get(from), get(done)))),
          set(count, onPage(get(target))),
          smaller(count, onPage(get(source)), scratch),
          when(i64.ltU(rest, i64.extendU(get(count))), set(count, i32.wrap(rest))),
          memoryCopy(get(target), get(source), get(count)),
          set(done, i64.add(get(done), i64.extendU(get(count)))),
          again(1),
        ),
      ),
      i32.const(1),
    ],
  };
}

/** (context, to, byte, length): 1, or 0 with nothing written. */
function fill(): WasmFunction {
  const [context, to, byte, length, done, target, count] = [0, 1, 2, 3, 4, 5, 6];
  const rest = i64.sub(get(length), get(done));
  return {
    parameters: [I32, I64, I32, I64],
    results: [I32],
    locals: [I64, I32, I32],
    body: [
      when(i64.gtU(get(length), i64.const(BigInt(LARGEST))), give(i32.const(0))),
      allPages(Call.write, context, to, length, done),
      set(done, i64.const(0n)),
      loop(
        when(
          i64.ltU(get(done), get(length)),
          set(target, call(Call.write, get(context), i64.add(get(to), get(done)))),
          set(count, onPage(get(target))),
          when(i64.ltU(rest, i64.extendU(get(count))), set(count, i32.wrap(rest))),
          memoryFill(get(target), get(byte), get(count)),
          set(done, i64.add(get(done), i64.extendU(get(count)))),
          again(1),
        ),
      ),
      i32.const(1),
    ],
  };
}

/** What a twin does, written for a call `(context, id)` whose arguments are in registers. */
interface Body {
  (parts: {
    /** Register n. */
    readonly register: (n: number) => Code;
    /** Its low byte. */
    readonly byte: (n: number) => Code;
    /** Returns this value, after work of so many units of the time slice, if they are many. */
    readonly returns: (value: Code, units?: Code) => Code;
    readonly slow: Code;
  }): Code[];
}

const CONTEXT = 0;
const ID = 1;
/** Locals of every twin: an i64, an i32. */
const VALUE = 2;
const HOST = 3;

/** `strlen` and its like: what is scanned for, how far, and what to make of the distance, which is in VALUE. */
const scanning =
  (limit: (register: (n: number) => Code) => Code, sought: Sought, result: Body): Body =>
  (parts) => {
    const byte = sought === "zero" ? i32.const(0) : parts.byte(RSI);
    const distance = call(SCANS[sought], get(CONTEXT), parts.register(RDI), limit(parts.register), byte);
    return [when(i64.eq(tee(VALUE, distance), i64.const(UNREADABLE)), parts.slow), ...result(parts)];
  };
const comparing =
  (limit: (register: (n: number) => Code) => Code, stop: boolean): Body =>
  ({ register, returns, slow }) => [
    when(
      i64.eq(
        tee(
          VALUE,
          call(Call.compare, get(CONTEXT), register(RDI), register(RSI), limit(register), i32.const(stop ? -1 : 0)),
        ),
        i64.const(INCOMPARABLE),
      ),
      slow,
    ),
    // Above an int the register is anybody's: what `mov eax` would leave.
    returns(i64.extendU(i32.wrap(get(VALUE)))),
  ];
const moving =
  (atEnd: boolean): Body =>
  ({ register, returns, slow }) => [
    when(i32.eqz(call(Call.move, get(CONTEXT), register(RDI), register(RSI), register(RDX))), slow),
    returns(atEnd ? i64.add(register(RDI), register(RDX)) : register(RDI)),
  ];
/** Sums are `uLong`, of which 32 bits count. */
const summing =
  (sum: number, length: (register: (n: number) => Code) => Code): Body =>
  ({ register, returns, slow }) => [
    when(i64.gtU(length(register), i64.const(BigInt(LARGEST_SUM))), slow),
    when(
      i64.eq(
        tee(VALUE, call(sum, get(CONTEXT), i32.wrap(register(RDI)), register(RSI), length(register))),
        i64.const(NO_SUM),
      ),
      slow,
    ),
    returns(
      get(VALUE),
      i32.mul(
        i32.wrap(i64.shrU(length(register), i64.const(BigInt(Math.log2(BYTES_AT_ONCE))))),
        i32.const(BYTES_AT_ONCE / BYTES_A_UNIT),
      ),
    ),
  ];
const unsignedRdx = (register: (n: number) => Code): Code => i64.extendU(i32.wrap(register(RDX)));
const noLimit = (): Code => i64.const(ALL);
const limitRsi = (register: (n: number) => Code): Code => register(RSI);
const limitRdx = (register: (n: number) => Code): Code => register(RDX);
const foundAt = (register: (n: number) => Code): Code => i64.add(register(RDI), get(VALUE));

export const wasmTwinNames = [
  "strlen",
  "strnlen",
  "strchrnul",
  "strchr",
  "memchr",
  "memcmp",
  "strcmp",
  "strncmp",
  "memcpy",
  "memmove",
  "mempcpy",
  "memset",
  "crc32",
  "crc32_z",
  "adler32",
  "adler32_z",
  "inflate_fast",
] as const;
export type WasmTwinName = (typeof wasmTwinNames)[number];

const bodies: Readonly<Record<WasmTwinName, Body>> = {
  strlen: scanning(noLimit, "zero", ({ returns }) => [returns(get(VALUE))]),
  strnlen: scanning(limitRsi, "zero", ({ returns }) => [returns(get(VALUE))]),
  strchrnul: scanning(noLimit, "both", ({ register, returns }) => [returns(foundAt(register))]),
  strchr: scanning(noLimit, "both", ({ register, byte, returns, slow }) => [
    when(i32.eqz(tee(HOST, call(Call.read, get(CONTEXT), foundAt(register)))), slow),
    when(i32.eq(i32.load8(0, get(HOST)), byte(RSI)), returns(foundAt(register))),
    returns(i64.const(0n)),
  ]),
  memchr: scanning(limitRdx, "byte", ({ register, returns }) => [
    when(i64.ltU(get(VALUE), register(RDX)), returns(foundAt(register))),
    returns(i64.const(0n)),
  ]),
  memcmp: comparing(limitRdx, false),
  strcmp: comparing(noLimit, true),
  strncmp: comparing(limitRdx, true),
  memcpy: moving(false),
  memmove: moving(false),
  mempcpy: moving(true),
  memset: ({ register, byte, returns, slow }) => [
    when(i32.eqz(call(Call.fill, get(CONTEXT), register(RDI), byte(RSI), register(RDX))), slow),
    returns(register(RDI)),
  ],
  crc32: summing(Call.crc, unsignedRdx),
  crc32_z: summing(Call.crc, limitRdx),
  adler32: summing(Call.adler, unsignedRdx),
  adler32_z: summing(Call.adler, limitRdx),
  inflate_fast: ({ register, returns, slow }) => [
    when(i32.eqz(tee(HOST, call(Call.inflate, get(CONTEXT), register(RDI), i32.wrap(register(RSI))))), slow),
    returns(i64.const(0n), i32.shrU(get(HOST), i32.const(Math.log2(INFLATED_BYTES_A_UNIT)))),
  ],
};

function twin(layout: WasmTwinLayout, index: number, name: WasmTwinName): WasmFunction {
  const at = (n: number): number => layout.registers + 8 * n;
  const body = bodies[name];
  return {
    parameters: [I32, I32],
    results: [I32],
    locals: [I64, I32],
    name,
    body: [
      ...body({
        register: (n) => i64.load(at(n), get(CONTEXT)),
        byte: (n) => i32.load8(at(n), get(CONTEXT)),
        returns: (value, units) => [
          ...i64.store(at(RAX), get(CONTEXT), value),
          ...i32.store(layout.outcome, get(CONTEXT), i32.const(RETURNED)),
          ...setGlobal(index, i32.add(getGlobal(index), i32.const(1))),
          ...(units === undefined ? [] : when(tee(HOST, units), give(call(Call.spend, get(CONTEXT), get(HOST))))),
          ...give(i32.const(0)),
        ],
        slow: give(call(Call.slow, get(CONTEXT), get(ID))),
      }),
      i32.const(0),
    ],
  };
}

/**
 * The module of all twins: exports a function (context, id) for each name, which says whether to leave, and a count of
 * the calls it served, `name calls`.
 */
export function wasmTwinModule(layout: WasmTwinLayout): Uint8Array<ArrayBuffer> {
  const functions = [
    ...accessFunctions(layout),
    scan("zero"),
    scan("byte"),
    scan("both"),
    compare(),
    move(),
    fill(),
    ...checksumFunctions(),
    ...inflateFunctions(),
    ...wasmTwinNames.map((name, index) => twin(layout, index, name)),
  ];
  const counts = wasmTwinNames.map((name) => `${name} calls`);
  return wasmModule(layout.memoryPages, Math.ceil(INFLATE_END / 65536), imports, functions, counts);
}
