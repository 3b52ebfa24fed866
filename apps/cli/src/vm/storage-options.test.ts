import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { parseDiskOption, parseShareOption } from "./storage-options.ts";

const folder = mkdtempSync(join(tmpdir(), "storage-options-"));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string): string {
  writeFileSync(join(folder, name), content, "latin1");
  return join(folder, name);
}

describe("--disk", () => {
  it("is a path with settings", async () => {
    expect(await parseDiskOption("a,,b.qcow2,snapshot=on")).toEqual({
      path: "a,b.qcow2",
      format: "qcow2",
      snapshot: true,
      readOnly: false,
    });
    expect(await parseDiskOption("x.qcow2,format=raw,readonly=on")).toMatchObject({ format: "raw", readOnly: true });
  });

  it("takes what says nothing for raw, unless its content says otherwise", async () => {
    expect(await parseDiskOption(file("plain", "ext4"))).toMatchObject({ format: "raw" });
    const doubtful = file("doubtful", "QFI\u00fb\0\0\0\u0003");
    await expect(parseDiskOption(doubtful)).rejects.toThrow(/add format=qcow2/);
    expect(await parseDiskOption(`${doubtful},format=raw`)).toMatchObject({ format: "raw" });
  });

  it.each([
    ["", /wants a value/],
    ["x,format=vmdk", /format is raw or qcow2, not vmdk/],
    ["x.qcow2,snapshot=yes", /snapshot is on or off, not yes/],
    ["x,cache=none", /"cache=none" is none of format=…, snapshot=…, readonly=…/],
    ["x,snapshot", /"snapshot" is none of/],
    ["/nowhere/at/all", /no such file/],
  ])("refuses %s", async (text, message) => {
    await expect(parseDiskOption(text)).rejects.toThrow(message);
  });
});

it("--share is a folder with a tag", () => {
  expect(parseShareOption("/tmp", 0)).toEqual({ path: "/tmp", tag: "share" });
  expect(parseShareOption("/tmp,tag=home", 1)).toEqual({ path: "/tmp", tag: "home" });
  expect(() => parseShareOption(`/tmp,tag=${"x".repeat(40)}`, 0)).toThrow(/1 to 31 bytes/);
});
