/** zlib's checksums: CRC-32 (ISO 3309, as in RFC 1952 section 8) and Adler-32 (RFC 1950 section 8.2). */
import { C } from "../c-types.ts";
import type { GuestMemory } from "../guest-memory.ts";
import { type Declined, DECLINED, type NativeCall, type NativeFunction, nativeFunction } from "../native-function.ts";
import { prototype } from "../prototype.ts";
import type { WasmTwinName } from "../wasm/twins.ts";
import { zlib } from "./libraries.ts";

const BYTES_A_UNIT = 1024;
const WORTHWHILE = 256;
const POLYNOMIAL = 0xedb88320;
/** Table k, entry n: the CRC of byte n followed by k zero bytes. */
const SLICES = 8;
const tables: Int32Array = new Int32Array(SLICES * 256);
for (let byte = 0; byte < 256; byte++) {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ POLYNOMIAL;
  tables[byte] = crc;
}
for (let at = 256; at < tables.length; at++) tables[at] = (tables[at - 256] >>> 8) ^ tables[tables[at - 256] & 0xff];

/** Goes on with a CRC, not inverted, over bytes of a page. */
export function crc32Of(crc: number, bytes: Uint8Array, view: DataView, from: number, length: number): number {
  let value = crc;
  let at = from;
  const end = from + length;
  for (; at + 8 <= end; at += 8) {
    const low = value ^ view.getInt32(at, true);
    const high = view.getInt32(at + 4, true);
    value =
      tables[1792 + (low & 0xff)] ^
      tables[1536 + ((low >>> 8) & 0xff)] ^
      tables[1280 + ((low >>> 16) & 0xff)] ^
      tables[1024 + (low >>> 24)] ^
      tables[768 + (high & 0xff)] ^
      tables[512 + ((high >>> 8) & 0xff)] ^
      tables[256 + ((high >>> 16) & 0xff)] ^
      tables[high >>> 24];
  }
  for (; at < end; at++) value = (value >>> 8) ^ tables[(value ^ bytes[at]) & 0xff];
  return value;
}

const MODULUS = 65521;
/** The sums of so many bytes fit 32 bits unsigned before they are reduced. */
const LARGEST_RUN = 5552;

export function adler32Of(adler: number, bytes: Uint8Array, from: number, length: number): number {
  let a = adler & 0xffff;
  let b = adler >>> 16;
  for (let at = from; at < from + length;) {
    const end = Math.min(at + LARGEST_RUN, from + length);
    for (; at < end; at++) {
      a += bytes[at];
      b += a;
    }
    a %= MODULUS;
    b %= MODULUS;
  }
  return ((b << 16) | a) >>> 0;
}

function overPages(
  memory: GuestMemory,
  address: number,
  length: number,
  piece: (host: number, count: number) => void,
): boolean {
  if (!memory.allReadable(address, length)) return false;
  for (let at = address; at < address + length;) {
    const count = Math.min(memory.onPage(at), address + length - at);
    piece(memory.readable(at, count), count);
    at += count;
  }
  return true;
}

export function crc32(memory: GuestMemory, crc: number, address: number, length: number): number | Declined {
  const { bytes, view } = memory;
  let value = ~crc;
  const whole = overPages(memory, address, length, (host, count) => {
    value = crc32Of(value, bytes, view, host, count);
  });
  return whole ? ~value >>> 0 : DECLINED;
}

export function adler32(memory: GuestMemory, adler: number, address: number, length: number): number | Declined {
  let value = adler;
  const whole = overPages(memory, address, length, (host, count) => {
    value = adler32Of(value, memory.bytes, host, count);
  });
  return whole ? value : DECLINED;
}

type Checksum = (memory: GuestMemory, sum: number, address: number, length: number) => number | Declined;

/** Sums are `uLong`, of which 32 bits count. */
function checksum(name: WasmTwinName, of: Checksum, length: typeof C.unsignedInt): NativeFunction {
  return nativeFunction({
    name,
    wasm: name,
    prototype: prototype(C.unsignedLong, [C.unsignedLong, C.pointer, length]),
    symbols: [zlib(name)],
    atLeast: { parameter: 2, value: WORTHWHILE },
    run: ({ memory, spend }: NativeCall, sum, address, count) => {
      // A null buffer asks for the initial value.
      if (address === 0) return DECLINED;
      const value = of(memory, Number(BigInt.asUintN(32, sum)), address, count);
      if (value === DECLINED) return DECLINED;
      spend(count / BYTES_A_UNIT);
      return BigInt(value);
    },
  });
}

export const checksumFunctions: readonly NativeFunction[] = [
  checksum("crc32", crc32, C.unsignedInt),
  checksum("crc32_z", crc32, C.size),
  checksum("adler32", adler32, C.unsignedInt),
  checksum("adler32_z", adler32, C.size),
];
