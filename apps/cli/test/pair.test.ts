// Edge and hosts as processes, a client on one TCP connection, and what goes wrong with processes.
import { spawn } from "node:child_process";
import { copyFileSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { CountingClient } from "../src/pair/counting-client.ts";
import { freePorts, LocalPair } from "../src/pair/local-pair.ts";
import { machinePrograms } from "../../../guests/programs.ts";
import { repository } from "./harness/run.ts";

let folder: string;
let pair: LocalPair;
let client: CountingClient | undefined;

const commandLine = [join(repository, "apps/cli/dist/main.js")];

/** A machine that is there at once, where it is the processes that are tested; this command line's own guest otherwise. */
async function startAll(kind: "model" | "own" = "model"): Promise<CountingClient> {
  pair = new LocalPair(folder, await freePorts(), commandLine, { machine: { kind } });
  for (const name of ["edge", "a", "b"]) pair.start(name);
  await pair.protectedBy("a");
  client = new CountingClient(pair.port + 3, "n");
  await client.count(30);
  return client;
}

/** Every answer was one more than the one before it, on one connection. */
async function check(on: CountingClient): Promise<void> {
  expect(await on.ask("get n")).toBe(String(on.answered));
  expect(on.complaints).toEqual([]);
  expect(on.resets).toBe(0);
}

const seconds = (count: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1000 * count));

describe("a pair of processes", () => {
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "doppel-pair-"));
  });
  afterEach(async () => {
    client?.close();
    await pair.end();
    rmSync(folder, { recursive: true, force: true });
  });

  it.each(["model", "own"] as const)(
    "C3 P4 a machine (%s) goes on when its host is killed, and again",
    async (kind) => {
      const on = await startAll(kind);
      for (const [leader, next] of [
        ["a", "b"],
        ["b", "a"],
      ]) {
        pair.kill(leader);
        await on.count(30);
        pair.start(leader);
        await pair.protectedBy(next);
      }
      await check(on);
    },
  );

  it("C3 S9 a leader that was stopped comes back to find itself replaced, and follows", async () => {
    const on = await startAll();
    pair.kill("a", "SIGSTOP");
    await on.count(30);
    pair.kill("a", "SIGCONT");
    await pair.protectedBy("b");
    await on.count(10);
    expect((await pair.status("a"))?.["role"]).toBe("standby");
    await check(on);
  });

  it("N8 the leader goes on alone when its standby dies, and takes it in again", async () => {
    const on = await startAll();
    pair.kill("b");
    await on.count(30);
    expect((await pair.status("a"))?.["mode"]).toBe("solo");
    pair.start("b");
    await pair.protectedBy("a");
    await check(on);
  });

  it("C3 the machine's host does not depend on the edge: it dies and comes back, and nobody is deposed", async () => {
    await startAll();
    client?.close();
    pair.kill("edge");
    await seconds(1);
    expect((await pair.status("a"))?.["mode"]).toBe("protected");
    pair.start("edge");
    const connected = async (): Promise<unknown> =>
      ((await pair.status("edge"))?.["connected"] as string[])?.toSorted();
    await expect.poll(connected, { timeout: 30_000, interval: 100 }).toEqual(["a", "b"]);
    const again = new CountingClient(pair.port + 3, "m");
    await again.count(30);
    again.close();
    expect((await pair.status("a"))?.["mode"]).toBe("protected");
  });

  it("C1 C3 P4 a whole machine computes on where its host died, and comes to the same result", async () => {
    const kernel = join(repository, "guests/bin/machine/busy");
    const machine = { kind: "vm", kernel, memoryMiB: 4, disk: { sizeMiB: 1 } };
    pair = new LocalPair(folder, await freePorts(), commandLine, { machine });
    for (const name of ["edge", "a", "b"]) pair.start(name);
    await pair.protectedBy("a");
    pair.kill("a");
    // It resets itself when it is done, and begins anew.
    const printed = (): string[] => {
      const file = join(folder, "b", "serial.log");
      return existsSync(file) ? readFileSync(file, "utf8").replaceAll("\r", "").split("\n").slice(0, -1) : [];
    };
    await expect.poll(() => printed().length, { timeout: 90_000, interval: 200 }).toBeGreaterThan(1);
    const busy = machinePrograms.find(({ name }) => name === "busy")!;
    for (const line of printed()) expect(`${line}\n`).toMatch(busy.prints);
    expect(new Set(printed()).size).toBe(1);
  });

  it("a failover that is asked for moves the machine", async () => {
    const on = await startAll();
    expect(await pair.ask("a", "failover")).toMatchObject({ host: "a" });
    await on.count(10);
    await pair.protectedBy("b");
    await check(on);
  });

  it("a host with another key is let in by nobody, and the machine runs on", async () => {
    const on = await startAll();
    pair.kill("b");
    const stray = join(folder, "stray.key");
    writeFileSync(stray, `${"ab".repeat(32)}\n`);
    copyFileSync(stray, join(folder, "keys", "b+edge.key"));
    copyFileSync(stray, join(folder, "keys", "a+b.key"));
    // The others hold the keys that they read when they started.
    pair.start("b");
    await on.count(30);
    await seconds(2);
    expect((await pair.status("a"))?.["mode"]).toBe("solo");
    expect(await pair.status("b")).toMatchObject({ role: "standby", complete: false });
    await check(on);
  });
});

describe("the demonstration", () => {
  it.each(["SIGTERM", "SIGKILL"] as const)("leaves no process behind when it is ended by %s", async (signal) => {
    const place = mkdtempSync(join(tmpdir(), "doppel-demo-"));
    const demo = spawn(process.execPath, [...commandLine, "pair", "demo"], {
      stdio: "ignore",
      env: { ...process.env, TMPDIR: place },
    });
    const children = (): string[] =>
      readdirSync("/proc").filter((pid) => {
        try {
          return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(place);
        } catch {
          return false;
        }
      });
    try {
      await vi.waitFor(() => expect(children().length).toBeGreaterThanOrEqual(2), 30_000);
      demo.kill(signal);
      await vi.waitFor(() => expect(children()).toEqual([]), 30_000);
    } finally {
      demo.kill("SIGKILL");
      rmSync(place, { recursive: true, force: true });
    }
  });
});
