/**
 * What guest code is called: by the symbols of the file it is mapped from, or, where that is stripped, by where its
 * function begins in it.
 */
import type { AddressSpacePort, FileContents } from "@doppel/linux-user";
import { type ElfImage, type ElfSymbol, readElf } from "../elf-file.ts";

/** A function, or a stretch of code, of some file. */
export interface CodePlace {
  readonly name: string;
  /** The file's path; absent for code that no file has. */
  readonly file?: string;
}

/** Larger files are programs with their debugging information, which would take long to read. */
const LARGEST_FILE_BYTES = 256 << 20;

export class CodeNames {
  private readonly files: WeakMap<FileContents, FileNames> = new WeakMap();

  /** The function that the code at a guest-virtual address is of. */
  placeOf(space: AddressSpacePort, address: number): CodePlace {
    for (const mapping of space.fileMappings?.() ?? []) {
      if (address < mapping.start || address >= mapping.end) continue;
      let names = this.files.get(mapping.contents);
      if (names === undefined) this.files.set(mapping.contents, (names = new FileNames(mapping.contents)));
      return names.placeOf(mapping.offset + address - mapping.start);
    }
    return { name: `code at 0x${address.toString(16)}` };
  }
}

class FileNames {
  private readonly path: string;
  private readonly image: ElfImage | undefined;

  constructor(contents: FileContents) {
    this.path = contents.name ?? "";
    this.image = imageOf(contents);
  }

  placeOf(fileOffset: number): CodePlace {
    const { image, path } = this;
    const segment = image?.segments.find(
      ({ fileOffset: start, content }) => fileOffset >= start && fileOffset < start + content.length,
    );
    if (image === undefined || segment === undefined) return { name: hex(fileOffset), file: path };
    const address = fileOffset - segment.fileOffset + segment.address;
    const symbol = symbolAt(image.functions, address);
    if (symbol !== undefined) return { name: symbol.name, file: path };
    const start = image.functionStarts[lastUpTo(image.functionStarts.length, (n) => image.functionStarts[n], address)];
    return { name: `function at ${hex(start ?? address)}`, file: path };
  }
}

const hex = (value: number): string => `0x${value.toString(16)}`;

function imageOf(contents: FileContents): ElfImage | undefined {
  const size = contents.sizeBytes();
  if (size > LARGEST_FILE_BYTES) return undefined;
  const bytes = new Uint8Array(size);
  for (let done = 0; done < size;) {
    const count = contents.readAt(done, bytes.subarray(done));
    if (count <= 0) return undefined;
    done += count;
  }
  try {
    return readElf(bytes);
  } catch {
    // Its symbols are worth no more than its headers: then its code has no names.
    return undefined;
  }
}

/** Of ascending numbers, the index of the last that is not above `limit`, or -1. */
function lastUpTo(count: number, at: (index: number) => number, limit: number): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (at(middle) <= limit) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** The first symbol at the last address up to this one, if any symbol there reaches this far. */
function symbolAt(functions: readonly ElfSymbol[], address: number): ElfSymbol | undefined {
  let index = lastUpTo(functions.length, (n) => functions[n].address, address);
  if (index < 0) return undefined;
  const start = functions[index].address;
  // What the file gives no size covers its address alone.
  let bytes = 1;
  for (; index >= 0 && functions[index].address === start; index--) bytes = Math.max(bytes, functions[index].bytes);
  return address < start + bytes ? functions[index + 1] : undefined;
}
