/**
 * memcpy and its family (C17 7.24). A call that would fault, or change translated code, is left to the guest's own
 * function, which faults at the very instruction and byte where it always did.
 */
import { C } from "../c-types.ts";
import type { GuestMemory } from "../guest-memory.ts";
import { type Declined, DECLINED, type NativeCall, type NativeFunction, nativeFunction } from "../native-function.ts";
import { prototype } from "../prototype.ts";
import { glibc } from "./libraries.ts";

/** Bytes of one unit of the time slice. */
const BYTES_A_UNIT = 1024;
/** Below this, a call costs more than it saves (docs/native-bindings.md). */
const WORTHWHILE_COPY = 512;
const WORTHWHILE_SEARCH = 64;

const move = prototype(C.pointer, [C.pointer, C.pointer, C.size]);

/** Moves bytes between ranges that may overlap; false, with nothing moved, where not all may be accessed. */
function moveBytes(memory: GuestMemory, to: number, from: number, length: number): boolean {
  const { bytes } = memory;
  if (length <= memory.onPage(to) && length <= memory.onPage(from)) {
    const target = memory.writable(to, length);
    const source = target === 0 ? 0 : memory.readable(from, length);
    if (source === 0) return false;
    bytes.copyWithin(target, source, source + length);
    return true;
  }
  // Writable first: a page that was shared until now gets its own copy, at another place.
  if (!memory.allWritable(to, length) || !memory.allReadable(from, length)) return false;
  if (to <= from || to >= from + length) {
    for (let done = 0; done < length;) {
      const target = memory.writable(to + done, 1);
      const source = memory.readable(from + done, 1);
      const rest = Math.min(memory.run(to + done, target, length - done, true), length - done);
      const count = memory.run(from + done, source, rest, false);
      bytes.copyWithin(target, source, source + count);
      done += count;
    }
  } else {
    for (let left = length; left > 0;) {
      const count = Math.min(((to + left - 1) % 4096) + 1, ((from + left - 1) % 4096) + 1, left);
      left -= count;
      const source = memory.readable(from + left, count);
      bytes.copyWithin(memory.writable(to + left, count), source, source + count);
    }
  }
  return true;
}

function copying(name: "memcpy" | "memmove" | "mempcpy", atEnd: boolean): NativeFunction {
  return nativeFunction({
    name,
    wasm: name,
    prototype: move,
    symbols: [glibc(name)],
    atLeast: { parameter: 2, value: WORTHWHILE_COPY },
    run: ({ memory, spend }, to, from, length) => {
      if (!moveBytes(memory, to, from, length)) return DECLINED;
      spend(length / BYTES_A_UNIT);
      return atEnd ? to + length : to;
    },
  });
}

function fill({ memory, spend }: NativeCall, to: number, value: number, length: number): number | Declined {
  if (!memory.allWritable(to, length)) return DECLINED;
  for (let at = to; at < to + length;) {
    const host = memory.writable(at, 1);
    const count = memory.run(at, host, to + length - at, true);
    memory.bytes.fill(value, host, host + count);
    at += count;
  }
  spend(length / BYTES_A_UNIT);
  return to;
}

function compare({ memory, spend }: NativeCall, first: number, second: number, length: number): number | Declined {
  const { bytes } = memory;
  for (let done = 0; done < length;) {
    const count = Math.min(memory.onPage(first + done), memory.onPage(second + done), length - done);
    const a = memory.readable(first + done, count);
    const b = a === 0 ? 0 : memory.readable(second + done, count);
    if (b === 0) return DECLINED;
    for (let index = 0; index < count; index++) {
      const difference = bytes[a + index] - bytes[b + index];
      if (difference !== 0) return difference;
    }
    done += count;
  }
  spend(length / BYTES_A_UNIT);
  return 0;
}

function find({ memory, spend }: NativeCall, from: number, value: number, length: number): number | Declined {
  for (let done = 0; done < length;) {
    const count = Math.min(memory.onPage(from + done), length - done);
    const host = memory.readable(from + done, count);
    if (host === 0) return DECLINED;
    const at = memory.bytes.subarray(host, host + count).indexOf(value & 0xff);
    spend(count / BYTES_A_UNIT);
    if (at >= 0) return from + done + at;
    done += count;
  }
  return 0;
}

export const memoryFunctions: readonly NativeFunction[] = [
  copying("memcpy", false),
  copying("memmove", false),
  copying("mempcpy", true),
  nativeFunction({
    name: "memset",
    wasm: "memset",
    prototype: prototype(C.pointer, [C.pointer, C.int, C.size]),
    symbols: [glibc("memset")],
    atLeast: { parameter: 2, value: WORTHWHILE_COPY },
    run: fill,
  }),
  nativeFunction({
    name: "memcmp",
    wasm: "memcmp",
    prototype: prototype(C.int, [C.pointer, C.pointer, C.size]),
    symbols: [glibc("memcmp"), glibc("bcmp")],
    atLeast: { parameter: 2, value: WORTHWHILE_SEARCH },
    run: compare,
  }),
  nativeFunction({
    name: "memchr",
    wasm: "memchr",
    prototype: prototype(C.pointer, [C.pointer, C.int, C.size]),
    symbols: [glibc("memchr")],
    atLeast: { parameter: 2, value: WORTHWHILE_SEARCH },
    run: find,
  }),
];
