// The stack that a program finds at its entry (System V ABI AMD64 supplement, 3.4.1; i386 supplement, 2.3.1):
//
//   high   8 zero bytes
//          the file's name, environment strings, argument strings, platform, 16 random bytes
//          (padding to 16)
//          auxiliary vector, AT_NULL
//          environment pointers, 0
//          argument pointers, 0
//   sp ->  argc                     (16-byte aligned)

import type { GuestMemory } from "../memory/user-memory.ts";

export const AT_NULL = 0;
export const AT_PHDR = 3;
export const AT_PHENT = 4;
export const AT_PHNUM = 5;
export const AT_PAGESZ = 6;
export const AT_BASE = 7;
export const AT_FLAGS = 8;
export const AT_ENTRY = 9;
export const AT_UID = 11;
export const AT_EUID = 12;
export const AT_GID = 13;
export const AT_EGID = 14;
export const AT_PLATFORM = 15;
export const AT_HWCAP = 16;
export const AT_CLKTCK = 17;
export const AT_SECURE = 23;
export const AT_RANDOM = 25;
export const AT_HWCAP2 = 26;
export const AT_EXECFN = 31;
export const AT_MINSIGSTKSZ = 51;

export interface StackContents {
  readonly wordBytes: 8 | 4;
  /** Guest-virtual; the stack grows down from here. */
  readonly top: number;
  readonly commandLine: readonly Uint8Array[];
  readonly environment: readonly Uint8Array[];
  readonly fileName: Uint8Array;
  readonly platform: string;
  readonly random: Uint8Array;
  /** Pairs that hold no pointer into the stack. */
  readonly auxiliary: readonly (readonly [number, number])[];
}

export interface InitialStack {
  readonly stackPointer: number;
  readonly argumentsStart: number;
  readonly argumentsEnd: number;
  readonly environmentStart: number;
  readonly environmentEnd: number;
  readonly auxiliaryVector: Uint8Array;
}

/** Bytes that the strings and pointers take, for the limit that gives E2BIG. */
export function stackBytes(
  commandLine: readonly Uint8Array[],
  environment: readonly Uint8Array[],
  wordBytes: number,
): number {
  let bytes = 0;
  for (const text of commandLine) bytes += text.length + 1 + wordBytes;
  for (const text of environment) bytes += text.length + 1 + wordBytes;
  return bytes;
}

/** Writes it; the stack must be mapped. Throws `SyscallError(EFAULT)` when it does not fit. */
export function writeInitialStack(memory: GuestMemory, contents: StackContents): InitialStack {
  const { wordBytes } = contents;
  let at = contents.top - 8;
  const pushString = (text: Uint8Array): number => {
    at -= text.length + 1;
    memory.writeBytes(at, text);
    memory.writeU8(at + text.length, 0);
    return at;
  };
  const pushAll = (texts: readonly Uint8Array[]): number[] => {
    // One store for all of them: environments are long.
    let total = 0;
    for (const text of texts) total += text.length + 1;
    at -= total;
    const block = new Uint8Array(total);
    const pointers: number[] = [];
    let offset = 0;
    for (const text of texts) {
      pointers.push(at + offset);
      block.set(text, offset);
      offset += text.length + 1;
    }
    memory.writeBytes(at, block);
    return pointers;
  };
  const fileName = pushString(contents.fileName);
  const environmentEnd = at;
  const environment = pushAll(contents.environment);
  const environmentStart = at;
  const commandLine = pushAll(contents.commandLine);
  const argumentsStart = at;
  at -= at % 16;
  const platform = pushString(new TextEncoder().encode(contents.platform));
  at -= 16;
  memory.writeBytes(at, contents.random);
  const random = at;
  at -= at % 16;
  const auxiliary: (readonly [number, number])[] = [
    ...contents.auxiliary,
    [AT_RANDOM, random],
    [AT_EXECFN, fileName],
    [AT_PLATFORM, platform],
    [AT_NULL, 0],
  ];
  const words = [contents.commandLine.length, ...commandLine, 0, ...environment, 0, ...auxiliary.flat()];
  at -= words.length * wordBytes;
  at -= at % 16;
  const block = new DataView(new ArrayBuffer(words.length * wordBytes));
  words.forEach((word, index) => {
    block.setUint32(index * wordBytes, word % 2 ** 32, true);
    if (wordBytes === 8) block.setUint32(index * 8 + 4, Math.floor(word / 2 ** 32), true);
  });
  memory.writeBytes(at, new Uint8Array(block.buffer));
  return {
    stackPointer: at,
    argumentsStart,
    argumentsEnd: environmentStart,
    environmentStart,
    environmentEnd,
    auxiliaryVector: new Uint8Array(block.buffer).slice(-auxiliary.length * 2 * wordBytes),
  };
}
