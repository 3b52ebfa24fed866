// Reading ELF headers (System V ABI, chapters 4 and 5; elf(5)): only what exec needs, and no header believed: every
// offset and size is checked against the file and the address space before anybody uses it.

import { ENOEXEC } from "../kernel/errno.ts";
import type { PageSource } from "../kernel/memory.ts";
import type { GuestMode } from "../engine-port.ts";
import { PAGE_BYTES } from "../engine-port.ts";

/** Why a program cannot be run: the errno that execve gives, and one clear line for people. */
export interface LoadFailure {
  readonly errno: number;
  readonly reason: string;
}

export function isLoadFailure(value: object): value is LoadFailure {
  return "errno" in value && "reason" in value;
}

/** One PT_LOAD: addresses before relocation, sizes in bytes, PROT_ bits. */
export interface LoadSegment {
  readonly offset: number;
  readonly address: number;
  readonly fileBytes: number;
  readonly memoryBytes: number;
  readonly protection: number;
  readonly align: number;
}

export interface ElfFile {
  readonly mode: GuestMode;
  /** ET_DYN: may be placed anywhere. */
  readonly relocatable: boolean;
  readonly entry: number;
  readonly programHeaderCount: number;
  readonly programHeaderBytes: number;
  /** Where the program headers will be in memory, before relocation; 0 when no segment holds them. */
  readonly programHeaderAddress: number;
  readonly segments: readonly LoadSegment[];
  /** PT_INTERP's path as a byte string, or null. */
  readonly interpreter: string | null;
  /** PT_GNU_STACK: executable, not executable, or not said. */
  readonly stack: "executable" | "plain" | "unsaid";
}

const ET_EXEC = 2;
const ET_DYN = 3;
const EM_386 = 3;
const EM_X86_64 = 62;
const PT_LOAD = 1;
const PT_INTERP = 3;
const PT_PHDR = 6;
const PT_GNU_STACK = 0x6474_e551;
/** As Linux: program headers must fit in 64 KiB. */
const MAXIMUM_HEADER_BYTES = 65_536;
const PATH_MAX = 4096;

const MACHINES: Readonly<Record<number, string>> = {
  2: "SPARC",
  8: "MIPS",
  20: "PowerPC",
  21: "PowerPC64",
  22: "S390",
  40: "ARM",
  43: "SPARC V9",
  50: "IA-64",
  183: "AArch64",
  243: "RISC-V",
  258: "LoongArch",
};

function refuse(reason: string): LoadFailure {
  return { errno: ENOEXEC, reason };
}

/** Reads up to `length` bytes; fewer at the end of the file. */
export function readHead(source: PageSource, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    const piece = bytes.subarray(done, Math.min(length, done + PAGE_BYTES));
    const count = source.readAt(offset + done, piece);
    if (count <= 0) break;
    done += count;
  }
  return bytes.subarray(0, done);
}

export function isElf(head: Uint8Array): boolean {
  return head.length >= 4 && head[0] === 0x7f && head[1] === 0x45 && head[2] === 0x4c && head[3] === 0x46;
}

/** A 64-bit field; anything at 2^53 or above is returned as Infinity, which every later check refuses. */
function field64(view: DataView, offset: number): number {
  const value = view.getUint32(offset, true) + view.getUint32(offset + 4, true) * 2 ** 32;
  return value > Number.MAX_SAFE_INTEGER ? Infinity : value;
}

interface ProgramHeader {
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly address: number;
  readonly fileBytes: number;
  readonly memoryBytes: number;
  readonly align: number;
}

function programHeader(view: DataView, at: number, wide: boolean): ProgramHeader {
  const word = (index: number): number => view.getUint32(at + index * 4, true);
  return wide
    ? {
        type: word(0),
        flags: word(1),
        offset: field64(view, at + 8),
        address: field64(view, at + 16),
        fileBytes: field64(view, at + 32),
        memoryBytes: field64(view, at + 40),
        align: field64(view, at + 48),
      }
    : {
        type: word(0),
        offset: word(1),
        address: word(2),
        fileBytes: word(4),
        memoryBytes: word(5),
        flags: word(6),
        align: word(7),
      };
}

/** Parses and checks the headers of an executable or an interpreter. */
export function parseElf(source: PageSource): ElfFile | LoadFailure {
  const head = readHead(source, 0, 64);
  if (!isElf(head)) return refuse("not an ELF file");
  if (head.length < 52) return refuse("truncated ELF header");
  const view = new DataView(head.buffer, head.byteOffset, head.length);
  const wide = head[4] === 2;
  if (!wide && head[4] !== 1) return refuse(`unknown ELF class ${head[4]}`);
  if (head[5] !== 1) return refuse("a big-endian ELF file; only x86-64 and i386 programs run here");
  if (wide && head.length < 64) return refuse("truncated ELF header");
  const machine = view.getUint16(18, true);
  if (machine !== (wide ? EM_X86_64 : EM_386)) {
    const name = MACHINES[machine] ?? (machine === EM_X86_64 ? "x32" : `machine ${machine}`);
    return refuse(`built for ${name}; only x86-64 and i386 programs run here`);
  }
  const type = view.getUint16(16, true);
  if (type !== ET_EXEC && type !== ET_DYN) {
    return refuse(
      type === 1 ? "an object file, not linked" : type === 4 ? "a core dump" : `ELF type ${type} cannot be run`,
    );
  }
  const headerSize = wide ? 56 : 32;
  const tableOffset = wide ? field64(view, 32) : view.getUint32(28, true);
  const entrySize = view.getUint16(wide ? 54 : 42, true);
  const count = view.getUint16(wide ? 56 : 44, true);
  if (entrySize !== headerSize) return refuse(`program headers of ${entrySize} bytes instead of ${headerSize}`);
  if (count === 0 || count * headerSize > MAXIMUM_HEADER_BYTES) return refuse(`${count} program headers`);
  const size = source.sizeBytes();
  if (!(tableOffset + count * headerSize <= size))
    return refuse("truncated: the program headers lie past the end of the file");
  const table = readHead(source, tableOffset, count * headerSize);
  if (table.length < count * headerSize) return refuse("truncated: the program headers cannot be read");
  const tableView = new DataView(table.buffer, table.byteOffset, table.length);
  const headers: ProgramHeader[] = [];
  for (let index = 0; index < count; index++) headers.push(programHeader(tableView, index * headerSize, wide));
  return checkHeaders(source, headers, {
    mode: wide ? "x86-64" : "i386",
    relocatable: type === ET_DYN,
    entry: wide ? field64(view, 24) : view.getUint32(24, true),
    tableOffset,
    programHeaderBytes: headerSize,
  });
}

interface HeaderFacts {
  readonly mode: GuestMode;
  readonly relocatable: boolean;
  readonly entry: number;
  readonly tableOffset: number;
  readonly programHeaderBytes: number;
}

function checkHeaders(
  source: PageSource,
  headers: readonly ProgramHeader[],
  facts: HeaderFacts,
): ElfFile | LoadFailure {
  const size = source.sizeBytes();
  const limit = facts.mode === "x86-64" ? 0x7fff_ffff_f000 : 0xffff_e000;
  const segments: LoadSegment[] = [];
  let interpreter: string | null = null;
  let stack: ElfFile["stack"] = "unsaid";
  let programHeaderAddress = 0;
  let named = 0;
  for (const header of headers) {
    if (header.type === PT_GNU_STACK) stack = (header.flags & 1) === 0 ? "plain" : "executable";
    if (header.type === PT_PHDR && header.address < limit) named = header.address;
    if (header.type === PT_INTERP && interpreter === null) {
      if (header.fileBytes > PATH_MAX || header.fileBytes < 2) return refuse("a PT_INTERP of impossible length");
      const bytes = readHead(source, header.offset, header.fileBytes);
      if (bytes.length < header.fileBytes)
        return refuse("truncated: the interpreter's name lies past the end of the file");
      if (bytes.at(-1) !== 0) return refuse("an interpreter's name without its end");
      interpreter = String.fromCharCode(...bytes.subarray(0, bytes.indexOf(0)));
    }
    if (header.type !== PT_LOAD) continue;
    const segment = checkSegment(header, size, limit);
    if (isLoadFailure(segment)) return segment;
    const previous = segments.at(-1);
    if (previous !== undefined && segment.address < previous.address + previous.memoryBytes) {
      return refuse("loadable segments overlap or are out of order");
    }
    segments.push(segment);
    if (segment.offset <= facts.tableOffset && facts.tableOffset < segment.offset + segment.fileBytes) {
      programHeaderAddress = facts.tableOffset - segment.offset + segment.address;
    }
  }
  if (segments.length === 0) return refuse("no loadable segment");
  if (!(facts.entry < limit)) return refuse("an entry point outside the address space");
  return {
    mode: facts.mode,
    relocatable: facts.relocatable,
    entry: facts.entry,
    programHeaderCount: headers.length,
    programHeaderBytes: facts.programHeaderBytes,
    programHeaderAddress: named === 0 ? programHeaderAddress : named,
    segments,
    interpreter,
    stack,
  };
}

function checkSegment(header: ProgramHeader, size: number, limit: number): LoadSegment | LoadFailure {
  const { offset, address, fileBytes, memoryBytes } = header;
  if (fileBytes > memoryBytes) return refuse("a segment with more bytes in the file than in memory");
  if (!(address + memoryBytes <= limit)) return refuse("a segment outside the address space");
  if (!(offset + fileBytes <= size)) return refuse("truncated: a segment lies past the end of the file");
  if (fileBytes > 0 && address % PAGE_BYTES !== offset % PAGE_BYTES) {
    return refuse("a segment whose address and file offset differ within the page");
  }
  const align = header.align;
  const powerOfTwo = align > 0 && Number.isFinite(align) && Number.isInteger(Math.log2(align));
  return {
    offset,
    address,
    fileBytes,
    memoryBytes,
    // ELF has R=4 W=2 X=1, PROT_ has R=1 W=2 X=4.
    protection: ((header.flags & 4) >> 2) | (header.flags & 2) | ((header.flags & 1) << 2),
    align: powerOfTwo ? Math.max(PAGE_BYTES, Math.min(align, 2 ** 30)) : PAGE_BYTES,
  };
}
