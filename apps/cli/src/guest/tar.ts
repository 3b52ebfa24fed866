/**
 * Reads tar archives as dpkg makes them: POSIX.1-1988 headers ("ustar"), with GNU's long names and pax extended
 * headers (POSIX.1-2001) for names. Every length is checked against the archive.
 */
import type { FileTree } from "./file-tree.ts";

const BLOCK = 512;

/** The archive ends too early, or a header is damaged. */
export class TarError extends Error {
  override name = "TarError";
}

type TarKind = "file" | "directory" | "symbolic-link" | "hard-link" | "other";

export interface TarEntry {
  /** Without leading "./". */
  readonly path: string;
  readonly kind: TarKind;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds since 1970. */
  readonly modified: number;
  /** Where a link leads; empty for others. */
  readonly target: string;
  readonly data: Uint8Array;
}

const kinds: Readonly<Record<string, TarKind>> = {
  "0": "file",
  "\0": "file",
  "7": "file",
  "1": "hard-link",
  "2": "symbolic-link",
  "5": "directory",
};

/** @throws TarError */
export function* readTar(archive: Uint8Array): Generator<TarEntry> {
  let longPath: string | undefined;
  let longTarget: string | undefined;
  let offset = 0;
  for (;;) {
    if (offset + BLOCK > archive.length) throw new TarError("the archive ends without its end mark");
    const header = archive.subarray(offset, offset + BLOCK);
    if (header.every((byte) => byte === 0)) return;
    checkSum(header);
    const length = number(header, 124, 12);
    offset += BLOCK;
    if (length > archive.length - offset) throw new TarError("the archive ends within a file");
    const data = archive.subarray(offset, offset + length);
    offset += Math.ceil(length / BLOCK) * BLOCK;
    const type = String.fromCharCode(header[156]);
    if (type === "L") longPath = text(data, 0, length);
    else if (type === "K") longTarget = text(data, 0, length);
    else if (type === "x") {
      const records = paxRecords(data);
      longPath = records.get("path") ?? longPath;
      longTarget = records.get("linkpath") ?? longTarget;
    } else if (type !== "g") {
      const prefix = text(header, 257, 6) === "ustar" ? text(header, 345, 155) : "";
      const name = text(header, 0, 100);
      yield {
        path: withoutDot(longPath ?? (prefix === "" ? name : `${prefix}/${name}`)),
        kind: kinds[type] ?? "other",
        mode: number(header, 100, 8) & 0o7777,
        uid: number(header, 108, 8),
        gid: number(header, 116, 8),
        modified: number(header, 136, 12),
        target: longTarget ?? text(header, 157, 100),
        data: kinds[type] === "file" ? data : data.subarray(0, 0),
      };
      longPath = undefined;
      longTarget = undefined;
    }
  }
}

/** Puts the archive's entries that are wanted into the tree; hard links become files of the same bytes. */
export function unpackTar(archive: Uint8Array, tree: FileTree, wanted: (path: string) => boolean): void {
  for (const { path, kind, target, data, ...metadata } of readTar(archive)) {
    if (path === "" || !wanted(path)) continue;
    if (kind === "file") tree.set(path, { ...metadata, kind, data });
    else if (kind === "directory") tree.set(path, { ...metadata, kind });
    else if (kind === "symbolic-link") tree.set(path, { ...metadata, kind: "link", target });
    else if (kind === "hard-link") {
      const original = tree.get(withoutDot(target));
      if (original?.kind !== "file") throw new TarError(`${path} is a link to ${target}, which is not there`);
      tree.set(path, original);
    } else throw new TarError(`${path} is neither file, directory nor link`);
  }
}

function withoutDot(path: string): string {
  return path.replace(/^(\.?\/)+|^\.$/, "").replace(/\/+$/, "");
}

function text(bytes: Uint8Array, offset: number, length: number): string {
  const field = bytes.subarray(offset, offset + length);
  const end = field.indexOf(0);
  return new TextDecoder().decode(end < 0 ? field : field.subarray(0, end));
}

/** Octal digits, or with the first bit set a big-endian number (GNU). */
function number(header: Uint8Array, offset: number, length: number): number {
  let value = 0;
  if ((header[offset] & 0x80) !== 0) {
    for (let i = 1; i < length; i++) value = value * 256 + header[offset + i];
  } else {
    const digits = text(header, offset, length).trim();
    if (!/^[0-7]*$/.test(digits)) throw new TarError(`a header has "${digits}" for a number`);
    value = digits === "" ? 0 : Number.parseInt(digits, 8);
  }
  if (!Number.isSafeInteger(value)) throw new TarError("a header has a number out of range");
  return value;
}

/** The header's bytes added up, those of the sum itself counted as spaces. */
function checkSum(header: Uint8Array): void {
  let sum = 0;
  for (let i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? 0x20 : header[i];
  if (sum !== number(header, 148, 8)) throw new TarError("a header's check sum is wrong");
}

/** "LENGTH KEY=VALUE\n" each, the length counting itself. */
function paxRecords(data: Uint8Array): Map<string, string> {
  const records = new Map<string, string>();
  let offset = 0;
  while (offset < data.length) {
    const space = data.indexOf(0x20, offset);
    const length = Number(space < 0 ? Number.NaN : text(data, offset, space - offset));
    const record = text(data, space + 1, offset + length - 1 - (space + 1));
    const equals = record.indexOf("=");
    if (!Number.isInteger(length) || length <= 0 || offset + length > data.length || equals < 0) {
      throw new TarError("an extended header is damaged");
    }
    records.set(record.slice(0, equals), record.slice(equals + 1));
    offset += length;
  }
  return records;
}
