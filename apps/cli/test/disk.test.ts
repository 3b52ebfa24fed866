// `doppel disk serve` under QEMU's tools: a raw image, and a disk that is mirrored on two hosts, one of which is killed.
import { execFile, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { freePorts, LocalPair } from "../src/pair/local-pair.ts";
import { need } from "./harness/requirements.ts";
import { repository } from "./harness/run.ts";

const main = join(repository, "apps/cli/dist/main.js");
const run = promisify(execFile);
let folder: string;
let server: ChildProcess | undefined;
let pair: LocalPair | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "doppel-disk-"));
});
afterEach(async () => {
  server?.kill("SIGKILL");
  await pair?.end();
  rmSync(folder, { recursive: true, force: true });
});

/** Starts a server; resolves to what it says first. */
function serve(...args: readonly string[]): Promise<string> {
  const child = spawn(process.execPath, [main, "disk", "serve", ...args], { stdio: ["ignore", "pipe", "pipe"] });
  server = child;
  return new Promise((resolve, reject) => {
    child.stdout.once("data", (chunk: Buffer) => resolve(chunk.toString()));
    child.once("exit", () => reject(new Error("it ended")));
  });
}

async function qemuIo(uri: string, ...commands: readonly string[]): Promise<string> {
  const args = ["-f", "raw", ...commands.flatMap((command) => ["-c", command]), uri];
  const { stdout } = await run("qemu-io", args, { timeout: 60_000 });
  return stdout;
}

async function refusal(...args: readonly string[]): Promise<string> {
  const failed = run(process.execPath, [main, "disk", ...args]);
  return failed.then(
    () => "it did not refuse",
    ({ stderr }: { stderr: string }) => stderr,
  );
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => resolve(port));
    });
  });
}

describe("doppel disk serve", () => {
  it("serves an image that QEMU's tools write, trim and copy", async (context) => {
    need(context, "qemu-img", "qemu-io");
    const image = join(folder, "disk.img");
    const socket = join(folder, "nbd.sock");
    expect(await serve(image, "--size", "8M", "--listen", socket, "--name", "one")).toContain("8388608 bytes");
    const uri = `nbd+unix:///one?socket=${socket}`;
    const { stdout } = await run("qemu-img", ["info", "--output=json", uri]);
    expect(JSON.parse(stdout)).toMatchObject({ "virtual-size": 8 << 20 });
    await qemuIo(uri, "write -P 7 1M 3M", "write -f -P 9 4608 512", "write -z 2M 512k", "discard 3M 64k", "flush");
    const printed = await qemuIo(uri, "read -P 7 1M 1M", "read -P 9 4608 512", "read -P 0 2M 512k", "read -P 0 3M 64k");
    expect(printed).not.toMatch(/verification failed/);
    expect(readFileSync(image)[4608]).toBe(9);
    const [source, copy] = [join(folder, "source"), join(folder, "copy")];
    writeFileSync(source, Buffer.alloc(8 << 20, "a disk has sectors. "));
    await run("qemu-img", ["convert", "-n", "-f", "raw", "-O", "raw", source, uri]);
    await run("qemu-img", ["convert", "-f", "raw", "-O", "raw", uri, copy]);
    expect(readFileSync(copy).equals(readFileSync(source))).toBe(true);
    expect((await run("qemu-img", ["compare", "-f", "raw", "-F", "raw", source, uri])).stdout).toMatch(/identical/);
  });

  it("lets nobody write a disk that is only to be read", async (context) => {
    need(context, "qemu-io");
    const image = join(folder, "disk.img");
    writeFileSync(image, Buffer.alloc(1 << 20, 5));
    const port = await freePort();
    await serve(image, "--read-only", "--listen", String(port));
    const uri = `nbd://127.0.0.1:${port}`;
    await expect(qemuIo(uri, "write 0 512")).rejects.toThrow(/permission denied|read-only/i);
    const { stdout } = await run("qemu-io", ["-r", "-f", "raw", "-c", "read -P 5 0 512", uri]);
    expect(stdout).not.toMatch(/verification failed/);
  });

  it("says what is wrong in one line", async () => {
    const odd = join(folder, "odd");
    writeFileSync(odd, "x");
    expect(await refusal("serve", join(folder, "nowhere"))).toMatch(/there is no such image; --size makes one\n$/);
    expect(await refusal("serve", odd)).toMatch(/1 bytes are no number of sectors/);
    expect(await refusal("serve", odd, "--size", "lots")).toMatch(/--size lots: a number of bytes/);
    expect(await refusal("serve", odd, "--size", "1M", "--listen", "99999")).toMatch(/99999: no address/);
    expect(await refusal("serve", join(folder, "new"), "--size", "1M", "--listen", "/nowhere/socket")).toMatch(
      /--listen/,
    );
    expect(await refusal("mount")).toMatch(/there is no command mount/);
    expect(statSync(odd).size).toBe(1 << 20);
  });

  it("S1 S4 S7 what was flushed to a mirrored disk is there when its host is killed", async (context) => {
    need(context, "qemu-io");
    const port = await freePort();
    const machine = { kind: "disk", sizeMiB: 8, listen: `127.0.0.1:${port}` };
    pair = new LocalPair(folder, await freePorts(), [main], { machine });
    for (const name of ["edge", "a", "b"]) pair.start(name);
    await pair.protectedBy("a");
    const uri = `nbd://127.0.0.1:${port}/disk`;
    await qemuIo(uri, "write -P 3 0 4M", "write -P 4 1M 64k", "flush", "write -f -P 5 2M 4k");
    // On a busy machine a standby may have been given up meanwhile, and come back.
    await pair.protectedBy("a");
    pair.kill("a");
    const read = (): Promise<string> =>
      qemuIo(uri, "read -P 3 0 1M", "read -P 4 1M 64k", "read -P 5 2M 4k", "read -P 3 3M 1M");
    await expect
      .poll(() => read().catch((error: unknown) => String(error)), { timeout: 30_000, interval: 200 })
      .toMatch(/4096\/4096/);
    expect(await read()).not.toMatch(/verification failed/);
    await qemuIo(uri, "write -P 6 0 512", "flush");
    pair.start("a");
    await pair.protectedBy("b");
    await qemuIo(uri, "write -P 7 512 512", "flush");
    await pair.protectedBy("b");
    pair.kill("b");
    const again = (): Promise<string> => qemuIo(uri, "read -P 6 0 512", "read -P 7 512 512");
    await expect
      .poll(() => again().catch((error: unknown) => String(error)), { timeout: 30_000, interval: 200 })
      .toMatch(/512\/512/);
    expect(await again()).not.toMatch(/verification failed/);
  });
});
