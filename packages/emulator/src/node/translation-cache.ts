/**
 * Translations on disk, two files for each program that was started: of what its processes, and those they became, ran through.
 * The one for threaded code is read as a whole; for the other, see `module-file.ts`.
 *
 * ```text
 *   magic     8 bytes
 *   crc       u32      of all that follows
 *   identity  u32      its length in bytes, then the text, filled up to whole words
 *   contents           of the archive
 * ```
 *
 * A file that is not whole, or of another version, is as good as none; a directory that cannot be written is no error.
 */
import {
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writevSync,
} from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { type ModuleArchive, UnitArchive } from "@doppel/dbt-core";
import { ModuleFile } from "./module-file.ts";

const MAGIC = "dplunit2";
const UNITS = ".units";
const MODULES = ".modules";
const CRC_AT = 8;
const IDENTITY_AT = 12;
/** Of all programs together: beyond that, what was not used for longest goes. */
const MAXIMUM_BYTES: number = 2 ** 30;
/** For what a run adds, behind what was read: untouched, it is no memory yet, and nothing is copied to make it. */
const ROOM_BYTES: number = 4 * 2 ** 20;
/** A file is written again when one in so many units of this run was new, or is known better. */
const WORTH_WRITING = 50;

export interface TranslationCacheOptions {
  readonly directory: string;
  /** The program whose translations they are. */
  readonly program: string;
  /** Differs whenever the translator does. */
  readonly identity: string;
}

export class TranslationCache {
  readonly archive: UnitArchive = new UnitArchive();
  private readonly directory: string;
  private readonly identity: string;
  private readonly file: string;
  private readonly head: Uint8Array<ArrayBuffer>;
  private moduleFile: ModuleFile | undefined;

  /** Reads what earlier runs kept. */
  constructor({ directory, program, identity }: TranslationCacheOptions) {
    this.directory = directory;
    this.identity = identity;
    this.file = this.fileOf(program);
    const text = new TextEncoder().encode(identity);
    this.head = new Uint8Array(IDENTITY_AT + 4 + Math.ceil(text.length / 4) * 4);
    this.head.set(new TextEncoder().encode(MAGIC));
    new DataView(this.head.buffer).setUint32(IDENTITY_AT, text.length, true);
    this.head.set(text, IDENTITY_AT + 4);
    this.read();
  }

  private fileOf(program: string): string {
    const name = crc32(`${program}\n${this.identity}`).toString(16).padStart(8, "0");
    return join(this.directory, `${name}${UNITS}`);
  }

  private read(): void {
    let room: ArrayBuffer;
    let bytes: Uint8Array<ArrayBuffer>;
    try {
      const file = openSync(this.file, "r");
      try {
        const size = fstatSync(file).size & ~3;
        room = new ArrayBuffer(size + ROOM_BYTES);
        bytes = new Uint8Array(room, 0, size);
        if (readSync(file, bytes) < size) return;
      } finally {
        closeSync(file);
      }
    } catch {
      return;
    }
    const { head } = this;
    if (bytes.length < head.length) return;
    for (let at = 0; at < head.length; at++) if (bytes[at] !== head[at] && (at < CRC_AT || at >= IDENTITY_AT)) return;
    if (new DataView(room).getUint32(CRC_AT, true) !== crc32(bytes.subarray(IDENTITY_AT))) return;
    this.archive.load(new Int32Array(room, head.length), (bytes.length - head.length) / 4);
  }

  /** Of code that was compiled with care; read when it is asked for. */
  get modules(): ModuleArchive {
    this.moduleFile ??= new ModuleFile(this.modulePath, this.identity);
    return this.moduleFile.archive;
  }

  private get modulePath(): string {
    return `${this.file.slice(0, -UNITS.length)}${MODULES}`;
  }

  /** Writes what this run added, if that is worth it. */
  save(): void {
    if (isWorthWriting(this.archive)) this.write(this.file);
    else this.touch(this.file, this.archive);
    const { moduleFile } = this;
    if (moduleFile === undefined) return;
    if (!isWorthWriting(moduleFile.archive)) this.touch(this.modulePath, moduleFile.archive);
    else this.replace(this.modulePath, moduleFile.bytes, (file) => moduleFile.write(file));
  }

  /** Writes all there is for another program, which goes on where this one is. */
  saveFor(program: string): void {
    this.write(this.fileOf(program));
  }

  private write(path: string): void {
    const { archive, head } = this;
    const words = archive.contents();
    const contents = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
    new DataView(head.buffer).setUint32(CRC_AT, crc32(contents, crc32(head.subarray(IDENTITY_AT))), true);
    // Both, or what is short of it is found by its checksum.
    this.replace(path, contents.length, (file) => writevSync(file, [head, contents]));
  }

  /** Puts a file of about so many bytes in the place of another. */
  private replace(path: string, bytes: number, write: (file: number) => void): void {
    const temporary = `${path}.${process.pid}`;
    try {
      mkdirSync(this.directory, { recursive: true, mode: 0o700 });
      this.makeRoom(bytes);
      const file = openSync(temporary, "wx", 0o600);
      try {
        write(file);
      } finally {
        closeSync(file);
      }
      renameSync(temporary, path);
    } catch {
      // The next run may have more luck.
      discardFile(temporary);
    }
  }

  /** It has been of use. */
  private touch(path: string, { used }: Usage): void {
    if (used === 0) return;
    const now = new Date();
    try {
      utimesSync(path, now, now);
    } catch {
      // Somebody removed it, or it is not ours to change.
    }
  }

  private makeRoom(bytes: number): void {
    const files = readdirSync(this.directory)
      .map((name) => join(this.directory, name))
      .map((path) => ({ path, stat: statSync(path, { throwIfNoEntry: false }) }))
      .flatMap(({ path, stat }) => (stat?.isFile() === true ? [{ path, size: stat.size, usedMs: stat.mtimeMs }] : []))
      .toSorted((a, b) => b.usedMs - a.usedMs);
    let total = bytes;
    for (const { path, size } of files) {
      total += size;
      if (total > MAXIMUM_BYTES) rmSync(path, { force: true });
    }
  }
}

interface Usage {
  readonly added: number;
  readonly used: number;
  readonly changed?: number;
}

function isWorthWriting({ added, used, changed = 0 }: Usage): boolean {
  return (added + changed) * WORTH_WRITING > added + used;
}

/** Removes a file if there is one that can be. */
function discardFile(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // Its directory is none, or is not ours.
  }
}
