/**
 * Functions of an ELF file by name: `.dynsym` with its versions, and `.symtab` (System V ABI, chapter 4; LSB, symbol
 * versioning). Nothing in the file is believed: what does not fit is as if it were not there.
 */

/** Reads a file; fewer bytes than asked for at its end. */
export interface ByteSource {
  sizeBytes(): number;
  readAt(offset: number, into: Uint8Array): number;
}

export interface ElfFunction {
  readonly name: string;
  readonly version: string | undefined;
  /** Byte offset of its code in the file. */
  readonly offset: number;
  /** As the symbol says; 0 where it does not. */
  readonly size: number;
  /** STT_GNU_IFUNC: what is there chooses the function. */
  readonly indirect: boolean;
  readonly dynamic: boolean;
}

export interface ElfFunctions {
  /** DT_SONAME. */
  readonly library: string | undefined;
  /** A program without an interpreter or needed libraries. */
  readonly isStatic: boolean;
  readonly functions: readonly ElfFunction[];
}

const SECTION = {
  symtab: 2,
  dynamic: 6,
  nobits: 8,
  dynsym: 11,
  versions: 0x6fff_ffff,
  definitions: 0x6fff_fffd,
} as const;
const SYMBOL = { function: 2, indirect: 10, global: 1, weak: 2, object: 1 } as const;
const DYNAMIC = { needed: 1, soname: 14 } as const;
const SHF_ALLOC = 2;
/** Larger tables belong to debug builds of very large programs; reading them would take longer than it saves. */
const MAXIMUM_TABLE_BYTES = 8 << 20;
const MAXIMUM_SECTIONS = 4096;

interface Section {
  readonly type: number;
  readonly flags: number;
  readonly address: number;
  readonly offset: number;
  readonly size: number;
  readonly link: number;
  readonly info: number;
}

function read(source: ByteSource, offset: number, length: number): Uint8Array | undefined {
  if (!(length >= 0 && length <= MAXIMUM_TABLE_BYTES && offset >= 0 && offset + length <= source.sizeBytes()))
    return undefined;
  const bytes = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    const count = source.readAt(offset + done, bytes.subarray(done));
    if (count <= 0) return undefined;
    done += count;
  }
  return bytes;
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
const word64 = (view: DataView, at: number): number =>
  view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;

function text(strings: Uint8Array, at: number): string {
  let end = at;
  while (end < strings.length && strings[end] !== 0) end++;
  return String.fromCharCode(...strings.subarray(at, Math.min(end, at + 256)));
}

/** The functions among `wanted` (and objects, for `markers`), or undefined when it is no ELF file with sections. */
export function readElfFunctions(source: ByteSource, wanted: ReadonlySet<string>): ElfFunctions | undefined {
  const head = read(source, 0, Math.min(64, source.sizeBytes()));
  if (head === undefined || head.length < 52) return undefined;
  const view = viewOf(head);
  if (view.getUint32(0, false) !== 0x7f45_4c46 || head[5] !== 1) return undefined;
  const wide = head[4] === 2;
  if (wide && head.length < 64) return undefined;
  const tableOffset = wide ? word64(view, 40) : view.getUint32(32, true);
  const entryBytes = view.getUint16(wide ? 58 : 46, true);
  const count = view.getUint16(wide ? 60 : 48, true);
  if (entryBytes !== (wide ? 64 : 40) || count === 0 || count > MAXIMUM_SECTIONS) return undefined;
  const table = read(source, tableOffset, count * entryBytes);
  if (table === undefined) return undefined;
  const tableView = viewOf(table);
  const sections = Array.from({ length: count }, (_, index) => sectionAt(tableView, index * entryBytes, wide));
  const file = new FunctionReader(source, sections, wide, wanted);
  return file.readAll();
}

function sectionAt(view: DataView, at: number, wide: boolean): Section {
  const word = (index: number): number => view.getUint32(at + 4 * index, true);
  return wide
    ? {
        type: word(1),
        flags: word(2),
        address: word64(view, at + 16),
        offset: word64(view, at + 24),
        size: word64(view, at + 32),
        link: word(10),
        info: word(11),
      }
    : { type: word(1), flags: word(2), address: word(3), offset: word(4), size: word(5), link: word(6), info: word(7) };
}

class FunctionReader {
  private readonly source: ByteSource;
  private readonly sections: readonly Section[];
  private readonly wide: boolean;
  private readonly wanted: ReadonlySet<string>;
  /** First characters of wanted names: most names need not be read further. */
  private readonly initials: ReadonlySet<number>;
  private readonly functions: ElfFunction[] = [];

  constructor(source: ByteSource, sections: readonly Section[], wide: boolean, wanted: ReadonlySet<string>) {
    this.source = source;
    this.sections = sections;
    this.wide = wide;
    this.wanted = wanted;
    this.initials = new Set([...wanted].map((name) => name.charCodeAt(0)));
  }

  private contents(section: Section | undefined): Uint8Array | undefined {
    return section === undefined || section.type === SECTION.nobits
      ? undefined
      : read(this.source, section.offset, section.size);
  }

  readAll(): ElfFunctions {
    const dynamic = this.sections.find(({ type }) => type === SECTION.dynamic);
    const { library, needs } = this.dynamicFacts(dynamic);
    this.symbols(SECTION.dynsym);
    this.symbols(SECTION.symtab);
    return { library, isStatic: !needs && library === undefined, functions: this.functions };
  }

  private dynamicFacts(section: Section | undefined): { library: string | undefined; needs: boolean } {
    const bytes = this.contents(section);
    const strings = this.contents(section && this.sections[section.link]);
    let library: string | undefined;
    let needs = false;
    if (bytes === undefined || strings === undefined) return { library, needs };
    const view = viewOf(bytes);
    const step = this.wide ? 16 : 8;
    for (let at = 0; at + step <= bytes.length; at += step) {
      const tag = view.getUint32(at, true);
      if (tag === DYNAMIC.needed) needs = true;
      if (tag === DYNAMIC.soname) library = text(strings, view.getUint32(at + step / 2, true));
    }
    return { library, needs };
  }

  private symbols(type: number): void {
    const section = this.sections.find((candidate) => candidate.type === type);
    const bytes = this.contents(section);
    const strings = this.contents(section && this.sections[section.link]);
    if (section === undefined || bytes === undefined || strings === undefined) return;
    const versionOf = type === SECTION.dynsym ? this.versions() : () => undefined;
    const view = viewOf(bytes);
    const step = this.wide ? 24 : 16;
    for (let index = 1; (index + 1) * step <= bytes.length; index++) {
      const at = index * step;
      const nameAt = view.getUint32(at, true);
      if (!this.initials.has(strings[nameAt] ?? 0)) continue;
      const info = bytes[at + (this.wide ? 4 : 12)];
      const kind = info & 15;
      const binding = info >> 4;
      if (binding !== SYMBOL.global && binding !== SYMBOL.weak) continue;
      if (kind !== SYMBOL.function && kind !== SYMBOL.indirect && kind !== SYMBOL.object) continue;
      const home = this.sections[view.getUint16(at + (this.wide ? 6 : 14), true)];
      if (home === undefined || (home.flags & SHF_ALLOC) === 0) continue;
      const name = text(strings, nameAt);
      if (!this.wanted.has(name)) continue;
      const value = this.wide ? word64(view, at + 8) : view.getUint32(at + 4, true);
      const size = this.wide ? word64(view, at + 16) : view.getUint32(at + 8, true);
      if (value < home.address || value + size > home.address + home.size) continue;
      this.functions.push({
        name,
        version: versionOf(index),
        offset: kind === SYMBOL.object ? -1 : value - home.address + home.offset,
        size,
        indirect: kind === SYMBOL.indirect,
        dynamic: type === SECTION.dynsym,
      });
    }
  }

  /** Names of symbol versions by symbol index. */
  private versions(): (symbol: number) => string | undefined {
    const indices = this.contents(this.sections.find(({ type }) => type === SECTION.versions));
    const section = this.sections.find(({ type }) => type === SECTION.definitions);
    const bytes = this.contents(section);
    const strings = this.contents(section && this.sections[section.link]);
    if (indices === undefined || bytes === undefined || strings === undefined) return () => undefined;
    const names = new Map<number, string>();
    const view = viewOf(bytes);
    // Elf_Verdef: version, flags, index, auxiliary count (u16 each), hash, offset of the first name, of the next entry.
    for (let at = 0, left = section!.info; left > 0 && at + 20 <= bytes.length; left--) {
      const nameAt = at + view.getUint32(at + 12, true);
      if (nameAt + 4 <= bytes.length)
        names.set(view.getUint16(at + 4, true), text(strings, view.getUint32(nameAt, true)));
      const next = view.getUint32(at + 16, true);
      if (next === 0) break;
      at += next;
    }
    const indexView = viewOf(indices);
    return (symbol) =>
      2 * symbol + 2 <= indices.length ? names.get(indexView.getUint16(2 * symbol, true) & 0x7fff) : undefined;
  }
}
