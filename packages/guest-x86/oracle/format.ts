/**
 * Cases and results as bytes, the same for every runner: the native harness reads and writes exactly this (native/harness.c
 * has the field offsets), other runners through the functions here.
 *
 *   case     header 608: size, mode, code bytes, patch count, code address | state 560 | code 32; then the patches
 *   result   header 600: size, kind, vector, signal, RIP | state 560 | fault address, si_addr, count; then changed words
 *   state    general registers 16 x 8 | RFLAGS 8 | 8 free | FXSAVE64 image 416, both in cases and in results at 16
 *
 * Memory is the same before every case: the windows below, each 8-byte word holding `pattern(its address)`, with the case's
 * patches on top. A result lists the words that are no longer what the case started with.
 */

/** Where things lie, in guest-virtual addresses; nothing else is mapped. */
export const Layout = {
  code: 0x1000_0000,
  codeBytes: 0x4_0000,
  /** The last page of the code is INT3 throughout: where indirect branches go. */
  landing: 0x1003_f000,
  /** Two pages to read and write; */
  data: 0x1100_0000,
  dataBytes: 8192,
  /** a page that can only be read; */
  readOnly: 0x1100_4000,
  /** a page to read and write that needs more than 32 bits. */
  high: 0x1234_5678_9000,
  pageBytes: 4096,
  fsBase: 0x1100_0400,
  gsBase: 0x1100_1000,
  /** Selectors of CS (64-bit, 32-bit), and of SS, DS and ES. */
  codeSelector64: 0x33,
  codeSelector32: 0x23,
  dataSelector: 0x2b,
  fsSelector: 0x63,
  gsSelector: 0x6b,
} as const;

/** Most bytes of code in a case. */
export const maximumCode = 32;
/** CF PF AF ZF SF DF OF AC ID: what a result's flags hold. */
export const comparedFlags = 0x24_0cd5;

const stateAt = 16;
/** Offsets within the state. */
export const StateAt = { gpr: 0, flags: 128, image: 144, end: 560 } as const;
/** Offsets within the FXSAVE image. */
export const ImageAt = {
  fcw: 0,
  fsw: 2,
  ftw: 4,
  fop: 6,
  fip: 8,
  fdp: 16,
  mxcsr: 24,
  mxcsrMask: 28,
  st: 32,
  xmm: 160,
  end: 416,
} as const;

const caseHeader = 608;
const codeAt = 576;
const resultHeader = 600;

export const ResultKind = { end: 0, fault: 1, timeout: 2 } as const;

/** A growing run of records, each starting with its size. */
export class Batch {
  bytes: Uint8Array;
  view: DataView;
  length = 0;
  readonly offsets: number[] = [];

  constructor(bytes: Uint8Array = new Uint8Array(1 << 20)) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Over bytes another process produced; throws when the records do not add up. */
  static over(bytes: Uint8Array): Batch {
    const batch = new Batch(bytes);
    while (batch.length < bytes.length) {
      const size = bytes.length - batch.length >= 4 ? batch.view.getUint32(batch.length, true) : 0;
      if (size < resultHeader || batch.length + size > bytes.length) throw new Error(`bad record at ${batch.length}`);
      batch.offsets.push(batch.length);
      batch.length += size;
    }
    return batch;
  }

  get count(): number {
    return this.offsets.length;
  }

  clear(): void {
    this.length = 0;
    this.offsets.length = 0;
  }

  /** Room for `size` more bytes, zeroed, at `length`. */
  reserve(size: number): void {
    if (this.length + size > this.bytes.length) {
      const bytes = new Uint8Array(Math.max(2 * this.bytes.length, this.length + size));
      bytes.set(this.bytes.subarray(0, this.length));
      this.bytes = bytes;
      this.view = new DataView(bytes.buffer);
    }
    this.bytes.fill(0, this.length, this.length + size);
  }

  /** The bytes of records `from` up to `to`. */
  slice(from: number, to: number): Uint8Array {
    return this.bytes.subarray(this.offsets[from] ?? this.length, this.offsets[to] ?? this.length);
  }

  /** A copy of record `index` appended. */
  append(from: Batch, index: number): void {
    const record = from.slice(index, index + 1);
    this.reserve(record.length);
    this.bytes.set(record, this.length);
    this.offsets.push(this.length);
    this.length += record.length;
  }

  // State, in cases and results alike.

  state(index: number): Uint8Array {
    const at = this.offsets[index] + stateAt;
    return this.bytes.subarray(at, at + StateAt.end);
  }

  /** Offset in `bytes` of the state of record `index`. */
  stateOffset(index: number): number {
    return this.offsets[index] + stateAt;
  }

  gpr(index: number, register: number): bigint {
    return this.view.getBigUint64(this.stateOffset(index) + 8 * register, true);
  }

  flags(index: number): number {
    return this.view.getUint32(this.stateOffset(index) + StateAt.flags, true);
  }

  // Cases.

  /** Starts a case whose state is zero and which has no patches. */
  beginCase(mode: number, address: number, code: Uint8Array, codeBytes: number): number {
    this.reserve(caseHeader);
    const at = this.length;
    this.view.setUint32(at, caseHeader, true);
    this.bytes[at + 4] = mode;
    this.bytes[at + 5] = codeBytes;
    this.view.setUint32(at + 8, address, true);
    for (let i = 0; i < codeBytes; i++) this.bytes[at + codeAt + i] = code[i];
    this.offsets.push(at);
    this.length += caseHeader;
    return this.offsets.length - 1;
  }

  /** Adds a patch of `byteCount` bytes to the last case, to be filled in; returns their offset in `bytes`. */
  addPatch(address: number, byteCount: number): number {
    const at = this.offsets.at(-1) as number;
    const size = 16 + ((byteCount + 7) & ~7);
    this.reserve(size);
    this.view.setBigUint64(this.length, BigInt(address), true);
    this.view.setUint32(this.length + 8, byteCount, true);
    this.length += size;
    this.bytes[at + 6] = this.bytes[at + 6] + 1;
    this.view.setUint32(at, this.length - at, true);
    return this.length - size + 16;
  }

  mode(index: number): number {
    return this.bytes[this.offsets[index] + 4];
  }

  codeAddress(index: number): number {
    return this.view.getUint32(this.offsets[index] + 8, true);
  }

  code(index: number): Uint8Array {
    const at = this.offsets[index];
    return this.bytes.subarray(at + codeAt, at + codeAt + this.bytes[at + 5]);
  }

  /** Calls `apply` with every patch's address and bytes. */
  forPatches(index: number, apply: (address: number, bytes: Uint8Array) => void): void {
    const at = this.offsets[index];
    let patch = at + caseHeader;
    for (let i = this.bytes[at + 6]; i > 0; i--) {
      const count = this.view.getUint32(patch + 8, true);
      apply(Number(this.view.getBigUint64(patch, true)), this.bytes.subarray(patch + 16, patch + 16 + count));
      patch += 16 + ((count + 7) & ~7);
    }
  }

  // Results.

  /** Starts a result; its state is to be filled in. */
  beginResult(kind: number, vector: number, errorCode: number, faultAddress: bigint, rip: bigint): number {
    this.reserve(resultHeader);
    const at = this.length;
    this.view.setUint32(at, resultHeader, true);
    this.bytes[at + 4] = kind;
    this.bytes[at + 5] = vector;
    this.view.setBigUint64(at + 8, rip, true);
    this.view.setUint32(at + 152, errorCode, true);
    this.view.setBigUint64(at + 576, faultAddress, true);
    this.offsets.push(at);
    this.length += resultHeader;
    return this.offsets.length - 1;
  }

  /** Adds a changed word to the last result; in ascending order of addresses. */
  addWord(address: number, low: number, high: number): void {
    const at = this.offsets.at(-1) as number;
    this.reserve(16);
    this.view.setBigUint64(this.length, BigInt(address), true);
    this.view.setInt32(this.length + 8, low, true);
    this.view.setInt32(this.length + 12, high, true);
    this.length += 16;
    this.view.setUint32(at, this.length - at, true);
    this.view.setUint32(at + 592, this.view.getUint32(at + 592, true) + 1, true);
  }

  kind(index: number): number {
    return this.bytes[this.offsets[index] + 4];
  }

  vector(index: number): number {
    return this.bytes[this.offsets[index] + 5];
  }

  rip(index: number): bigint {
    return this.view.getBigUint64(this.offsets[index] + 8, true);
  }

  errorCode(index: number): number {
    return this.view.getUint32(this.offsets[index] + 152, true);
  }

  faultAddress(index: number): bigint {
    return this.view.getBigUint64(this.offsets[index] + 576, true);
  }

  wordCount(index: number): number {
    return this.view.getUint32(this.offsets[index] + 592, true);
  }

  /** Offset in `bytes` of changed word `word`: its address, and 8 bytes on its value. */
  wordOffset(index: number, word: number): number {
    return this.offsets[index] + resultHeader + 16 * word;
  }
}

/** Whoever can execute cases: this machine's processor, the translator, a recording. */
export interface InstructionRunner {
  readonly name: string;
  /** Results in the order of the cases. */
  run(cases: Batch): Batch;
}

const mask64 = (1n << 64n) - 1n;

/** What a word of memory holds when no patch says otherwise: splitmix64 of its address. */
export function pattern(address: number): bigint {
  let z = (BigInt(address) * 0x9e37_79b9_7f4a_7c15n) & mask64;
  z = ((z ^ (z >> 30n)) * 0xbf58_476d_1ce4_e5b9n) & mask64;
  z = ((z ^ (z >> 27n)) * 0x94d0_49bb_1331_11ebn) & mask64;
  return z ^ (z >> 31n);
}

/** The memory windows, with their protection. */
export const windows: readonly { readonly address: number; readonly bytes: number; readonly writable: boolean }[] = [
  { address: Layout.data, bytes: Layout.dataBytes, writable: true },
  { address: Layout.high, bytes: Layout.pageBytes, writable: true },
  { address: Layout.readOnly, bytes: Layout.pageBytes, writable: false },
];
