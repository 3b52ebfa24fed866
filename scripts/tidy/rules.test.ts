import { describe, expect, it } from "vitest";
import {
  fileLengths,
  fileNames,
  importDirection,
  importsOf,
  maximumLines,
  nodeImports,
  shrunkExceptions,
} from "./rules.ts";

const file = (path: string, text: string) => ({ path, text });
const lines = (count: number): string => "x\n".repeat(count);

describe("importsOf", () => {
  it("sees every form of import, and none in comments", () => {
    const text = [
      'import "a";',
      'import b from "b";',
      'import { c,\n  d } from "c";',
      'import type { E } from "e";',
      'export * from "f";',
      'const g = await import("g");',
      '// import "no";',
      '/* import "no"; */',
      'const url = "http://x"; import h from "h";',
    ].join("\n");
    expect(importsOf(text)).toEqual(["a", "b", "c", "e", "f", "g", "h"]);
  });
});

describe("importDirection", () => {
  it("lets a technique import no other package", () => {
    const files = [file("packages/lazy-flags/src/a.ts", 'import { x } from "@doppel/dbt-core";')];
    expect(importDirection(files)).toHaveLength(1);
  });

  it("lets the emulator and the apps import all, and guest-x86 what it is built on", () => {
    const files = [
      file("packages/emulator/src/a.ts", 'import { x } from "@doppel/ha-checkpoint";'),
      file("apps/cli/src/a.ts", 'import { x } from "@doppel/emulator";'),
      file("packages/guest-x86/src/a.ts", 'import { x } from "@doppel/dbt-core";'),
      file("packages/guest-x86/src/b.ts", 'import { x } from "./a.ts";'),
    ];
    expect(importDirection(files)).toEqual([]);
  });

  it("stops a relative path into another package", () => {
    const files = [file("packages/emulator/src/a.ts", 'import { x } from "../../dbt-core/src/b.ts";')];
    expect(importDirection(files)).toHaveLength(1);
  });
});

describe("nodeImports", () => {
  it("allows node: in tests, apps and folders named node/ or scripts/, and nowhere else in packages", () => {
    const text = 'import { readFileSync } from "node:fs";';
    const files = [
      file("packages/emulator/src/a.ts", text),
      file("packages/emulator/src/a.test.ts", text),
      file("packages/emulator/src/node/a.ts", text),
      file("packages/emulator/scripts/a.ts", text),
      file("apps/cli/src/a.ts", text),
    ];
    expect(nodeImports(files)).toEqual(['packages/emulator/src/a.ts: imports "node:fs" outside a folder named node/']);
  });
});

describe("fileNames", () => {
  it("wants kebab-case", () => {
    const good = ["packages/x/src/soft-tlb.test.ts", "packages/x/README.md", "docs/decisions/0001-tools.md"];
    expect(fileNames([...good, "packages/x/src/softTlb.ts"])).toHaveLength(1);
  });
});

describe("fileLengths", () => {
  const path = "packages/x/src/a.ts";

  it("stops a file over the limit, and a listed one that grew", () => {
    expect(fileLengths([file(path, lines(maximumLines))], {})).toEqual([]);
    expect(fileLengths([file(path, lines(maximumLines + 1))], {})).toHaveLength(1);
    expect(fileLengths([file(path, lines(901))], { [path]: 900 })).toHaveLength(1);
  });

  it("wants the list lowered when a listed file shrank, and does so", () => {
    const files = [file(path, lines(800))];
    expect(fileLengths(files, { [path]: 900 })).toHaveLength(1);
    expect(shrunkExceptions(files, { [path]: 900 })).toEqual({ [path]: 800 });
    expect(shrunkExceptions(files, { [path]: 750 })).toEqual({ [path]: 750 });
    expect(shrunkExceptions([file(path, lines(10))], { [path]: 900 })).toEqual({});
  });
});
