/**
 * zlib's `inflate_fast`: the inner loop of decompression (RFC 1951 section 3.2), from zlib's tables to the caller's buffer.
 *
 * It is an internal function, so it is known by its code; the same code has the same structures. A symbol that is not
 * valid ends the loop before it; met first, it makes the guest's own function say what is wrong.
 */
import type { CodeSignature } from "../code-signature.ts";
import { C } from "../c-types.ts";
import type { GuestMemory } from "../guest-memory.ts";
import { type Declined, DECLINED, type NativeCall, type NativeFunction, nativeFunction } from "../native-function.ts";
import { prototype } from "../prototype.ts";

/** Byte offsets in `z_stream`, */
const STREAM = { nextIn: 0, availableIn: 8, nextOut: 24, availableOut: 32, state: 56 } as const;
/** and in `struct inflate_state`, of zlib 1.2.11 and later. */
const STATE = {
  mode: 8,
  windowSize: 60,
  windowHave: 64,
  windowNext: 68,
  window: 72,
  hold: 80,
  bits: 88,
  lengthCodes: 104,
  distanceCodes: 112,
  lengthBits: 120,
  distanceBits: 124,
} as const;
/** The mode in which a block's end is noticed. */
const MODE_TYPE = 16191;
/** Entries of the tables at most (ENOUGH_LENS, ENOUGH_DISTS). */
const LENGTH_CODES = 852;
const DISTANCE_CODES = 592;
const HISTORY = 32768;
/** A call does no more than this; zlib calls again. */
const LARGEST_OUTPUT = 1 << 17;
const LARGEST_INPUT = 1 << 17;
/** What the longest symbol takes and gives; zlib calls only where there is as much. */
const SYMBOL_INPUT = 6;
const SYMBOL_OUTPUT = 258;
const BYTES_A_UNIT = 128;

const input: Uint8Array = new Uint8Array(LARGEST_INPUT + 8);
const output: Uint8Array = new Uint8Array(HISTORY + LARGEST_OUTPUT);
const lengthCodes: Uint32Array = new Uint32Array(LENGTH_CODES);
const distanceCodes: Uint32Array = new Uint32Array(DISTANCE_CODES);

/** What the loop begins with and leaves. */
interface Progress {
  hold: number;
  bits: number;
  consumed: number;
  /** Place in `output`. */
  at: number;
  ended: boolean;
}

/** Decodes symbols until input or output may not suffice for another, a block ends, or one is not valid. */
function decode(
  progress: Progress,
  inputEnd: number,
  outputEnd: number,
  lengthMask: number,
  distanceMask: number,
  reach: number,
): void {
  let { hold, bits, consumed, at } = progress;
  const first = at - reach;
  while (consumed <= inputEnd && at <= outputEnd) {
    // The state before this symbol, should it not be valid.
    progress.hold = hold;
    progress.bits = bits;
    progress.consumed = consumed;
    progress.at = at;
    if (bits < 15) {
      hold |= (input[consumed] | (input[consumed + 1] << 8)) << bits;
      consumed += 2;
      bits += 16;
    }
    let code = lengthCodes[hold & lengthMask];
    let used = (code >>> 8) & 0xff;
    hold >>>= used;
    bits -= used;
    let kind = code & 0xff;
    if (kind !== 0 && (kind & 0x70) === 0) {
      code = lengthCodes[(code >>> 16) + (hold & ((1 << kind) - 1))];
      used = (code >>> 8) & 0xff;
      hold >>>= used;
      bits -= used;
      kind = code & 0xff;
    }
    if (kind === 0) {
      output[at++] = code >>> 16;
      continue;
    }
    if ((kind & 16) === 0) {
      if ((kind & 32) === 0) return;
      progress.ended = true;
      break;
    }
    let length = code >>> 16;
    kind &= 15;
    if (kind !== 0) {
      if (bits < kind) {
        hold |= input[consumed++] << bits;
        bits += 8;
      }
      length += hold & ((1 << kind) - 1);
      hold >>>= kind;
      bits -= kind;
    }
    if (bits < 15) {
      hold |= (input[consumed] | (input[consumed + 1] << 8)) << bits;
      consumed += 2;
      bits += 16;
    }
    code = distanceCodes[hold & distanceMask];
    used = (code >>> 8) & 0xff;
    hold >>>= used;
    bits -= used;
    kind = code & 0xff;
    if ((kind & 0x50) === 0) {
      code = distanceCodes[(code >>> 16) + (hold & ((1 << kind) - 1))];
      used = (code >>> 8) & 0xff;
      hold >>>= used;
      bits -= used;
      kind = code & 0xff;
    }
    if ((kind & 16) === 0) return;
    kind &= 15;
    while (bits < kind) {
      hold |= input[consumed++] << bits;
      bits += 8;
    }
    const distance = (code >>> 16) + (hold & ((1 << kind) - 1));
    hold >>>= kind;
    bits -= kind;
    let from = at - distance;
    if (from < first) return;
    const end = at + length;
    if (distance >= length && length > 24) {
      output.copyWithin(at, from, from + length);
      at = end;
    } else {
      while (at < end) output[at++] = output[from++];
    }
  }
  // Whole bytes that were not needed go back.
  const unused = bits >> 3;
  bits &= 7;
  progress.hold = hold & ((1 << bits) - 1);
  progress.bits = bits;
  progress.consumed = consumed - unused;
  progress.at = at;
}

function copyTable(memory: GuestMemory, address: number, rootBits: number, table: Uint32Array): boolean {
  if (rootBits > 10 || address % 4 !== 0) return false;
  // A table may be followed by nothing; its sub-tables are within the largest size.
  const entries = memory.allReadable(address, 4 * table.length) ? table.length : 1 << rootBits;
  if (!memory.allReadable(address, 4 * entries)) return false;
  table.fill(0);
  memory.copyIn(address, new Uint8Array(table.buffer, 0, 4 * entries));
  return true;
}

/** Puts what came before `out` in front of the output: `given` bytes from there, before them the window's. */
function copyHistory(memory: GuestMemory, state: number, out: number, given: number): number {
  const near = Math.min(given, HISTORY);
  memory.copyIn(out - near, output.subarray(HISTORY - near, HISTORY));
  const size = memory.u32(state + STATE.windowSize);
  const have = Math.min(memory.u32(state + STATE.windowHave), size, HISTORY);
  const next = memory.u32(state + STATE.windowNext);
  if (near === HISTORY || have === 0) return near;
  const window = memory.word(state + STATE.window);
  const wanted = Math.min(have, HISTORY - near);
  // The window is a ring: its newest byte is before `next`.
  const upper = Math.min(wanted, next);
  memory.copyIn(window + next - upper, output.subarray(HISTORY - near - upper, HISTORY - near));
  const lower = wanted - upper;
  if (lower > 0) memory.copyIn(window + size - lower, output.subarray(HISTORY - near - wanted, HISTORY - near - upper));
  return near + wanted;
}

function inflateFast({ memory, spend }: NativeCall, stream: number, start: number): undefined | Declined {
  const state = memory.word(stream + STREAM.state);
  const nextIn = memory.word(stream + STREAM.nextIn);
  const nextOut = memory.word(stream + STREAM.nextOut);
  const availableIn = memory.u32(stream + STREAM.availableIn);
  const availableOut = memory.u32(stream + STREAM.availableOut);
  const bits = memory.u32(state + STATE.bits);
  const lengthBits = memory.u32(state + STATE.lengthBits);
  const distanceBits = memory.u32(state + STATE.distanceBits);
  const inputBytes = Math.min(availableIn, LARGEST_INPUT);
  const outputBytes = Math.min(availableOut, LARGEST_OUTPUT);
  if (inputBytes < SYMBOL_INPUT || outputBytes < SYMBOL_OUTPUT || bits > 30 || start < availableOut) return DECLINED;
  if (!copyTable(memory, memory.word(state + STATE.lengthCodes), lengthBits, lengthCodes)) return DECLINED;
  if (!copyTable(memory, memory.word(state + STATE.distanceCodes), distanceBits, distanceCodes)) return DECLINED;
  memory.copyIn(nextIn, input.subarray(0, inputBytes));
  const reach = copyHistory(memory, state, nextOut, start - availableOut);
  const progress: Progress = { hold: memory.u32(state + STATE.hold), bits, consumed: 0, at: HISTORY, ended: false };
  decode(
    progress,
    inputBytes - SYMBOL_INPUT,
    HISTORY + outputBytes - SYMBOL_OUTPUT,
    (1 << lengthBits) - 1,
    (1 << distanceBits) - 1,
    reach,
  );
  const produced = progress.at - HISTORY;
  if (produced === 0 && !progress.ended) return DECLINED;
  if (!memory.allWritable(nextOut, produced) || !memory.allWritable(stream, 64) || !memory.allWritable(state, 128))
    return DECLINED;
  memory.copyOut(nextOut, output.subarray(HISTORY, progress.at));
  memory.setWord(stream + STREAM.nextIn, nextIn + progress.consumed);
  memory.setU32(stream + STREAM.availableIn, availableIn - progress.consumed);
  memory.setWord(stream + STREAM.nextOut, nextOut + produced);
  memory.setU32(stream + STREAM.availableOut, availableOut - produced);
  memory.setWord(state + STATE.hold, progress.hold >>> 0);
  memory.setU32(state + STATE.bits, progress.bits);
  if (progress.ended) memory.setU32(state + STATE.mode, MODE_TYPE);
  spend(produced / BYTES_A_UNIT);
  return undefined;
}

/** Builds whose code is known. */
const signatures: readonly CodeSignature[] = [
  // Debian 12, zlib 1:1.2.13.dfsg-1: libz.so.1.2.13
  {
    length: 4741,
    head: [2303285057, 28918267],
    relocated: [605, 646, 1313, 1365, 1377, 2461, 2521, 2561, 2573, 4119, 4137, 4225, 4243, 4259],
    hash: "95c46ac0e6090309",
  },
];

export const inflateFunctions: readonly NativeFunction[] = [
  nativeFunction({
    name: "inflate_fast",
    prototype: prototype(C.void, [C.pointer, C.unsignedInt]),
    signatures,
    run: inflateFast,
  }),
];
