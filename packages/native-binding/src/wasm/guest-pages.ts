/**
 * Guest memory as twins in WebAssembly reach it: through the soft TLB, page by page, as translated code does. A page that is
 * not in the TLB is asked for; one that may not simply be read (written) has no place in memory, which is 0.
 */
import {
  again,
  call,
  type Code,
  copyFromOwn,
  copyToOwn,
  get,
  give,
  I32,
  i32,
  I64,
  i64,
  loop,
  select,
  set,
  tee,
  type WasmFunction,
  type WasmImport,
  when,
} from "./code.ts";

export const PAGE = 4096;

/** Where twins find what they need, as byte offsets from a context pointer. */
export interface WasmTwinLayout {
  readonly memoryPages: number;
  readonly tlb: {
    readonly offset: number;
    readonly indexBits: number;
    readonly entryShift: number;
    readonly readTag: number;
    readonly writeTag: number;
    /** Bytes behind a tag. */
    readonly addend: number;
  };
  /** General register n is 8 bytes at `registers + 8 * n`. */
  readonly registers: number;
  /** Where an `Outcome` goes. */
  readonly outcome: number;
}

export const imports: readonly WasmImport[] = [
  /** Context, halves of an address, whether to write: its byte offset in memory, or 0. The TLB knows it from then on. */
  { name: "translate", parameters: [I32, I32, I32, I32], results: [I32] },
  /** Context, the binding's id: the call is made otherwise; whether to leave. */
  { name: "slow", parameters: [I32, I32], results: [I32] },
  /** Context, units of the time slice that a call took which has returned; whether to leave. */
  { name: "spend", parameters: [I32, I32], results: [I32] },
];
/** Imports and the functions behind them, by number: the order in which the module has them. */
export const Call = {
  translate: 0,
  slow: 1,
  spend: 2,
  read: 3,
  write: 4,
  writable: 5,
  copyIn: 6,
  copyOut: 7,
  scanZero: 8,
  scanByte: 9,
  scanBoth: 10,
  compare: 11,
  move: 12,
  fill: 13,
  crcTables: 14,
  crc: 15,
  adler: 16,
  decode: 17,
  inflate: 18,
} as const;

/** Bytes from a host address to the end of its page. */
export const onPage = (host: Code): Code => i32.sub(i32.const(PAGE), i32.and(host, i32.const(PAGE - 1)));
/** Makes a local the smaller of itself and a value. */
export const smaller = (local: number, value: Code, scratch: number): Code => [
  ...set(scratch, value),
  ...set(local, select(get(scratch), get(local), i32.ltU(get(scratch), get(local)))),
];

/** (context, address): byte offset in memory, or 0. */
function lookUp({ tlb }: WasmTwinLayout, write: boolean): WasmFunction {
  const [context, address, entry] = [0, 1, 2];
  const mask = (1 << tlb.indexBits) - 1;
  const index = i32.and(i32.shrU(i32.wrap(get(address)), i32.const(12)), i32.const(mask));
  const place = tlb.offset + (write ? tlb.writeTag : tlb.readTag);
  const tag = i64.load(place, get(entry));
  return {
    parameters: [I32, I64],
    results: [I32],
    locals: [I32],
    body: [
      set(entry, i32.add(get(context), i32.shl(index, i32.const(tlb.entryShift)))),
      when(
        i64.ltU(i64.xor(tag, get(address)), i64.const(BigInt(PAGE))),
        give(i32.add(i32.wrap(get(address)), i32.load(place + tlb.addend, get(entry)))),
      ),
      call(
        Call.translate,
        get(context),
        i32.wrap(get(address)),
        i32.wrap(i64.shrU(get(address), i64.const(32n))),
        i32.const(write ? 1 : 0),
      ),
    ],
  };
}

/** Goes over the pages of `length` bytes from `address`; gives 0 where `look` finds one that may not be used. */
export const allPages = (look: number, context: number, address: number, length: number, done: number): Code => [
  set(done, i64.const(0n)),
  loop(
    when(
      i64.ltU(get(done), get(length)),
      when(i32.eqz(call(look, get(context), i64.add(get(address), get(done)))), give(i32.const(0))),
      set(done, i64.add(get(done), i64.extendU(onPage(i32.wrap(i64.add(get(address), get(done))))))),
      again(1),
    ),
  ),
];

/** (context, address, length): whether all of it may be written. */
function writable(): WasmFunction {
  const [context, address, length, done] = [0, 1, 2, 3];
  return {
    parameters: [I32, I64, I64],
    results: [I32],
    locals: [I64],
    body: [allPages(Call.write, context, address, length, done), i32.const(1)],
  };
}

/**
 * (context, address, place in the module's own memory, length): copies from there (to there), to the end or to what may not be
 * read (written): 1 or 0.
 */
function copy(direction: "in" | "out"): WasmFunction {
  const [context, address, place, length, host, count] = [0, 1, 2, 3, 4, 5];
  const look = direction === "in" ? Call.read : Call.write;
  return {
    parameters: [I32, I64, I32, I32],
    results: [I32],
    locals: [I32, I32],
    body: [
      loop(
        when(
          get(length),
          when(i32.eqz(tee(host, call(look, get(context), get(address)))), give(i32.const(0))),
          set(count, onPage(get(host))),
          set(count, select(get(length), get(count), i32.ltU(get(length), get(count)))),
          direction === "in"
            ? copyToOwn(get(place), get(host), get(count))
            : copyFromOwn(get(host), get(place), get(count)),
          set(address, i64.add(get(address), i64.extendU(get(count)))),
          set(place, i32.add(get(place), get(count))),
          set(length, i32.sub(get(length), get(count))),
          again(1),
        ),
      ),
      i32.const(1),
    ],
  };
}

/** Numbers `read` to `copyOut`. */
export const accessFunctions = (layout: WasmTwinLayout): readonly WasmFunction[] => [
  lookUp(layout, false),
  lookUp(layout, true),
  writable(),
  copy("in"),
  copy("out"),
];
