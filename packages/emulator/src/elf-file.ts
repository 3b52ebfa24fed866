/**
 * An ELF file as `inspect` and profiles need it: where its code would be in memory, and what its functions are called (System V
 * ABI, chapter 4; elf(5)). Addresses are those of the file, as nm(1) and objdump(1) show them.
 */
export interface ElfSymbol {
  readonly name: string;
  readonly address: number;
  /** 0 where the file does not say. */
  readonly bytes: number;
}

export interface ElfSegment {
  readonly address: number;
  /** Where `content` is in the file. */
  readonly fileOffset: number;
  readonly content: Uint8Array;
  readonly executable: boolean;
}

export interface ElfImage {
  readonly mode: "x86-64" | "i386";
  readonly entry: number;
  readonly segments: readonly ElfSegment[];
  /** Functions, by address. */
  readonly functions: readonly ElfSymbol[];
  /** Where functions begin, by address, as the table for unwinding stacks knows it, which stripped files have too. */
  readonly functionStarts: readonly number[];
}

/** The file is not what it should be; the message goes to the user. */
export class ElfError extends Error {}

const EM_386 = 3;
const EM_X86_64 = 62;
const PT_LOAD = 1;
const PT_GNU_EH_FRAME = 0x6474_e550;
const PF_X = 1;
const SHT_SYMTAB = 2;
const SHT_DYNSYM = 11;
const STT_FUNC = 2;
const STT_GNU_IFUNC = 10;

interface Section {
  readonly type: number;
  readonly offset: number;
  readonly size: number;
  readonly link: number;
  readonly entrySize: number;
}

class ElfReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly wide: boolean;

  constructor(bytes: Uint8Array) {
    if (bytes.length < 52 || String.fromCharCode(...bytes.subarray(0, 4)) !== "\u007fELF")
      throw new ElfError("not an ELF file");
    if (bytes[5] !== 1) throw new ElfError("a big-endian ELF file; only x86-64 and i386 programs run here");
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.wide = bytes[4] === 2;
  }

  slice(offset: number, length: number): Uint8Array {
    if (offset + length > this.#bytes.length)
      throw new ElfError("truncated: a header points behind the end of the file");
    return this.#bytes.subarray(offset, offset + length);
  }
  u8(at: number): number {
    return this.slice(at, 1)[0];
  }
  u16(at: number): number {
    this.slice(at, 2);
    return this.#view.getUint16(at, true);
  }
  u32(at: number): number {
    this.slice(at, 4);
    return this.#view.getUint32(at, true);
  }
  i32(at: number): number {
    return this.u32(at) | 0;
  }
  /** An address, offset or size: as wide as the file's class. */
  word(at: number): number {
    return this.wide ? this.u32(at) + this.u32(at + 4) * 2 ** 32 : this.u32(at);
  }
  text(at: number): string {
    let end = at;
    while (this.u8(end) !== 0) end++;
    return new TextDecoder().decode(this.slice(at, end - at));
  }
}

export function readElf(bytes: Uint8Array): ElfImage {
  const reader = new ElfReader(bytes);
  const machine = reader.u16(18);
  if (machine !== EM_X86_64 && machine !== EM_386)
    throw new ElfError(`for another processor (machine ${machine}); only x86-64 and i386 programs run here`);
  const functions = sections(reader).flatMap((section, _index, all) => symbols(reader, section, all));
  return {
    mode: machine === EM_X86_64 ? "x86-64" : "i386",
    entry: reader.word(24),
    segments: segments(reader),
    functions: functions.sort((left, right) => left.address - right.address),
    functionStarts: functionStarts(reader),
  };
}

interface ProgramHeader {
  readonly flags: number;
  readonly fileOffset: number;
  readonly address: number;
  readonly bytes: number;
}

function programHeaders(reader: ElfReader, type: number): ProgramHeader[] {
  const { wide } = reader;
  const start = reader.word(wide ? 32 : 28);
  const size = reader.u16(wide ? 54 : 42);
  const [flags, offset, address, bytes] = wide ? [4, 8, 16, 32] : [24, 4, 8, 16];
  return Array.from({ length: reader.u16(wide ? 56 : 44) }, (_, index) => start + index * size)
    .filter((at) => reader.u32(at) === type)
    .map((at) => ({
      flags: reader.u32(at + flags),
      fileOffset: reader.word(at + offset),
      address: reader.word(at + address),
      bytes: reader.word(at + bytes),
    }));
}

function segments(reader: ElfReader): ElfSegment[] {
  return programHeaders(reader, PT_LOAD).map(({ flags, fileOffset, address, bytes }) => ({
    address,
    fileOffset,
    content: reader.slice(fileOffset, bytes),
    executable: (flags & PF_X) !== 0,
  }));
}

/**
 * `.eh_frame_hdr` (LSB 5, 10.6.2): a version, three encodings, the address of `.eh_frame`, then how many functions there are,
 * and for each the addresses of its first instruction and of its description. All linkers write the table with 32-bit
 * addresses relative to its own; one that is otherwise is not read.
 */
function functionStarts(reader: ElfReader): number[] {
  const UDATA4 = 0x03;
  const DATA_RELATIVE_SDATA4 = 0x3b;
  const PC_RELATIVE_SDATA4 = 0x1b;
  const [table] = programHeaders(reader, PT_GNU_EH_FRAME);
  if (table === undefined || table.bytes < 12) return [];
  const { fileOffset: at, address, bytes } = table;
  const encodings = [1, 2, 3].map((field) => reader.u8(at + field));
  if ([PC_RELATIVE_SDATA4, UDATA4, DATA_RELATIVE_SDATA4].some((code, index) => encodings[index] !== code)) return [];
  const count = Math.min(reader.u32(at + 8), Math.floor((bytes - 12) / 8));
  return Array.from({ length: count }, (_, index) => address + reader.i32(at + 12 + 8 * index));
}

function sections(reader: ElfReader): Section[] {
  const { wide } = reader;
  const start = reader.word(wide ? 40 : 32);
  if (start === 0) return [];
  const size = reader.u16(wide ? 58 : 46);
  return Array.from({ length: reader.u16(wide ? 60 : 48) }, (_, index): Section => {
    const at = start + index * size;
    const [offset, length, link, entry] = wide ? [24, 32, 40, 56] : [16, 20, 24, 36];
    return {
      type: reader.u32(at + 4),
      offset: reader.word(at + offset),
      size: reader.word(at + length),
      link: reader.u32(at + link),
      entrySize: reader.word(at + entry),
    };
  });
}

function symbols(reader: ElfReader, section: Section, all: readonly Section[]): ElfSymbol[] {
  const names = all[section.link];
  if ((section.type !== SHT_SYMTAB && section.type !== SHT_DYNSYM) || names === undefined || section.entrySize === 0)
    return [];
  const [infoAt, sectionAt, valueAt, sizeAt] = reader.wide ? [4, 6, 8, 16] : [12, 14, 4, 8];
  const found: ElfSymbol[] = [];
  for (let at = section.offset; at < section.offset + section.size; at += section.entrySize) {
    const type = reader.u8(at + infoAt) & 15;
    const isDefined = reader.u16(at + sectionAt) !== 0;
    if (!isDefined || (type !== STT_FUNC && type !== STT_GNU_IFUNC)) continue;
    found.push({
      name: reader.text(names.offset + reader.u32(at)),
      address: reader.word(at + valueAt),
      bytes: reader.word(at + sizeAt),
    });
  }
  return found;
}
