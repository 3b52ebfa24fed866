// A client of the 9P server over a real folder, through the virtio device.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { MessageReader, MessageWriter, headerBytes, Request } from "../9p/messages.ts";
import { P9Server } from "../9p/server.ts";
import { RecordReader } from "../snapshot/record-reader.ts";
import { VirtioP9 } from "../virtio/9p.ts";
import { TestDriver, TestMemory } from "../virtio/testing/driver.ts";
import { openSharedFolder } from "./shared-folder.ts";

const cleanUp: (() => unknown)[] = [];

afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

function makeFolder(): string {
  const base = mkdtempSync(join(tmpdir(), "share-"));
  cleanUp.push(() => rmSync(base, { recursive: true }));
  writeFileSync(join(base, "secret"), "not shared");
  mkdirSync(join(base, "shared"));
  return join(base, "shared");
}

async function serverOf(folder: string): Promise<P9Server> {
  const server = new P9Server(await openSharedFolder(folder));
  cleanUp.push(() => server.close());
  return server;
}

/** Sends a request; returns its reply's fields, or the errno. */
async function call(server: P9Server, type: number, message: MessageWriter): Promise<MessageReader | number> {
  const reply = await server.handle(message.finish(type, 1), 65_536);
  if (reply === undefined) throw new Error("no reply");
  const reader = new MessageReader(reply);
  expect(reader.u32()).toBe(reply.length);
  const replyType = reader.u8();
  expect(reader.u16()).toBe(1);
  if (replyType === 7) return reader.u32();
  expect(replyType).toBe(type + 1);
  return reader;
}

const message = (): MessageWriter => new MessageWriter();

async function succeed(server: P9Server, type: number, content: MessageWriter): Promise<MessageReader> {
  const reply = await call(server, type, content);
  if (typeof reply === "number") throw new Error(`errno ${reply}`);
  return reply;
}

/** Fid 0 is the root. */
async function attach(server: P9Server): Promise<void> {
  await succeed(server, Request.version, message().u32(65_536).text("9P2000.L"));
  await succeed(
    server,
    Request.attach,
    message()
      .u32(0)
      .u32(2 ** 32 - 1)
      .text("root")
      .text("")
      .u32(0),
  );
}

function walk(server: P9Server, from: number, to: number, ...names: string[]): Promise<MessageReader | number> {
  const content = message().u32(from).u32(to).u16(names.length);
  for (const name of names) content.text(name);
  return call(server, Request.walk, content);
}

async function readFile(server: P9Server, fid: number, ...path: string[]): Promise<string | number> {
  const walked = await walk(server, 0, fid, ...path);
  if (typeof walked === "number") return walked;
  if (walked.u16() !== path.length) return -1;
  const opened = await call(server, Request.open, message().u32(fid).u32(0));
  if (typeof opened === "number") return opened;
  const reply = await succeed(server, Request.read, message().u32(fid).u64(0n).u32(1000));
  return new TextDecoder().decode(reply.data(reply.u32()));
}

async function list(server: P9Server, fid: number, room = 4096): Promise<string[]> {
  const names: string[] = [];
  for (let offset = 0n; ;) {
    const reply = await succeed(server, Request.readdir, message().u32(fid).u64(offset).u32(room));
    const length = reply.u32();
    if (length === 0) return names;
    const entries = new MessageReader(reply.data(length));
    for (let used = 0; used < length;) {
      entries.data(13);
      offset = entries.u64();
      entries.u8();
      const name = entries.text();
      names.push(name);
      used += 24 + name.length;
    }
  }
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("a shared folder", () => {
  it("is read and written", async () => {
    const folder = makeFolder();
    const server = await serverOf(folder);
    await attach(server);
    await succeed(server, Request.mkdir, message().u32(0).text("sub").u32(0o755).u32(0));
    await walk(server, 0, 1, "sub");
    await succeed(server, Request.create, message().u32(1).text("file").u32(0o1102).u32(0o4644).u32(0));
    const data = bytes("hello, host");
    await succeed(server, Request.write, message().u32(1).u64(0n).u32(data.length).data(data));
    await succeed(server, Request.fsync, message().u32(1).u32(0));
    const path = join(folder, "sub/file");
    expect(readFileSync(path, "utf8")).toBe("hello, host");
    // Set-user-ID is not for guests to give.
    expect(statSync(path).mode & 0o7000).toBe(0);
    const times = message().u64(0n).u64(0n).u64(1_000_000_000n).u64(0n);
    const sizeAndTime = 8 | 32 | 256;
    const changes = message().u32(1).u32(sizeAndTime).u32(0).u32(0).u32(0).u64(5n);
    await succeed(server, Request.setattr, changes.data(times.finish(0, 0).subarray(headerBytes)));
    expect([readFileSync(path, "utf8"), statSync(path).mtimeMs]).toEqual(["hello", 1e12]);
    const attributes = await succeed(server, Request.getattr, message().u32(1).u64(0x7ffn));
    attributes.data(8 + 13);
    expect(attributes.u32() & 0o170000).toBe(0o100000);
    await succeed(server, Request.clunk, message().u32(1));
    expect(await readFile(server, 2, "sub", "file")).toBe("hello");
  });

  it("lists directories in as many pieces as the client likes", async () => {
    const folder = makeFolder();
    for (let index = 0; index < 40; index++) writeFileSync(join(folder, `file-${index}`), "");
    writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), Buffer.of(0xff, 0xfe)]), "");
    const server = await serverOf(folder);
    await attach(server);
    await walk(server, 0, 1);
    await succeed(server, Request.open, message().u32(1).u32(0));
    const names = await list(server, 1, 200);
    expect(await list(server, 1)).toEqual(names);
    expect(names.slice(0, 2)).toEqual([".", ".."]);
    expect(new Set(names).size).toBe(43);
    expect(names).toContain("\u00ff\u00fe");
  });

  it("moves, links and removes, and knows an open file whose name is gone", async () => {
    const folder = makeFolder();
    writeFileSync(join(folder, "a"), "one");
    mkdirSync(join(folder, "dir"));
    const server = await serverOf(folder);
    await attach(server);
    await walk(server, 0, 1, "dir");
    await walk(server, 0, 2, "a");
    await succeed(server, Request.link, message().u32(1).u32(2).text("b"));
    expect(statSync(join(folder, "dir/b")).nlink).toBe(2);
    await succeed(server, Request.renameat, message().u32(0).text("a").u32(1).text("c"));
    // The fid goes with the file.
    await succeed(server, Request.open, message().u32(2).u32(0));
    await succeed(server, Request.rename, message().u32(1).u32(0).text("moved"));
    expect(await readFile(server, 3, "moved", "c")).toBe("one");
    await succeed(server, Request.unlinkat, message().u32(1).text("c").u32(0));
    expect(existsSync(join(folder, "moved/c"))).toBe(false);
    const reply = await succeed(server, Request.read, message().u32(2).u64(0n).u32(10));
    expect(new TextDecoder().decode(reply.data(reply.u32()))).toBe("one");
    expect(await call(server, Request.unlinkat, message().u32(0).text("moved").u32(0x200))).toBe(39);
    await succeed(server, Request.unlinkat, message().u32(1).text("b").u32(0));
    await succeed(server, Request.remove, message().u32(1));
    expect(existsSync(join(folder, "moved"))).toBe(false);
  });

  it("cannot be left by names, nor by links", async () => {
    const folder = makeFolder();
    symlinkSync("..", join(folder, "up"));
    symlinkSync("../secret", join(folder, "leak"));
    const server = await serverOf(folder);
    await attach(server);
    await succeed(server, Request.symlink, message().u32(0).text("mine").text("/etc/passwd").u32(0));
    for (const path of [
      ["..", "secret"],
      ["../secret"],
      ["up", "secret"],
      [".", "..", "secret"],
      ["/etc/passwd"],
      ["leak"],
      ["mine"],
    ]) {
      expect(String(await readFile(server, 1, ...path))).not.toMatch(/not shared|root/);
      await call(server, Request.clunk, message().u32(1));
    }
    await walk(server, 0, 2, "mine");
    const target = await succeed(server, Request.readlink, message().u32(2));
    expect(target.text()).toBe("/etc/passwd");
    expect(await call(server, Request.create, message().u32(0).text("leak").u32(0o1101).u32(0o644).u32(0))).toBe(40);
    for (const name of ["../new", "..", ".", "", "a/b", "a\0b"]) {
      expect(await call(server, Request.mkdir, message().u32(0).text(name).u32(0o755).u32(0))).toBe(22);
      expect(await call(server, Request.renameat, message().u32(0).text("up").u32(0).text(name))).toBe(22);
      expect(await call(server, Request.unlinkat, message().u32(0).text(name).u32(0))).toBe(22);
    }
    expect(readFileSync(join(folder, "../secret"), "utf8")).toBe("not shared");
  });

  it("cannot be left by swapping a directory for a link", async () => {
    const folder = makeFolder();
    mkdirSync(join(folder, "dir"));
    const server = await serverOf(folder);
    await attach(server);
    await walk(server, 0, 1, "dir");
    rmSync(join(folder, "dir"), { recursive: true });
    symlinkSync("..", join(folder, "dir"));
    for (let attempt = 0; attempt < 2; attempt++) {
      const walked = await walk(server, 1, 2, "secret");
      expect(typeof walked === "number" || walked.u16() === 0).toBe(true);
    }
  });

  it("is there again after a restart, with the files that were open", async () => {
    const folder = makeFolder();
    writeFileSync(join(folder, "file"), "content");
    const server = await serverOf(folder);
    await attach(server);
    await walk(server, 0, 1, "file");
    await succeed(server, Request.open, message().u32(1).u32(0));
    const other = await serverOf(folder);
    other.load(new RecordReader("9p", server.save()));
    const reply = await succeed(other, Request.read, message().u32(1).u64(3n).u32(10));
    expect(new TextDecoder().decode(reply.data(reply.u32()))).toBe("tent");
    expect(await readFile(other, 2, "file")).toBe("content");
  });

  it("answers any message, and outlives it", async () => {
    const folder = makeFolder();
    writeFileSync(join(folder, "file"), "content");
    const server = await serverOf(folder);
    await attach(server);
    const field = fc.oneof(
      fc.integer({ min: 0, max: 3 }).map((value) => message().u32(value)),
      fc.constantFrom("file", "dir", "..", "new").map((name) => message().text(name)),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((value) => message().u64(value)),
      fc.uint8Array({ maxLength: 9 }).map((value) => message().data(value)),
    );
    const request = fc.tuple(
      fc.oneof(fc.constantFrom(...Object.values(Request)), fc.integer({ min: 0, max: 255 })),
      fc.array(field, { maxLength: 6 }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(request, { maxLength: 12 }), async (requests) => {
        const replies = requests.map(([type, fields]) => {
          const whole = message();
          for (const part of fields) whole.data(part.finish(0, 0).subarray(headerBytes));
          return server.handle(whole.finish(type, 3), 300);
        });
        for (const reply of await Promise.all(replies)) expect(reply!.length).toBeLessThanOrEqual(300);
      }),
      { numRuns: 200 },
    );
    await attach(server);
    expect(readFileSync(join(folder, "../secret"), "utf8")).toBe("not shared");
  });
});

it("a shared folder is reached through virtio by its tag", async () => {
  const server = await serverOf(makeFolder());
  const guest = new TestDriver(
    (memory) => new VirtioP9({ id: "9p", memory, tag: "host", server }),
    new TestMemory(1 << 20),
  );
  guest.probe();
  guest.start([0]);
  expect([guest.read("device", 0, 2), guest.read("device", 2, 1)]).toEqual([4, "h".charCodeAt(0)]);
  guest.submit(0, [message().u32(8192).text("9P2000.L").finish(Request.version, 0xffff)], [10, 100]);
  guest.notify(0);
  await guest.device.quiesce();
  const [used] = guest.takeUsed(0);
  const reply = new MessageReader(used.data);
  expect([reply.u32(), reply.u8(), reply.u16(), reply.u32(), reply.text()]).toEqual([
    21,
    101,
    0xffff,
    8192,
    "9P2000.L",
  ]);
  expect(used.written).toBe(21);
  guest.submit(0, [bytes("nonsense")], [20]);
  guest.notify(0);
  await guest.device.quiesce();
  expect(guest.needsReset).toBe(true);
});
