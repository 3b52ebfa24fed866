/**
 * Static x86-64 programs of one page of code, made by hand.
 *
 *     0x400000  ELF header, program header     one segment, readable, writable and executable
 *     behind    the code, whose first instruction is the entry
 */

/** Field offsets of Elf64_Ehdr and, behind it, the one Elf64_Phdr (elf(5)). */
export const Field = {
  class: 4,
  data: 5,
  type: 16,
  machine: 18,
  entry: 24,
  programHeaders: 32,
  headerBytes: 52,
  programHeaderBytes: 54,
  programHeaderCount: 56,
  segmentType: 64,
  segmentFlags: 68,
  segmentOffset: 72,
  segmentAddress: 80,
  segmentFileBytes: 96,
  segmentMemoryBytes: 104,
  segmentAlignment: 112,
} as const;

const BASE = 0x400000;
const HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;
const PT_LOAD = 1;
const PT_INTERP = 3;
const READ_WRITE_EXECUTE = 7;

/** With an interpreter's name, a second program header tells it; the name stands behind the code. */
export function tinyProgram(code: readonly number[] | Uint8Array, interpreter?: string): Uint8Array {
  const name = new TextEncoder().encode(interpreter === undefined ? "" : `${interpreter}\0`);
  const headers = interpreter === undefined ? 1 : 2;
  const codeOffset = HEADER_BYTES + headers * PROGRAM_HEADER_BYTES;
  const bytes = new Uint8Array(codeOffset + code.length + name.length);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(Field.type, 2, true);
  view.setUint16(Field.machine, 62, true);
  view.setUint32(20, 1, true);
  view.setBigUint64(Field.entry, BigInt(BASE + codeOffset), true);
  view.setBigUint64(Field.programHeaders, BigInt(HEADER_BYTES), true);
  view.setUint16(Field.headerBytes, HEADER_BYTES, true);
  view.setUint16(Field.programHeaderBytes, PROGRAM_HEADER_BYTES, true);
  view.setUint16(Field.programHeaderCount, headers, true);
  programHeader(view, 0, { type: PT_LOAD, offset: 0, address: BASE, length: bytes.length });
  if (headers > 1) {
    programHeader(view, 1, { type: PT_INTERP, offset: codeOffset + code.length, address: 0, length: name.length });
  }
  bytes.set(code, codeOffset);
  bytes.set(name, codeOffset + code.length);
  return bytes;
}

function programHeader(
  view: DataView,
  index: number,
  { type, offset, address, length }: { type: number; offset: number; address: number; length: number },
): void {
  const move = index * PROGRAM_HEADER_BYTES;
  view.setUint32(Field.segmentType + move, type, true);
  view.setUint32(Field.segmentFlags + move, READ_WRITE_EXECUTE, true);
  view.setBigUint64(Field.segmentOffset + move, BigInt(offset), true);
  view.setBigUint64(Field.segmentAddress + move, BigInt(address), true);
  view.setBigUint64(Field.segmentFileBytes + move, BigInt(length), true);
  view.setBigUint64(Field.segmentMemoryBytes + move, BigInt(length), true);
  view.setBigUint64(Field.segmentAlignment + move, 4096n, true);
}

/** mov edi, 0; mov eax, 60; syscall: ends with status 0. */
export const exitCode: readonly number[] = [0xbf, 0, 0, 0, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05];
