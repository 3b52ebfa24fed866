import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeExt4Image } from "./ext4-image.ts";
import { FileTree } from "./file-tree.ts";
import { KernelModuleError, moduleIndexes, readModuleInformation, withDependencies } from "./kernel-modules.ts";
import { appletNames } from "./root-disk.ts";
import { generateSshKey } from "./ssh-key.ts";

const SBIN = { ...process.env, PATH: `${process.env["PATH"]}:/usr/sbin:/sbin` };
const lacks = (program: string): boolean => spawnSync(program, ["--version"], { env: SBIN }).error !== undefined;
let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "doppel-guest-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

describe.skipIf(lacks("mke2fs"))("an ext4 image", () => {
  const tree = new FileTree();
  tree.file("etc/shadow", "secret", 0o600, 0, 42);
  tree.file("usr/bin/with space", "#!/bin/sh\n", 0o4755);
  tree.directory("var/lib/redis", 0o750, 101, 101);
  tree.link("bin", "usr/bin");

  it("belongs to whom the tree says, and e2fsck finds nothing", async () => {
    const path = join(directory, "disk.img");
    await writeExt4Image(tree, { path, bytes: 4 << 20, label: "test" });
    execFileSync("e2fsck", ["-fn", path], { env: SBIN, stdio: "pipe" });
    const list = (place: string): string =>
      execFileSync("debugfs", ["-R", `ls -p "${place}"`, path], { env: SBIN, encoding: "utf8", stdio: "pipe" });
    // Inode, mode, user, group, name, bytes.
    expect(list("/etc")).toMatch(/^\/\d+\/100600\/0\/42\/shadow\/6\/$/m);
    expect(list("/usr/bin")).toMatch(/^\/\d+\/104755\/0\/0\/with space\/10\/$/m);
    expect(list("/var/lib")).toMatch(/^\/\d+\/040750\/101\/101\/redis\/\/$/m);
    expect(list("/")).toMatch(/^\/\d+\/120777\/0\/0\/bin\/7\/$/m);
  });

  it("is the same for the same tree", async () => {
    const digests = await Promise.all(
      ["a.img", "b.img"].map(async (name) => {
        const path = join(directory, name);
        await writeExt4Image(tree, { path, bytes: 4 << 20, label: "test" });
        return createHash("sha256").update(readFileSync(path)).digest("hex");
      }),
    );
    expect(digests[0]).toBe(digests[1]);
  });

  it("that is too small is refused in one line", async () => {
    const large = new FileTree();
    large.file("large", new Uint8Array(8 << 20).fill(1));
    const image = writeExt4Image(large, { path: join(directory, "small.img"), bytes: 4 << 20, label: "test" });
    await expect(image).rejects.toThrow(/^mke2fs failed \(1\): [^\n]+$/);
  });
});

describe("an SSH key", () => {
  it.skipIf(lacks("ssh-keygen"))("is one that ssh-keygen reads", () => {
    const path = join(directory, "key");
    const { privateFile, publicLine } = generateSshKey("a comment");
    writeFileSync(path, privateFile, { mode: 0o600 });
    const derived = execFileSync("ssh-keygen", ["-y", "-f", path], { encoding: "utf8" });
    expect(derived.trim()).toBe(publicLine);
  });
});

describe("kernel modules", () => {
  it("come after what they need, and indexes say so for modprobe", () => {
    const of = (name: string, dependencies: string[], aliases: string[] = []) => {
      return [name, { name, dependencies, aliases, path: `kernel/${name}.ko` }] as const;
    };
    const modules = new Map([of("net", ["ring", "core"], ["virtio:d1v*"]), of("core", ["ring"]), of("ring", [])]);
    expect(withDependencies(["net", "missing"], modules)).toEqual(["ring", "core", "net"]);
    expect(moduleIndexes(modules)).toEqual({
      "modules.dep": "kernel/net.ko: kernel/core.ko kernel/ring.ko\nkernel/core.ko: kernel/ring.ko\nkernel/ring.ko:\n",
      "modules.alias": "alias virtio:d1v* net\n",
    });
    expect(withDependencies(["a"], new Map([of("a", ["b"]), of("b", ["a"])]))).toEqual(["b", "a"]);
  });

  it("that are not, or are damaged, are refused", () => {
    const header = Uint8Array.from([0x7f, 0x45, 0x4c, 0x46, 2, 1]);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (tail) => {
        expect(() => readModuleInformation(Uint8Array.from([...header, ...tail]))).toThrow(KernelModuleError);
      }),
    );
  });
});

it.skipIf(lacks("busybox"))("the applets found in a busybox binary are those it lists", ({ skip }) => {
  const path = execFileSync("sh", ["-c", "command -v busybox"], { encoding: "utf8" }).trim();
  const listed = execFileSync(path, ["--list"], { encoding: "utf8" }).trim().split("\n");
  skip(listed.length < 10, "this busybox lists nothing");
  expect(appletNames(readFileSync(path))).toEqual(listed);
});
