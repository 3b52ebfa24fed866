/**
 * Hot code from one run to the next: modules that were compiled with care, each found by the bytes it was made from, as units of
 * threaded code are (`UnitArchive`). With each there may be the machine code that the host made of it, where it gives that out:
 * then the next run has in its first entries what this one has in the end, and compiles nothing.
 *
 * A module's entry among the units is what it needs to be put into a table:
 *
 * ```text
 *   +0  module   i32       its number
 *   +4  entries  i32 × n   guest offsets of its further functions' entries, in the order of their slots
 * ```
 *
 * and its relocations say where its link slots lead, in the order of its globals. The modules themselves are wherever the owner
 * keeps bytes (`ByteStore`); by number, the archive knows where:
 *
 * ```text
 *   +0  position  i32      \ of its WebAssembly
 *   +4  bytes     i32      /
 *   +8  position  i32      \ of the machine code; no bytes: there is none
 *   +12 bytes     i32      /
 * ```
 */
import type { ModulePort } from "./ports.ts";
import { type NewUnitSource, type PageAt, UnitArchive, type UnitParts } from "../threaded/unit-archive.ts";

const PLACE_WORDS = 4;
/** The first numbers are those of modules that are not made from guest code, each its maker's own. */
const OWN_MODULES = 16;
const NOWHERE = -1;
/** For places alone; the modules are much larger. */
const MAXIMUM_PLACE_BYTES: number = 32 * 2 ** 20;

/** Where the owner of an archive keeps bytes. */
export interface ByteStore {
  /** What is there, in a buffer of its own, or undefined when it is not what was put there. */
  read(position: number, length: number): Uint8Array<ArrayBuffer> | undefined;
  /** Keeps the bytes; returns where, or a negative number when there is no room. */
  append(bytes: Uint8Array): number;
}

/** The machine code of modules, as far as the host gives it out. */
export interface CodeCodec {
  /** What has been optimised of a module, if anything. `entry`: one of its functions, any. */
  encode(module: WebAssembly.Module, entry: () => CallableFunction): Uint8Array | undefined;
  /** A module with its code, which has a buffer of its own; undefined when this host cannot take it. */
  decode(code: Uint8Array<ArrayBuffer>, module: Uint8Array<ArrayBuffer>): WebAssembly.Module | undefined;
}

/** What a module was made from and where it leads. */
export interface ModuleParts {
  readonly ignoredMode: number;
  /** Where its link slots lead, in the order of its globals: guest offsets. */
  readonly links: readonly number[];
  readonly entries: readonly number[];
  readonly sources: readonly NewUnitSource[];
}

export interface KeptModule extends Omit<ModuleParts, "sources"> {
  readonly number: number;
  readonly sources: UnitParts["sources"];
}

export interface OpenedModule {
  readonly module: WebAssembly.Module;
  /** Bytes of WebAssembly. */
  readonly size: number;
  /** It is that of `container` now. */
  adopt(container: ModulePort): void;
}

/** It is to be kept, or kept again, when the run ends. */
interface UnsavedModule {
  readonly number: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

interface OwnModule extends UnsavedModule {
  readonly module: WebAssembly.Module;
}

export interface ModuleArchiveContents {
  /** What modules depend on beside the translator and their bytes. */
  readonly surroundings: string;
  readonly places: Int32Array;
  readonly modules: Int32Array;
}

export class ModuleArchive {
  private places: UnitArchive = new UnitArchive(MAXIMUM_PLACE_BYTES);
  private readonly store: ByteStore;
  private readonly codec: CodeCodec | undefined;
  private modules: number[] = noModules();
  private surroundings = "";
  private readonly own: OwnModule[] = [];
  private readonly unsaved: WeakMap<ModulePort, UnsavedModule> = new WeakMap();
  /** Modules added in this run, and found in it. */
  added = 0;
  used = 0;

  constructor(store: ByteStore, codec?: CodeCodec) {
    this.store = store;
    this.codec = codec;
  }

  /** Takes over what `contents` of an archive gave, which must be unchanged since. */
  load({ surroundings, places, modules }: ModuleArchiveContents): void {
    this.surroundings = surroundings;
    this.places.load(places);
    this.modules = [...modules];
  }

  /** All of it, to be loaded in another run. */
  contents(): ModuleArchiveContents {
    const { surroundings, places, modules } = this;
    return { surroundings, places: places.contents(), modules: Int32Array.from(modules) };
  }

  /** Modules are used, and made, in these surroundings; those that were made in others go. */
  begin(surroundings: string): void {
    if (surroundings !== this.surroundings) {
      this.places = new UnitArchive(MAXIMUM_PLACE_BYTES);
      this.modules = noModules();
    }
    this.surroundings = surroundings;
  }

  /** A module made from what is at `offset` in `page` of `memory` now. */
  find(memory: Int32Array, mode: number, page: number, offset: number, pageAt: PageAt): KeptModule | undefined {
    const { places } = this;
    const parts = places.find(memory, mode, page, offset, pageAt);
    if (parts === undefined) return undefined;
    const words = new Int32Array(places.bytes.buffer, places.bytes.byteOffset + parts.start, parts.length >> 2);
    const [number, ...entries] = words;
    if (this.modules[number * PLACE_WORDS] === NOWHERE) return undefined;
    const { relocations, sources, ignoredMode } = parts;
    const links = relocations.filter((_, index) => index % 2 !== 0);
    return { number, entries, links, sources, ignoredMode };
  }

  /** A module that depends on nothing but the surroundings, by a number below `OWN_MODULES`. */
  openOwn(number: number, make: () => Uint8Array<ArrayBuffer>): WebAssembly.Module {
    const at = number * PLACE_WORDS;
    const kept = this.modules[at] === NOWHERE ? undefined : this.store.read(this.modules[at], this.modules[at + 1]);
    if (kept === undefined) this.modules.splice(at, PLACE_WORDS, NOWHERE, 0, 0, 0);
    const bytes = kept ?? make();
    const module = this.decoded(at, bytes) ?? new WebAssembly.Module(bytes);
    this.own.push({ number, bytes, module });
    return module;
  }

  /** With its machine code, if there is any that this host takes. */
  private decoded(at: number, bytes: Uint8Array<ArrayBuffer>): WebAssembly.Module | undefined {
    const [position, size] = this.modules.slice(at + 2, at + PLACE_WORDS);
    const code = size === 0 ? undefined : this.store.read(position, size);
    return code === undefined ? undefined : this.codec?.decode(code, bytes);
  }

  /** The module itself; undefined when it is damaged. */
  open(number: number): OpenedModule | undefined {
    const at = number * PLACE_WORDS;
    const [position, size] = this.modules.slice(at, at + 2);
    const bytes = this.store.read(position, size);
    if (bytes === undefined) {
      this.modules[at] = NOWHERE;
      return undefined;
    }
    this.used++;
    const ready = this.decoded(at, bytes);
    if (ready !== undefined) return { module: ready, size, adopt: () => {} };
    const adopt = (container: ModulePort): void => void this.unsaved.set(container, { number, bytes });
    return { module: new WebAssembly.Module(bytes), size, adopt };
  }

  /** Keeps the place of a module just compiled; the module itself is kept when it is known what became of it (`save`). */
  add(
    memory: Int32Array,
    mode: number,
    page: number,
    offset: number,
    { ignoredMode, links, entries, sources }: ModuleParts,
    bytes: Uint8Array<ArrayBuffer>,
    container: ModulePort,
  ): void {
    const number = this.modules.length / PLACE_WORDS;
    const words = Int32Array.of(number, ...entries);
    const relocations = links.flatMap((target, index) => [index, target]);
    const parts = { start: 0, length: words.byteLength, ignoredMode, relocations, fields: [], sources };
    const before = this.places.added;
    this.places.add(memory, mode, page, offset, parts, new Uint8Array(words.buffer));
    if (this.places.added === before) return;
    this.modules.push(NOWHERE, 0, 0, 0);
    this.unsaved.set(container, { number, bytes });
  }

  /** Keeps modules that are still there at the end of a run, with their machine code if that is worth it by now. */
  save(containers: Iterable<ModulePort>, entryOf: (container: ModulePort) => CallableFunction): void {
    for (const container of containers) {
      const unsaved = this.unsaved.get(container);
      if (unsaved === undefined || container.module === undefined) continue;
      this.unsaved.delete(container);
      const { number, bytes } = unsaved;
      const at = number * PLACE_WORDS;
      const code = this.codec?.encode(container.module, () => entryOf(container));
      const isNew = this.modules[at] === NOWHERE;
      if (isNew && !this.put(at, bytes)) continue;
      if ((code !== undefined && this.put(at + 2, code)) || isNew) this.added++;
    }
  }

  /**
   * The same of those that are not made from guest code. More of them is optimised from run to run: they are kept again when the
   * archive is to be written anyway.
   */
  saveOwn(entryOf: (number: number, module: WebAssembly.Module) => CallableFunction): void {
    for (const { number, bytes, module } of this.own) {
      const at = number * PLACE_WORDS;
      const isNew = this.modules[at] === NOWHERE;
      const codeSize = this.modules[at + 3];
      if (codeSize > 0 && this.added === 0) continue;
      const code = this.codec?.encode(module, () => entryOf(number, module));
      if (isNew && !this.put(at, bytes)) continue;
      const isBetter = code !== undefined && code.length > codeSize;
      if ((isBetter && this.put(at + 2, code)) || isNew) this.added++;
    }
  }

  /** Keeps bytes, whose place is then in two words from `at` on; false when there is no room. */
  private put(at: number, bytes: Uint8Array): boolean {
    const position = this.store.append(bytes);
    if (position < 0) return false;
    this.modules[at] = position;
    this.modules[at + 1] = bytes.length;
    return true;
  }
}

const noModules = (): number[] =>
  Array.from({ length: OWN_MODULES * PLACE_WORDS }, (_, word) => (word % PLACE_WORDS === 0 ? NOWHERE : 0));
