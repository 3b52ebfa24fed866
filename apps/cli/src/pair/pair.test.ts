import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:net";
import { type BlockDevice, MemoryDevice } from "@doppel/mirror-storage";
import { createCable, Gateway, parseAddress } from "@doppel/virtual-network";
import { nodeClock, nodeHostNetwork, random32 } from "@doppel/virtual-network/node";
import { afterAll, describe, expect, it } from "vitest";
import { loadConfig } from "./config.ts";
import { initPair } from "./init.ts";
import { keyOf, makeKeys } from "./keys.ts";
import { ENTRIES, ENTRY_BYTES, ModelMachine } from "./model-machine.ts";
import { HeldSerial } from "./held-serial.ts";
import { ownGuest, VirtualMachine } from "./virtual-machine.ts";

const folder = mkdtempSync(join(tmpdir(), "doppel-pair-test-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const mac = "02:64:70:00:00:01";
const address = "10.0.2.15";

/** A model machine behind a gateway, and the port where the host reaches it. */
async function serve(disk: MemoryDevice): Promise<{ machine: ModelMachine; port: number; close: () => void }> {
  const [near, far] = createCable();
  const gateway = new Gateway({ port: far, host: nodeHostNetwork(), clock: nodeClock(), random32 });
  const host = { address: "127.0.0.1", port: 0 };
  const guest = parseAddress(address)!;
  const listener = await gateway.forward({ protocol: "tcp", host, guest, guestPort: 7000 });
  const machine = new ModelMachine({
    mac,
    address,
    port: 7000,
    transmit: (frame) => {
      near.send(frame);
      return "taken";
    },
  });
  near.onReceive((frame) => machine.receive(frame));
  machine.disk = disk;
  await new Promise<void>((resolve) => machine.boot(resolve));
  machine.run();
  const close = (): void => {
    machine.stop(() => undefined);
    gateway.close();
  };
  return { machine, port: listener.endpoint.port, close };
}

/** Sends lines, half of them at once, and collects as many answers. */
function converse(port: number, lines: readonly string[]): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(lines.map((line) => `${line}\n`).join("")));
    let text = "";
    socket.on("error", reject);
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      const answers = text.split("\n").slice(0, -1);
      if (answers.length === lines.length) socket.end();
    });
    socket.on("close", () => resolve(text.split("\n").slice(0, -1)));
  });
}

const makeDisk = (): MemoryDevice => new MemoryDevice({ sectorSize: ENTRY_BYTES, sectorCount: ENTRIES });

describe("the model machine", () => {
  it("answers lines over TCP, and keeps what it was told on its disk", async () => {
    const disk = makeDisk();
    const first = await serve(disk);
    const long = "x".repeat(300);
    const lines = ["get a", "set a one two", "get a", "incr n", "incr n", `set b ${long}`, "get b", "what", "get"];
    expect(await converse(first.port, lines)).toEqual([
      "",
      "one two",
      "one two",
      "1",
      "2",
      long,
      long,
      "error",
      "error",
    ]);
    first.close();
    const second = await serve(disk);
    expect(await converse(second.port, ["get a", "incr n"])).toEqual(["one two", "3"]);
    second.close();
  });

  it("C1 P2 is the same machine elsewhere, with its pages and its state", async () => {
    const one = await serve(makeDisk());
    await converse(one.port, ["set a 1"]);
    const { machine } = one;
    machine.stop(() => undefined);
    machine.takeDirtyPages();
    machine.run();
    await converse(one.port, ["set a 2"]);
    machine.stop(() => undefined);
    const dirty = machine.takeDirtyPages();
    expect(dirty.length).toBeGreaterThan(2);
    expect(dirty.length).toBeLessThan(12);
    const twin = await serve(makeDisk());
    twin.machine.stop(() => undefined);
    const page = new Uint8Array(machine.pageBytes);
    for (let at = 0; at < machine.pageCount; at++) {
      machine.readPage(at, page);
      twin.machine.writePage(at, page);
    }
    expect(twin.machine.loadState(machine.saveState())).toBeUndefined();
    expect(twin.machine.loadState(new Uint8Array([9]))).toMatch(/no state/);
    twin.machine.restored();
    twin.machine.run();
    expect(await converse(twin.port, ["get a"])).toEqual(["2"]);
    one.close();
    twin.close();
  });
});

/** This command line's own guest behind a gateway: with a disk, and a folder for what it prints. */
async function serveOwn(
  disk: BlockDevice,
  directory: string,
): Promise<{ machine: VirtualMachine; port: number; close: () => void }> {
  const [near, far] = createCable();
  const gateway = new Gateway({ port: far, host: nodeHostNetwork(), clock: nodeClock(), random32 });
  const host = { address: "127.0.0.1", port: 0 };
  const listener = await gateway.forward({ protocol: "tcp", host, guest: parseAddress(address)!, guestPort: 7000 });
  mkdirSync(directory, { recursive: true });
  const config = ownGuest({ kind: "own", mac, address, port: 7000, memoryMiB: 8, diskMiB: 1 });
  const machine = new VirtualMachine(config, {
    transmit: (frame) => {
      near.send(frame);
      return "taken";
    },
    resolve: (path) => path,
    directory,
    log: () => undefined,
    checkpointWanted: () => undefined,
  });
  near.onReceive((frame) => machine.receive(frame));
  machine.useDisk(disk);
  machine.output.goUnprotected();
  const close = (): void => {
    machine.checkpointable.stop(() => undefined);
    gateway.close();
  };
  return { machine, port: listener.endpoint.port, close };
}

describe("the own guest", () => {
  const makeSmall = (): MemoryDevice => new MemoryDevice({ sectorSize: 512, sectorCount: 2048 });
  const said = (name: string): string => readFileSync(join(folder, name, "serial.log"), "utf8").replaceAll("\r", "");

  it("P1 P2 P4 P5 goes on elsewhere without its purgeable index, finds that it is lost, and builds it again", async () => {
    const one = await serveOwn(makeSmall(), join(folder, "one"));
    const first = one.machine.checkpointable;
    first.run();
    expect(await converse(one.port, ["SET a one two", "incr n"])).toEqual(["OK", "1"]);
    first.stop(() => undefined);
    const twin = await serveOwn(makeSmall(), join(folder, "twin"));
    const second = twin.machine.checkpointable;
    const page = new Uint8Array(first.pageBytes);
    const zero = new Uint8Array(first.pageBytes);
    const purgeable: number[] = [];
    first.takeDirtyPages();
    for (let at = 0; at < first.pageCount; at++) {
      const standing = first.standing(at);
      if (standing === "purgeable") purgeable.push(at);
      first.readPage(at, page);
      second.writePage(at, standing === "kept" ? page : zero);
    }
    expect(purgeable).toHaveLength(8);
    expect(second.loadState(first.saveState())).toBeUndefined();
    second.restored();
    one.close();
    second.run();
    const answers = await converse(twin.port, ["GET a", "incr n", "GET none", "STATS"]);
    expect(answers.slice(0, 3)).toEqual(["one two", "2", ""]);
    expect(answers[3]).toMatch(/^keys 2 .* index-built 2$/);
    expect(said("one")).toBe("store: serves 10.0.2.15:7000, keys 0, index purgeable\n");
    expect(said("twin")).toBe("store: the index was lost, and built again\n");
    // What it writes there is not tracked.
    second.stop(() => undefined);
    second.takeDirtyPages();
    expect(purgeable.map((at) => second.standing(at))).toEqual(purgeable.map(() => "purgeable"));
    twin.close();
  });
});

describe("serial output", () => {
  it("N7 C2 waits for its epoch, and what was not committed is never seen", () => {
    const path = join(folder, "held.log");
    let wanted = 0;
    const serial = new HeldSerial(path, () => wanted++);
    let ready = 0;
    serial.ready = (): void => void ready++;
    const say = (text: string): boolean[] => Array.from(Buffer.from(text), (byte) => serial.write(byte));
    say("one\n");
    serial.seal(1);
    say("two\n");
    serial.seal(2);
    expect(existsSync(path)).toBe(false);
    serial.release(1);
    expect(readFileSync(path, "utf8")).toBe("one\n");
    expect(say("x".repeat(20_000)).filter(Boolean)).toHaveLength(16_384 - 4);
    expect([wanted > 0, ready]).toEqual([true, 0]);
    serial.release(2);
    expect(ready).toBe(1);
    serial.discard();
    serial.goUnprotected();
    say("three\n");
    expect(readFileSync(path, "utf8")).toBe("one\ntwo\nthree\n");
  });
});

describe("the configuration", () => {
  const { path, keys } = initPair({ pair: "test", folder: join(folder, "new"), port: 4000 });

  it("that init writes can be used, and init overwrites none", () => {
    const { config, resolve } = loadConfig(path);
    expect(Object.keys(config.hosts)).toEqual(["a", "b"]);
    expect(resolve(config.keys)).toBe(join(folder, "new", "keys"));
    expect(keys).toEqual(["a+edge.key", "b+edge.key", "a+b.key"]);
    expect(() => initPair({ pair: "test", folder: join(folder, "new"), port: 4000 })).toThrow(/there already/);
    expect(makeKeys(join(folder, "new", "keys"), ["a", "b"])).toEqual([]);
  });

  it.each<[string, (text: string) => string, RegExp]>([
    ["no YAML", () => "pair: [", /bad\.yaml: Flow sequence/],
    ["a field that is missing", (text) => text.replace(/^initial.*$/m, ""), /initial: Invalid input/],
    ["a field nobody knows", (text) => `${text}colour: red\n`, /Unrecognized key: "colour"/],
    ["a port that is none", (text) => text.replace("port: 4000", "port: 99999"), /edge\.port/],
    ["a machine that nobody can build", (text) => text.replace("kind: own", "kind: toaster"), /machine\.kind/],
    ["a whole machine without a kernel", (text) => text.replace("kind: own", "kind: vm"), /machine\.kernel/],
    [
      "a disk of two kinds",
      (text) => text.replace("kind: own", "kind: vm\n  kernel: k\n  disk: { image: x, sizeMiB: 1 }"),
      /machine\.disk: image or sizeMiB/,
    ],
    ["a first host that is not there", (text) => text.replace("initial: a", "initial: c"), /no host c/],
    ["one host", (text) => text.replace(/^ {2}b: .*$/m, ""), /a pair has two/],
  ])("with %s is refused in one line", (_what, change, complaint) => {
    const bad = join(folder, "bad.yaml");
    writeFileSync(bad, change(readFileSync(path, "utf8")));
    expect(() => loadConfig(bad)).toThrow(complaint);
  });

  it("keys that are missing or damaged are named", () => {
    const keyFolder = join(folder, "new", "keys");
    expect(keyOf(keyFolder, "edge", "a")).toHaveLength(32);
    expect(() => keyOf(keyFolder, "a", "c")).toThrow(/no key .*a\+c\.key/);
    writeFileSync(join(keyFolder, "a+c.key"), "short");
    expect(() => keyOf(keyFolder, "a", "c")).toThrow(/is no key/);
  });
});
