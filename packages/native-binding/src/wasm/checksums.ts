/**
 * CRC-32 (ISO 3309, as in RFC 1952 section 8) sixteen bytes at a time from tables, and Adler-32 (RFC 1950 section 8.2) by
 * vectors, over the pages of guest memory.
 */
import {
  again,
  call,
  type Code,
  get,
  give,
  I32,
  i32,
  I64,
  i64,
  loop,
  own,
  set,
  tee,
  V128,
  v128,
  type WasmFunction,
  when,
} from "./code.ts";
import { Call, onPage } from "./guest-pages.ts";

/** What a sum is when not all of the bytes may be read. */
export const NO_SUM = -1n;

const POLYNOMIAL = 0xedb88320;
const SLICES = 16;
/** Table k, entry n: the CRC of byte n followed by k zero bytes. The first word is not zero when they are there. */
const TABLES = 64;
export const CHECKSUM_BYTES: number = TABLES + SLICES * 1024;
const table = (k: number): number => TABLES + 1024 * k;

/** Makes the tables. */
function crcTables(): WasmFunction {
  const [at, value] = [0, 1];
  const bit = set(
    value,
    i32.xor(
      i32.shrU(get(value), i32.const(1)),
      i32.and(i32.sub(i32.const(0), i32.and(get(value), i32.const(1))), i32.const(POLYNOMIAL)),
    ),
  );
  const entry = own.load32(TABLES, i32.sub(get(at), i32.const(1024)));
  return {
    parameters: [],
    results: [],
    locals: [I32, I32],
    body: [
      own.store32(0, i32.const(0), i32.const(1)),
      loop(
        set(value, i32.shrU(get(at), i32.const(2))),
        ...Array.from({ length: 8 }, () => bit),
        own.store32(TABLES, get(at), get(value)),
        when(i32.ltU(tee(at, i32.add(get(at), i32.const(4))), i32.const(1024)), again(1)),
      ),
      loop(
        set(value, entry),
        set(
          value,
          i32.xor(
            i32.shrU(get(value), i32.const(8)),
            own.load32(TABLES, i32.shl(i32.and(get(value), i32.const(0xff)), i32.const(2))),
          ),
        ),
        own.store32(TABLES, get(at), get(value)),
        when(i32.ltU(tee(at, i32.add(get(at), i32.const(4))), i32.const(1024 * SLICES)), again(1)),
      ),
    ],
  };
}

/** Goes over guest memory: what is done with `count` bytes at `host`, which are on one page. */
function overPages(
  [context, address, length, host, count]: readonly [number, number, number, number, number],
  piece: Code,
): Code {
  return loop(
    when(
      i64.ltU(i64.const(0n), get(length)),
      when(i32.eqz(tee(host, call(Call.read, get(context), get(address)))), give(i64.const(NO_SUM))),
      set(count, onPage(get(host))),
      when(i64.ltU(get(length), i64.extendU(get(count))), set(count, i32.wrap(get(length)))),
      set(address, i64.add(get(address), i64.extendU(get(count)))),
      set(length, i64.sub(get(length), i64.extendU(get(count)))),
      piece,
      again(1),
    ),
  );
}
/** Goes over the bytes of a page, `step` at a time as long as there are so many. */
const stepping = (step: number, host: number, count: number, ...body: Code[]): Code =>
  loop(
    when(
      i32.geU(get(count), i32.const(step)),
      ...body,
      set(host, i32.add(get(host), i32.const(step))),
      set(count, i32.sub(get(count), i32.const(step))),
      again(1),
    ),
  );

/** (context, sum, address, length): the sum over the bytes, too, or NO_SUM. */
const CONTEXT = 0;
const SUM = 1;
const [ADDRESS, LENGTH] = [2, 3];
const [HOST, COUNT, A, B] = [4, 5, 6, 7];
const signature = { parameters: [I32, I32, I64, I64], results: [I64] } as const;

function crc(): WasmFunction {
  const word = A;
  const xor = (one: Code, ...others: Code[]): Code => others.reduce((sum, other) => i32.xor(sum, other), one);
  /** The entry for byte n of the word, of so many words that are taken at once the one before the last `rest`. */
  const entry = (n: number, rest: number): Code => {
    const shifted = n === 0 ? i32.shl(get(word), i32.const(2)) : i32.shrU(get(word), i32.const(8 * n - 2));
    return own.load32(table(4 * rest + 3 - n), i32.and(shifted, i32.const(0x3fc)));
  };
  const entries = (rest: number): Code => xor(...([0, 1, 2, 3].map((n) => entry(n, rest)) as [Code, ...Code[]]));
  const byte = i32.and(i32.xor(get(SUM), i32.load8(0, get(HOST))), i32.const(0xff));
  return {
    ...signature,
    locals: [I32, I32, I32, I32],
    body: [
      when(i32.eqz(own.load32(0, i32.const(0))), call(Call.crcTables)),
      set(SUM, i32.xor(get(SUM), i32.const(-1))),
      overPages(
        [CONTEXT, ADDRESS, LENGTH, HOST, COUNT],
        [
          stepping(
            16,
            HOST,
            COUNT,
            // What does not wait for the sum comes first.
            set(word, i32.load(4, get(HOST))),
            set(B, entries(2)),
            set(word, i32.load(8, get(HOST))),
            set(B, i32.xor(get(B), entries(1))),
            set(word, i32.load(12, get(HOST))),
            set(B, i32.xor(get(B), entries(0))),
            set(word, i32.xor(get(SUM), i32.load(0, get(HOST)))),
            set(SUM, i32.xor(entries(3), get(B))),
          ),
          stepping(
            1,
            HOST,
            COUNT,
            set(SUM, i32.xor(i32.shrU(get(SUM), i32.const(8)), own.load32(table(0), i32.shl(byte, i32.const(2))))),
          ),
        ],
      ),
      i64.extendU(i32.xor(get(SUM), i32.const(-1))),
    ],
  };
}

const MODULUS = 65521;

/**
 * A page is 256 vectors at most, and then no sum is above 2 ** 32:
 *
 *   a' = a + sum of bytes        b' = b + a * bytes + 16 * sum over vectors of (bytes before it) + sum of bytes * weights
 */
function adler(): WasmFunction {
  const [before, bytes, weighted, vector] = [8, 9, 10, 11];
  const weights = v128.const(Array.from({ length: 16 }, (_, index) => 16 - index));
  const zero = v128.splat8(i32.const(0));
  const total = (sums: number): Code =>
    [1, 2, 3].reduce((sum, lane) => i32.add(sum, v128.lane32(lane, get(sums))), v128.lane32(0, get(sums)));
  return {
    ...signature,
    locals: [I32, I32, I32, I32, V128, V128, V128, V128],
    body: [
      set(A, i32.and(get(SUM), i32.const(0xffff))),
      set(B, i32.shrU(get(SUM), i32.const(16))),
      overPages(
        [CONTEXT, ADDRESS, LENGTH, HOST, COUNT],
        [
          set(before, zero),
          set(bytes, zero),
          set(weighted, zero),
          set(B, i32.add(get(B), i32.mul(get(A), i32.and(get(COUNT), i32.const(-16))))),
          stepping(
            16,
            HOST,
            COUNT,
            set(before, v128.add32(get(before), get(bytes))),
            set(vector, v128.load(0, get(HOST))),
            set(bytes, v128.add32(get(bytes), v128.pairs16(v128.pairs8(get(vector))))),
            set(
              weighted,
              v128.add32(
                get(weighted),
                v128.pairs16(
                  v128.add16(v128.productsLow8(get(vector), weights), v128.productsHigh8(get(vector), weights)),
                ),
              ),
            ),
          ),
          set(A, i32.add(get(A), total(bytes))),
          set(B, i32.add(i32.add(get(B), i32.shl(total(before), i32.const(4))), total(weighted))),
          // Fifteen bytes more do not change that.
          stepping(1, HOST, COUNT, set(A, i32.add(get(A), i32.load8(0, get(HOST)))), set(B, i32.add(get(B), get(A)))),
          set(A, i32.remU(get(A), i32.const(MODULUS))),
          set(B, i32.remU(get(B), i32.const(MODULUS))),
        ],
      ),
      i64.extendU(i32.or(i32.shl(get(B), i32.const(16)), get(A))),
    ],
  };
}

/** Numbers `crcTables` to `adler`. */
export const checksumFunctions = (): readonly WasmFunction[] => [crcTables(), crc(), adler()];
