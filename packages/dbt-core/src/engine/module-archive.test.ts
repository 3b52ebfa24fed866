import { expect, test } from "vitest";
import { type ByteStore, type CodeCodec, ModuleArchive } from "./module-archive.ts";
import type { ModulePort } from "./ports.ts";

/** A module with nothing in it but a custom section that holds a number. */
const moduleOf = (number: number): Uint8Array<ArrayBuffer> =>
  Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 0, 3, 1, 0x6e, number);
const numberOf = (module: WebAssembly.Module): number =>
  new Uint8Array(WebAssembly.Module.customSections(module, "n")[0])[0];
const containerOf = (bytes: Uint8Array<ArrayBuffer>, id: number): ModulePort => ({
  id,
  module: new WebAssembly.Module(bytes),
  count: 1,
  slots: [8],
});

class Store implements ByteStore {
  readonly bytes: number[] = [];
  damaged = false;
  full = false;
  read = (position: number, length: number): Uint8Array<ArrayBuffer> | undefined =>
    this.damaged ? undefined : Uint8Array.from(this.bytes.slice(position, position + length));
  append(bytes: Uint8Array): number {
    const position = this.bytes.length;
    this.bytes.push(...bytes);
    return this.full ? -1 : position;
  }
}

/** Machine code is the module's number, added to 100. Decoding gives another module of that number, to be told from the first. */
const codec = (isOptimized: () => boolean, accepts: () => boolean = () => true): CodeCodec => ({
  encode: (module) => (isOptimized() ? Uint8Array.of(numberOf(module) + 100) : undefined),
  decode: ([number]) => (accepts() ? new WebAssembly.Module(moduleOf(number)) : undefined),
});

const memory: Int32Array = Int32Array.from({ length: 2048 }, (_, at) => Math.imul(at, 0x9e3779b1));
const sources = [{ distance: 0, page: 1, start: 64, end: 192, bits: [-1, -1, -1, -1] }];
const parts = { ignoredMode: 0, links: [-40, 12], entries: [7], sources };
const find = (archive: ModuleArchive): ReturnType<ModuleArchive["find"]> => archive.find(memory, 6, 1, 70, () => 1);
const entry = (): CallableFunction => () => 0;

function filled(store: ByteStore, code?: CodeCodec): ModuleArchive {
  const archive = new ModuleArchive(store, code);
  const bytes = moduleOf(1);
  const container = containerOf(bytes, 1);
  archive.add(memory, 6, 1, 70, parts, bytes, container);
  expect(find(archive)).toBeUndefined();
  archive.save([container], entry);
  return archive;
}

function reopened(archive: ModuleArchive, store: ByteStore, code?: CodeCodec): ModuleArchive {
  const later = new ModuleArchive(store, code);
  later.load(archive.contents());
  return later;
}

test("a module is found in another run by the bytes it was made from, with where it leads and is entered", () => {
  const store = new Store();
  const later = reopened(filled(store), store);
  const kept = find(later)!;
  expect(kept).toMatchObject({ links: parts.links, entries: parts.entries });
  expect(numberOf(later.open(kept.number)!.module)).toBe(1);
  memory[1024 + 20] ^= 1;
  expect(find(later)).toBeUndefined();
  memory[1024 + 20] ^= 1;
  expect(find(later)).toBeDefined();
});

test("one that is damaged, or was for other surroundings, is not there", () => {
  const store = new Store();
  const archive = filled(store);
  const damaged = reopened(archive, store);
  store.damaged = true;
  expect(damaged.open(find(damaged)!.number)).toBeUndefined();
  expect(find(damaged)).toBeUndefined();
  store.damaged = false;
  const other = reopened(archive, store);
  other.begin("");
  expect(find(other)).toBeDefined();
  other.begin("twice the memory");
  expect(find(other)).toBeUndefined();
});

test("machine code comes with a module once there is any, where the host takes it", () => {
  const store = new Store();
  let optimized = false;
  const code = codec(() => optimized);
  const first = filled(store, code);
  const second = reopened(first, store, code);
  const opened = second.open(find(second)!.number)!;
  expect(numberOf(opened.module)).toBe(1);
  const container = containerOf(moduleOf(1), 2);
  opened.adopt(container);
  // Nothing to be gained yet.
  second.save([], entry);
  expect(second.added).toBe(0);
  optimized = true;
  second.save([container], entry);
  expect(second.added).toBe(1);
  const third = reopened(second, store, code);
  expect(numberOf(third.open(find(third)!.number)!.module)).toBe(101);
  const elsewhere = reopened(
    second,
    store,
    codec(
      () => true,
      () => false,
    ),
  );
  expect(numberOf(elsewhere.open(find(elsewhere)!.number)!.module)).toBe(1);
});

test("a store that is full keeps no more, and what is gone when the run ends is not kept", () => {
  const store = new Store();
  store.full = true;
  expect(find(filled(store))).toBeUndefined();
  const archive = new ModuleArchive(new Store());
  const bytes = moduleOf(1);
  archive.add(memory, 6, 1, 70, parts, bytes, containerOf(bytes, 1));
  archive.save([], entry);
  expect(find(archive)).toBeUndefined();
});

test("modules that no guest code is in are kept by number, and again with more machine code when the archive changes anyway", () => {
  const store = new Store();
  let optimized = 0;
  const code: CodeCodec = {
    encode: (module) => (optimized === 0 ? undefined : new Uint8Array(optimized).fill(numberOf(module) + 100)),
    decode: ([number]) => new WebAssembly.Module(moduleOf(number)),
  };
  let made = 0;
  const open = (archive: ModuleArchive): number => {
    archive.begin("");
    const module = archive.openOwn(1, () => {
      made++;
      return moduleOf(7);
    });
    return numberOf(module);
  };
  const first = new ModuleArchive(store, code);
  expect([open(first), made]).toEqual([7, 1]);
  first.saveOwn(entry);
  optimized = 2;
  const second = reopened(first, store, code);
  expect([open(second), made]).toEqual([7, 1]);
  second.saveOwn(entry);
  const third = reopened(second, store, code);
  expect([open(third), made]).toEqual([107, 1]);
  optimized = 3;
  third.saveOwn(entry);
  expect(third.added).toBe(0);
  const bytes = moduleOf(1);
  const container = containerOf(bytes, 1);
  third.add(memory, 6, 1, 70, parts, bytes, container);
  third.save([container], entry);
  third.saveOwn(entry);
  expect(third.added).toBe(2);
  store.damaged = true;
  expect([open(reopened(third, store, code)), made]).toEqual([7, 2]);
});
