/**
 * An ELF file as `inspect` needs it: where its code would be in memory, and what its functions are called (System V
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
  readonly content: Uint8Array;
  readonly executable: boolean;
}

export interface ElfImage {
  readonly mode: "x86-64" | "i386";
  readonly entry: number;
  readonly segments: readonly ElfSegment[];
  /** Functions, by address. */
  readonly functions: readonly ElfSymbol[];
}

/** The file is not what it should be; the message goes to the user. */
export class ElfError extends Error {}

const EM_386 = 3;
const EM_X86_64 = 62;
const PT_LOAD = 1;
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
  const { wide } = reader;
  const functions = sections(reader).flatMap((section, _index, all) => symbols(reader, section, all));
  return {
    mode: machine === EM_X86_64 ? "x86-64" : "i386",
    entry: reader.word(24),
    segments: segments(reader, wide),
    functions: functions.sort((left, right) => left.address - right.address),
  };
}

function segments(reader: ElfReader, wide: boolean): ElfSegment[] {
  const start = reader.word(wide ? 32 : 28);
  const size = reader.u16(wide ? 54 : 42);
  const found: ElfSegment[] = [];
  for (let index = 0; index < reader.u16(wide ? 56 : 44); index++) {
    const at = start + index * size;
    if (reader.u32(at) !== PT_LOAD) continue;
    const [flags, offset, address, length] = wide ? [4, 8, 16, 32] : [24, 4, 8, 16];
    const content = reader.slice(reader.word(at + offset), reader.word(at + length));
    found.push({ address: reader.word(at + address), content, executable: (reader.u32(at + flags) & PF_X) !== 0 });
  }
  return found;
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
