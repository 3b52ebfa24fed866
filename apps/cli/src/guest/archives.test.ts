import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeCpio } from "./cpio.ts";
import { FileTree, FileTreeError } from "./file-tree.ts";
import { readTar, TarError, unpackTar } from "./tar.ts";

const longName = `${"long-directory-name/".repeat(8)}${"n".repeat(120)}`;
const script = "#!/bin/sh\n";
let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "doppel-archives-"));
  mkdirSync(join(directory, "a", longName, ".."), { recursive: true });
  writeFileSync(join(directory, "a", "run"), script, { mode: 0o4755 });
  writeFileSync(join(directory, "a", longName), "x".repeat(1000));
  symlinkSync("run", join(directory, "a", "link"));
});
afterAll(() => rmSync(directory, { recursive: true }));

function hostTar(format: string): Uint8Array {
  const options = ["--owner=:7", "--group=:9", "--mtime=@1234567890", "--sort=name", `--format=${format}`];
  return execFileSync("tar", ["-c", ...options, "-C", join(directory, "a"), "."]);
}

describe("tar", () => {
  it.each(["gnu", "pax"])("reads what tar --format=%s writes", (format) => {
    const entries = [...readTar(hostTar(format))];
    expect(entries.find(({ path }) => path === "run")).toMatchObject({
      kind: "file",
      uid: 7,
      gid: 9,
      modified: 1234567890,
    });
    expect(entries.find(({ path }) => path === "link")).toMatchObject({ kind: "symbolic-link", target: "run" });
    expect(entries.find(({ path }) => path === longName)?.data.length).toBe(1000);
  });

  it("refuses damaged archives with a TarError", () => {
    const archive = hostTar("pax");
    const damage = fc.array(fc.tuple(fc.nat(archive.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(damage, fc.nat(archive.length), (changes, length) => {
        const damaged = Uint8Array.from(archive);
        for (const [offset, value] of changes) damaged[offset] = value;
        try {
          unpackTar(damaged.subarray(0, length), new FileTree(), () => true);
        } catch (error) {
          if (!(error instanceof TarError || error instanceof FileTreeError)) throw error;
        }
      }),
    );
  });
});

describe("a file tree", () => {
  it("keeps merged /usr merged when packages bring /bin and /lib", () => {
    const tree = new FileTree();
    tree.directory("usr/bin");
    tree.link("bin", "usr/bin");
    tree.directory("bin");
    tree.file("bin/sh", script, 0o755);
    expect(tree.get("bin")?.kind).toBe("link");
    expect(tree.get("usr/bin/sh")?.kind).toBe("file");
    expect(() => tree.file("../passwd", "")).toThrow(FileTreeError);
    tree.link("loop", "loop");
    expect(() => tree.file("loop/x", "")).toThrow(FileTreeError);
  });
});

describe("cpio", () => {
  it.skipIf(spawnSync("busybox").error)("is listed by busybox as it was", () => {
    const tree = new FileTree();
    tree.file("etc/script", script, 0o755);
    tree.link("etc/link", "script");
    tree.directory("empty");
    const archive = writeCpio(tree);
    expect(writeCpio(tree)).toEqual(archive);
    const listing = execFileSync("busybox", ["cpio", "-tv"], { input: archive, encoding: "utf8", stdio: "pipe" });
    expect(listing.replaceAll(/ +/g, " ").replaceAll(/ [\d-]+ [\d:]+ /g, " ")).toBe(
      [
        "drwxr-xr-x 0/0 0 empty",
        "drwxr-xr-x 0/0 0 etc",
        "lrwxrwxrwx 0/0 0 etc/link -> script",
        "-rwxr-xr-x 0/0 10 etc/script",
        "",
      ].join("\n"),
    );
  });
});
