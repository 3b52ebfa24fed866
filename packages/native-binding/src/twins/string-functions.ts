/**
 * Functions on C strings (C17 7.24). How long a string is, nobody knows before looking: most calls end in WebAssembly, and what
 * is here is for long strings.
 */
import { C } from "../c-types.ts";
import type { GuestMemory } from "../guest-memory.ts";
import {
  type BindPoint,
  type Declined,
  DECLINED,
  type NativeFunction,
  nativeFunction,
  resumableFunction,
} from "../native-function.ts";
import { prototype } from "../prototype.ts";
import type { WasmTwinName } from "../wasm/twins.ts";
import { glibc } from "./libraries.ts";

const BYTES_A_UNIT = 1024;
const inspect = prototype(C.size, [C.pointer]);
const search = prototype(C.pointer, [C.pointer, C.int]);
const compareTwo = prototype(C.int, [C.pointer, C.pointer]);
const copy = prototype(C.pointer, [C.pointer, C.pointer]);

const UNREADABLE = -1;

/** Bytes before the first that is 0, at most `limit`; or UNREADABLE. */
function length(memory: GuestMemory, text: number, limit: number): number {
  for (let at = text; at < text + limit;) {
    const count = Math.min(memory.onPage(at), text + limit - at);
    const host = memory.readable(at, count);
    if (host === 0) return UNREADABLE;
    const end = memory.bytes.subarray(host, host + count).indexOf(0);
    if (end >= 0) return at + end - text;
    at += count;
  }
  return limit;
}

/** Difference of the first bytes in which two strings differ within `limit`. */
function compare(memory: GuestMemory, first: number, second: number, limit: number): number | Declined {
  const { bytes } = memory;
  for (let done = 0; done < limit;) {
    const count = Math.min(memory.onPage(first + done), memory.onPage(second + done), limit - done);
    const a = memory.readable(first + done, count);
    const b = a === 0 ? 0 : memory.readable(second + done, count);
    if (b === 0) return DECLINED;
    for (let index = 0; index < count; index++) {
      const byte = bytes[a + index];
      const difference = byte - bytes[b + index];
      if (difference !== 0 || byte === 0) return difference;
    }
    done += count;
  }
  return 0;
}

/** Copies a string with its end; returns its length, or UNREADABLE with nothing copied. */
function copyString(memory: GuestMemory, to: number, from: number): number {
  const size = length(memory, from, Infinity);
  if (size < 0 || !memory.allWritable(to, size + 1) || !memory.allReadable(from, size + 1)) return UNREADABLE;
  for (let done = 0; done <= size;) {
    const count = Math.min(memory.onPage(to + done), memory.onPage(from + done), size + 1 - done);
    const source = memory.readable(from + done, count);
    memory.bytes.copyWithin(memory.writable(to + done, count), source, source + count);
    done += count;
  }
  return size;
}

function searching(
  name: string,
  { last = false, endInstead = false, wasm }: { last?: boolean; endInstead?: boolean; wasm?: WasmTwinName },
): NativeFunction {
  return nativeFunction({
    name,
    ...(wasm === undefined ? {} : { wasm }),
    prototype: search,
    symbols: [glibc(name)],
    run: ({ memory, spend }, text, character) => {
      const size = length(memory, text, Infinity);
      if (size < 0) return DECLINED;
      spend(size / BYTES_A_UNIT);
      const wanted = character & 0xff;
      if (wanted === 0) return text + size;
      let found = endInstead ? text + size : 0;
      for (let done = 0; done < size;) {
        const count = Math.min(memory.onPage(text + done), size - done);
        const host = memory.readable(text + done, count);
        const piece = memory.bytes.subarray(host, host + count);
        const at = last ? piece.lastIndexOf(wanted) : piece.indexOf(wanted);
        if (at >= 0) found = text + done + at;
        if (at >= 0 && !last) break;
        done += count;
      }
      return found;
    },
  });
}

/** Memory for copies is the guest's to give. */
const strdup = resumableFunction({
  name: "strdup",
  prototype: prototype(C.pointer, [C.pointer]),
  symbols: [glibc("strdup"), glibc("__strdup")],
  callees: { allocate: { prototype: prototype(C.pointer, [C.size]) } },
  start: ({ memory }, text) => {
    const size = length(memory, text, Infinity);
    return size < 0 ? DECLINED : { call: "allocate", values: [size + 1], state: { text } };
  },
  resume: ({ memory }, { text }: { text: number }, place) => {
    if (place !== 0) copyString(memory, place, text);
    return { returns: place };
  },
});

export const defaultBindPoints: readonly BindPoint[] = [{ native: "strdup.allocate", guest: glibc("malloc") }];

export const stringFunctions: readonly NativeFunction[] = [
  strdup,
  nativeFunction({
    name: "strlen",
    wasm: "strlen",
    prototype: inspect,
    symbols: [glibc("strlen")],
    run: ({ memory, spend }, text) => {
      const size = length(memory, text, Infinity);
      if (size < 0) return DECLINED;
      spend(size / BYTES_A_UNIT);
      return size;
    },
  }),
  nativeFunction({
    name: "strnlen",
    wasm: "strnlen",
    prototype: prototype(C.size, [C.pointer, C.size]),
    symbols: [glibc("strnlen")],
    run: ({ memory, spend }, text, limit) => {
      const size = length(memory, text, limit);
      if (size < 0) return DECLINED;
      spend(size / BYTES_A_UNIT);
      return size;
    },
  }),
  nativeFunction({
    name: "strcmp",
    wasm: "strcmp",
    prototype: compareTwo,
    symbols: [glibc("strcmp")],
    run: ({ memory }, first, second) => compare(memory, first, second, Infinity),
  }),
  nativeFunction({
    name: "strncmp",
    wasm: "strncmp",
    prototype: prototype(C.int, [C.pointer, C.pointer, C.size]),
    symbols: [glibc("strncmp")],
    run: ({ memory }, first, second, limit) => compare(memory, first, second, limit),
  }),
  searching("strchr", { wasm: "strchr" }),
  searching("strchrnul", { endInstead: true, wasm: "strchrnul" }),
  searching("strrchr", { last: true }),
  nativeFunction({
    name: "strcpy",
    prototype: copy,
    symbols: [glibc("strcpy")],
    run: ({ memory, spend }, to, from) => {
      const size = copyString(memory, to, from);
      if (size < 0) return DECLINED;
      spend(size / BYTES_A_UNIT);
      return to;
    },
  }),
  nativeFunction({
    name: "stpcpy",
    prototype: copy,
    symbols: [glibc("stpcpy")],
    run: ({ memory, spend }, to, from) => {
      const size = copyString(memory, to, from);
      if (size < 0) return DECLINED;
      spend(size / BYTES_A_UNIT);
      return to + size;
    },
  }),
];
