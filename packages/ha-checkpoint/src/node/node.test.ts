import { spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Codec } from "../epochs/codec.ts";
import { encodeMessage } from "../epochs/messages.ts";
import { encodeLeadership, LeadershipRegister, sameLeadership } from "../failover/arbiter.ts";
import type { Arbiter, ArbiterAnswer, Leadership } from "../failover/arbiter.ts";
import type { Link, LinkHandler } from "../failover/link.ts";
import { EtcdArbiter } from "./etcd-arbiter.ts";
import { FileRegister } from "./file-register.ts";
import { dial, listen } from "./psk-transport.ts";
import { deflateCodec, zstdCodec } from "./zlib-codec.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "doppel-pair-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const first: Leadership = { token: 1, leader: "A", standby: undefined };
const second: Leadership = { token: 1, leader: "A", standby: { host: "B", attempt: 1 } };

describe("the arbiter's file", () => {
  it("keeps the record, and would rather not start than guess", async () => {
    const path = join(folder, "state", "leadership");
    const register = new FileRegister(path);
    expect(await register.load()).toBeUndefined();
    await register.save(first);
    await register.save(second);
    expect(await new FileRegister(path).load()).toEqual(second);
    await writeFile(path, "x");
    await expect(register.load()).rejects.toThrow(/damaged/);
  });
});

describe.each<[string, Codec]>([
  ["zstd", zstdCodec],
  ["deflate", deflateCodec],
])("%s", (_name, codec) => {
  const decompress = (bytes: Uint8Array, length: number): Promise<Uint8Array | undefined> =>
    new Promise((resolve) => codec.decompress(bytes, length, resolve));

  it("gives back what it was given, and never more than was announced", async () => {
    const raw = new Uint8Array(100_000).fill(7);
    const small = await new Promise<Uint8Array>((resolve) => codec.compress(raw, resolve));
    expect(small.length).toBeLessThan(1000);
    expect(await decompress(small, raw.length)).toEqual(raw);
    expect(await decompress(small, raw.length - 1)).toBeUndefined();
    expect(await decompress(small, raw.length + 1)).toBeUndefined();
    expect(await decompress(randomBytes(50), 50)).toBeUndefined();
    expect(await decompress(new Uint8Array(), 10)).toBeUndefined();
  });
});

describe("links", () => {
  const keys = new Map([["A", randomBytes(32)]]);
  const frame = encodeMessage({ kind: "committed", epoch: 9 });

  let callbacks = 0;
  const connect = (port: number, name: string, key: Uint8Array): Promise<string> =>
    new Promise((resolve) => {
      dial({ host: "127.0.0.1", port }, name, key, (link, reason) => {
        callbacks++;
        if (link === undefined) {
          resolve(`failed: ${reason}`);
          return undefined;
        }
        link.send(frame);
        return {
          frame: (answer) => {
            link.close();
            resolve(`answered ${answer.length}`);
          },
          drained: () => undefined,
          closed: (why) => resolve(`closed: ${why}`),
        };
      });
    });

  it("carry frames between those who have each other's key, and nobody else's", async () => {
    const rejected: string[] = [];
    const names: string[] = [];
    const accept = (link: Link, name: string): LinkHandler => {
      names.push(name);
      return { frame: () => link.send(frame), drained: () => undefined, closed: () => undefined };
    };
    const listener = await listen({ host: "127.0.0.1", port: 0 }, keys, accept, (text) => rejected.push(text));
    expect(await connect(listener.port, "A", keys.get("A")!)).toBe(`answered ${frame.length - 4}`);
    expect(await connect(listener.port, "A", randomBytes(32))).toMatch(/^failed/);
    expect(await connect(listener.port, "C", keys.get("A")!)).toMatch(/^failed/);
    expect(names).toEqual(["A"]);
    expect(rejected).toHaveLength(2);
    listener.close();
    expect(await connect(1, "A", keys.get("A")!)).toMatch(/^failed/);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(callbacks).toBe(4);
  });
});

const ask = (run: (done: (answer: ArbiterAnswer) => void) => void): Promise<ArbiterAnswer> => new Promise(run);

async function arbiterContract(arbiter: Arbiter): Promise<void> {
  expect(await ask((done) => arbiter.read(done))).toEqual({ ok: true, record: undefined, swapped: false });
  const create = await ask((done) => arbiter.compareAndSwap(undefined, first, done));
  expect(create).toEqual({ ok: true, record: first, swapped: true });
  const again = await ask((done) => arbiter.compareAndSwap(undefined, second, done));
  expect(again).toEqual({ ok: true, record: first, swapped: false });
  const register = await ask((done) => arbiter.compareAndSwap(first, second, done));
  expect(register).toEqual({ ok: true, record: second, swapped: true });
  const late = await ask((done) => arbiter.compareAndSwap(first, { ...first, token: 2 }, done));
  expect(late).toEqual({ ok: true, record: second, swapped: false });
  expect(await ask((done) => arbiter.read(done))).toEqual({ ok: true, record: second, swapped: false });
}

describe("etcd's JSON gateway", () => {
  /** As far as one key goes. */
  it("is spoken as its documentation has it", async () => {
    const register = new LeadershipRegister(undefined);
    const range = (): unknown => {
      const { record } = register;
      return record === undefined ? {} : { kvs: [{ value: Buffer.from(encodeLeadership(record)).toString("base64") }] };
    };
    const server = createServer((request, response) => {
      let body = "";
      request.on("data", (chunk: Buffer) => (body += chunk.toString()));
      request.on("end", () => {
        if (request.url === "/v3/kv/range") return response.end(JSON.stringify(range()));
        const { compare, success } = JSON.parse(body) as {
          compare: { target: string; value?: string }[];
          success: { request_put: { value: string } }[];
        };
        const now = register.record && Buffer.from(encodeLeadership(register.record)).toString("base64");
        const holds = compare[0].target === "CREATE" ? now === undefined : compare[0].value === now;
        if (!holds) return response.end(JSON.stringify({ responses: [{ response_range: range() }] }));
        const next = Buffer.from(success[0].request_put.value, "base64");
        const record = [first, second].find((one) => Buffer.from(encodeLeadership(one)).equals(next));
        if (record !== undefined && !sameLeadership(record, register.record)) register.adopt(record);
        return response.end(JSON.stringify({ succeeded: true }));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    const options = { key: "/doppel/pairs/test", timeoutMs: 2000 };
    await arbiterContract(new EtcdArbiter({ ...options, endpoints: [`http://127.0.0.1:${port}`] }));
    server.close();
    const gone = new EtcdArbiter({ ...options, endpoints: ["http://127.0.0.1:1"] });
    expect(await ask((done) => gone.read(done))).toMatchObject({ ok: false });
  });
});

describe.skipIf(spawnSync("etcd", ["--version"]).status !== 0)("etcd itself", () => {
  it("decides as the embedded arbiter does", async () => {
    const ports = await Promise.all([freePort(), freePort()]);
    const [client, peer] = ports.map((port) => `http://127.0.0.1:${port}`);
    const args = [
      "--data-dir",
      join(folder, "etcd"),
      "--listen-client-urls",
      client,
      "--advertise-client-urls",
      client,
    ];
    const peers = ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer];
    const etcd = spawn("etcd", [...args, ...peers, "--initial-cluster", `default=${peer}`, "--log-level", "error"]);
    try {
      const arbiter = new EtcdArbiter({ key: "/doppel/pairs/test", timeoutMs: 2000, endpoints: [client] });
      const isUp = async (): Promise<boolean> => (await ask((done) => arbiter.read(done))).ok;
      await expect.poll(isUp, { timeout: 15_000, interval: 200 }).toBe(true);
      await arbiterContract(arbiter);
    } finally {
      etcd.kill("SIGKILL");
    }
  });
});

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
