import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { TranslationCache } from "./translation-cache.ts";

const memory: Int32Array = Int32Array.from({ length: 2048 }, (_, at) => Math.imul(at, 0x9e3779b1));
const sources = [{ distance: 0, page: 1, start: 64, end: 192, bits: [-1, -1, -1, -1] }];

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "doppel-translations-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

const open = (program = "/bin/true", identity = "one"): TranslationCache =>
  new TranslationCache({ directory: join(directory, "cache"), program, identity });
const add = ({ archive }: TranslationCache): number =>
  archive.add(
    memory,
    6,
    1,
    70,
    { start: 0, length: 8, ignoredMode: 0, relocations: [4, 99], fields: [], sources },
    new Uint8Array(8),
  );
const isIn = ({ archive }: TranslationCache): boolean => archive.find(memory, 6, 1, 70, () => 1) !== undefined;
const file = (): string => join(directory, "cache", readdirSync(join(directory, "cache"))[0]);

test("what a run saves, the next one of the same program and version finds", () => {
  const first = open();
  expect(isIn(first)).toBe(false);
  add(first);
  first.save();
  expect(isIn(open())).toBe(true);
  expect(isIn(open("/bin/false"))).toBe(false);
  expect(isIn(open("/bin/true", "two"))).toBe(false);
});

test("one program's are there for another that goes on where it is", () => {
  const first = open();
  add(first);
  first.saveFor("/tmp/snapshot");
  expect(isIn(open())).toBe(false);
  expect(isIn(open("/tmp/snapshot"))).toBe(true);
});

test("a file that is not what was written is as good as none", () => {
  const first = open();
  add(first);
  first.save();
  const whole = readFileSync(file());
  const damaged = Uint8Array.from(whole);
  damaged[damaged.length - 3] ^= 4;
  writeFileSync(file(), damaged);
  expect(isIn(open())).toBe(false);
  for (const length of [0, 7, 20, whole.length - 4]) {
    writeFileSync(file(), whole);
    truncateSync(file(), length);
    expect(isIn(open())).toBe(false);
  }
});

test("where nothing can be written, nothing is", () => {
  const occupied = join(directory, "occupied");
  writeFileSync(occupied, "");
  const cache = new TranslationCache({ directory: occupied, program: "/bin/true", identity: "one" });
  add(cache);
  expect(() => cache.save()).not.toThrow();
});
