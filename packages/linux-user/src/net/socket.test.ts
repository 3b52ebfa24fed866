/** Sockets on every network that drives them, and unix sockets, through their own interface. */
import * as fs from "node:fs";
import * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { EADDRINUSE, EAGAIN, ECONNREFUSED, EINPROGRESS, ENOTCONN, EPIPE } from "../kernel/errno.ts";
import { POLLHUP, POLLIN, POLLOUT, POLLRDHUP, type OpenFile } from "../fd/open-file.ts";
import { makePipe } from "../fd/pipe.ts";
import { BytesTransfer } from "../fd/transfer.ts";
import { NodeFilesystem } from "../node/filesystem.ts";
import { NodeNetwork } from "../node/network.ts";
import { assembleFilesystem } from "../vfs/assemble.ts";
import { O_NONBLOCK } from "../vfs/constants.ts";
import { FakePageCache, FakeTask } from "../vfs/testing/fake-task.ts";
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  decodeAddress,
  encodeAddress,
  formatV6,
  inet,
  parseV6,
  type InetAddress,
} from "./address.ts";
import type { HostNetwork } from "./host-network.ts";
import { LoopbackNetwork } from "./loopback.ts";
import type { GuestNetwork } from "./network.ts";
import {
  MSG_PEEK,
  MSG_TRUNC,
  SOCK_DGRAM,
  SOCK_SEQPACKET,
  SOCK_STREAM,
  type Eventually,
  type Received,
  type Socket,
} from "./socket.ts";
import type { UnixSocket } from "./unix.ts";

const clock = { realtimeNs: () => 0n, monotonicNs: () => process.hrtime.bigint() };
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "dsock-"));
afterAll(() => fs.rmSync(scratch, { recursive: true, force: true }));

function makeTask(network: HostNetwork, root?: string): { task: FakeTask; network: GuestNetwork } {
  const assembled = assembleFilesystem({ host: new NodeFilesystem(), clock, root, network });
  const task = new FakeTask(assembled.filesystem, new FakePageCache());
  assembled.connect(task.kernel);
  return { task, network: assembled.filesystem.network };
}

/** Tries again after every wake of the file. */
async function until<T>(file: OpenFile, attempt: () => T | undefined): Promise<T> {
  for (;;) {
    const result = attempt();
    if (result !== undefined) return result;
    await new Promise<void>((resolve) => {
      const waiter = {
        wake: () => {
          file.queue.remove(waiter);
          resolve();
        },
      };
      file.queue.add(waiter);
    });
  }
}

async function finished(socket: Socket, outcome: Eventually): Promise<number> {
  return typeof outcome === "number" ? outcome : until(socket, outcome);
}

const none = { flags: 0, address: undefined, ancillary: undefined };

describe.each([
  ["the host's network", () => new NodeNetwork()],
  ["the emulator's own loopback", () => new LoopbackNetwork((callback) => void setTimeout(callback, 0))],
])("sockets on %s", (_name, make) => {
  const { task: fake, network } = makeTask(make());
  const task = fake.asTask();

  function create(family: number, type: number): Socket {
    const socket = network.create(family, type, 0, O_NONBLOCK);
    if (typeof socket === "number") throw new Error("no socket");
    return socket;
  }

  async function receive(socket: Socket, count: number, flags = 0): Promise<{ text: string; received: Received }> {
    const buffer = new Uint8Array(count);
    const received = await until(socket, () => {
      const result = socket.receive(new BytesTransfer(buffer), flags, task);
      return result === -EAGAIN ? undefined : result;
    });
    if (typeof received === "number") throw new Error(`receive: ${received}`);
    return { text: new TextDecoder().decode(buffer.subarray(0, Math.min(count, received.count))), received };
  }

  function send(socket: Socket, text: string, to?: InetAddress): number {
    return socket.send(new BytesTransfer(new TextEncoder().encode(text)), { ...none, address: to }, task);
  }

  async function listener(family: 4 | 6): Promise<{ server: Socket; port: number }> {
    const server = create(family === 4 ? AF_INET : AF_INET6, SOCK_STREAM);
    const address = inet(family, family === 4 ? "127.0.0.1" : "::1", 0);
    expect(await finished(server, server.bind(address, task))).toBe(0);
    expect(await finished(server, server.listen(5, task))).toBe(0);
    return { server, port: (server.localAddress() as InetAddress).port };
  }

  async function connect(family: 4 | 6, port: number): Promise<Socket> {
    const client = create(family === 4 ? AF_INET : AF_INET6, SOCK_STREAM);
    const address = inet(family, family === 4 ? "127.0.0.1" : "::1", port);
    expect(await finished(client, client.connect(address, task))).toBe(-EINPROGRESS);
    await until(client, () => (client.poll(task) & POLLOUT) !== 0 || undefined);
    return client;
  }

  async function accept(server: Socket): Promise<Socket> {
    const accepted = await until(server, () => {
      const result = server.accept(task, O_NONBLOCK);
      return result === -EAGAIN ? undefined : result;
    });
    if (typeof accepted === "number") throw new Error(`accept: ${accepted}`);
    return accepted;
  }

  it.each([4, 6] as const)(
    "connects over IPv%i, carries bytes both ways, and ends each way by itself",
    async (family) => {
      const { server, port } = await listener(family);
      expect(port).toBeGreaterThan(0);
      const client = await connect(family, port);
      expect(client.takeError()).toBe(0);
      const peer = await accept(server);
      expect((peer.remoteAddress() as InetAddress).port).toBe((client.localAddress() as InetAddress).port);
      expect((client.remoteAddress() as InetAddress).port).toBe(port);
      expect(send(client, "hello")).toBe(5);
      expect((await receive(peer, 3, MSG_PEEK)).text).toBe("hel");
      expect((await receive(peer, 100)).text).toBe("hello");
      expect(client.shutdown(false, true)).toBe(0);
      expect((await receive(peer, 100)).received.count).toBe(0);
      expect(peer.poll(task) & POLLRDHUP).toBe(POLLRDHUP);
      expect(send(client, "x")).toBe(-EPIPE);
      expect(send(peer, "still")).toBe(5);
      expect((await receive(client, 100)).text).toBe("still");
      peer.release();
      expect((await receive(client, 100)).received.count).toBe(0);
      client.release();
      server.release();
    },
  );

  it("pushes back when nobody reads, and loses nothing", async () => {
    const { server, port } = await listener(4);
    const client = await connect(4, port);
    const peer = await accept(server);
    const chunk = new Uint8Array(100_000);
    let sent = 0;
    let refused = 0;
    while (refused < 3 && sent < 64e6) {
      const count = client.send(new BytesTransfer(chunk), none, task);
      if (count > 0) sent += count;
      else refused++;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    expect(refused).toBe(3);
    let got = 0;
    const buffer = new Uint8Array(1 << 20);
    while (got < sent) {
      got += await until(peer, () => {
        const result = peer.receive(new BytesTransfer(buffer), 0, task);
        return result === -EAGAIN ? undefined : typeof result === "number" ? Infinity : result.count;
      });
    }
    expect(got).toBe(sent);
    for (const socket of [client, peer, server]) socket.release();
  });

  it("refuses where nobody listens, and a port that is taken", async () => {
    const { server, port } = await listener(4);
    const second = create(AF_INET, SOCK_STREAM);
    expect(await finished(second, second.bind(inet(4, "127.0.0.1", port), task))).toBe(-EADDRINUSE);
    server.release();
    await new Promise((resolve) => setTimeout(resolve, 10));
    const client = create(AF_INET, SOCK_STREAM);
    expect(await finished(client, client.connect(inet(4, "127.0.0.1", port), task))).toBe(-EINPROGRESS);
    await until(client, () => client.poll(task) !== 0 || undefined);
    expect(client.takeError()).toBe(ECONNREFUSED);
    expect(client.remoteAddress()).toBe(-ENOTCONN);
    client.release();
    second.release();
  });

  it("carries datagrams, cut and whole", async () => {
    const one = create(AF_INET, SOCK_DGRAM);
    const other = create(AF_INET, SOCK_DGRAM);
    expect(await finished(one, one.bind(inet(4, "127.0.0.1", 0), task))).toBe(0);
    const address = one.localAddress() as InetAddress;
    expect(await finished(other, other.connect(address, task))).toBe(0);
    expect(other.localAddress()).toMatchObject({ address: "127.0.0.1" });
    expect(send(other, "question")).toBe(8);
    const { text, received } = await receive(one, 5);
    expect([text, received.flags]).toEqual(["quest", MSG_TRUNC]);
    expect(send(one, "answer", received.address as InetAddress)).toBe(6);
    expect((await receive(other, 100)).text).toBe("answer");
    one.release();
    expect(send(other, "nobody")).toBe(6);
    await until(other, () => other.poll(task) & POLLIN || undefined);
    expect(other.takeError()).toBe(ECONNREFUSED);
    other.release();
  });
});

describe("unix sockets", () => {
  const root = fs.mkdtempSync(path.join(scratch, "root-"));
  const { task: fake, network } = makeTask(new NodeNetwork(), root);
  const task = fake.asTask();

  function pair(type: number): [UnixSocket, UnixSocket] {
    const made = network.pair(type, O_NONBLOCK);
    if (typeof made === "number") throw new Error("no pair");
    return made;
  }

  function text(socket: Socket, count: number, flags = 0): string | number {
    const buffer = new Uint8Array(count);
    const received = socket.receive(new BytesTransfer(buffer), flags, task);
    return typeof received === "number" ? received : new TextDecoder().decode(buffer.subarray(0, received.count));
  }

  function say(socket: Socket, words: string): number {
    return socket.send(new BytesTransfer(new TextEncoder().encode(words)), none, task);
  }

  it("join messages of a stream and keep those of the other types apart", () => {
    const [a, b] = pair(SOCK_STREAM);
    expect([say(a, "one"), say(a, "two")]).toEqual([3, 3]);
    expect(text(b, 4)).toBe("onet");
    expect(text(b, 100)).toBe("wo");
    expect(text(b, 1)).toBe(-EAGAIN);
    const [c, d] = pair(SOCK_SEQPACKET);
    say(c, "one");
    say(c, "two");
    expect(text(d, 2)).toBe("on");
    expect(text(d, 100)).toBe("two");
    a.release();
    expect(text(b, 1)).toBe("");
    expect(b.poll() & POLLHUP).toBe(POLLHUP);
    expect(say(b, "x")).toBe(-EPIPE);
    c.release();
  });

  it("carry open files, and close those that nobody took", () => {
    const [a, b] = pair(SOCK_STREAM);
    const [reader, writer] = makePipe(O_NONBLOCK);
    for (const file of [writer, writer]) file.retain();
    const ancillary = { files: [writer], credentials: undefined };
    a.send(new BytesTransfer(Uint8Array.of(1)), { ...none, ancillary }, task);
    a.send(new BytesTransfer(Uint8Array.of(2)), { ...none, ancillary }, task);
    writer.release();
    const received = b.receive(new BytesTransfer(new Uint8Array(10)), 0, task) as Received;
    expect([received.count, received.ancillary?.files]).toEqual([1, [writer]]);
    expect(reader.poll()).toBe(0);
    writer.release();
    expect(reader.poll()).toBe(0);
    b.release();
    expect(reader.poll()).toBe(POLLHUP);
    a.release();
  });

  it("have names in the guest's tree, which the host's programs can use too", async () => {
    const server = network.create(AF_UNIX, SOCK_STREAM, 0, O_NONBLOCK) as UnixSocket;
    expect(server.bind({ family: AF_UNIX, path: "/s" }, task)).toBe(0);
    expect(fs.lstatSync(path.join(root, "s")).isSocket()).toBe(true);
    const again = network.create(AF_UNIX, SOCK_STREAM, 0, 0) as UnixSocket;
    expect(again.bind({ family: AF_UNIX, path: "/s" }, task)).toBe(-EADDRINUSE);
    expect(again.connect({ family: AF_UNIX, path: "/s" }, task)).toBe(-ECONNREFUSED);
    expect(server.listen(5, task)).toBe(0);
    expect(again.connect({ family: AF_UNIX, path: "/s" }, task)).toBe(0);
    const inside = server.accept(task, O_NONBLOCK) as Socket;
    say(again, "inside");
    expect(text(inside, 100)).toBe("inside");
    const client = net.connect(path.join(root, "s"));
    client.write("from the host");
    const outside = await until(server, () => {
      const accepted = server.accept(task, O_NONBLOCK);
      return accepted === -EAGAIN ? undefined : accepted;
    });
    if (typeof outside === "number") throw new Error("accept");
    expect(await until(outside, () => (outside.poll(task) & POLLIN) !== 0 || undefined)).toBe(true);
    expect(text(outside, 100)).toBe("from the host");
    client.destroy();
    for (const socket of [inside, outside, again, server]) socket.release();
    expect(fs.existsSync(path.join(root, "s"))).toBe(true);
  });

  it("reach a server of the host", async () => {
    const server = net.createServer((socket) => socket.end("welcome")).listen(path.join(root, "host-server"));
    const client = network.create(AF_UNIX, SOCK_STREAM, 0, O_NONBLOCK) as UnixSocket;
    expect(await finished(client, client.connect({ family: AF_UNIX, path: "/host-server" }, task))).toBe(0);
    await until(client, () => (client.poll() & POLLIN) !== 0 || undefined);
    expect(text(client, 100)).toBe("welcome");
    client.release();
    server.close();
  });

  it("have abstract names and autobind", () => {
    const one = network.create(AF_UNIX, SOCK_DGRAM, 0, O_NONBLOCK) as UnixSocket;
    const other = network.create(AF_UNIX, SOCK_DGRAM, 0, O_NONBLOCK) as UnixSocket;
    expect(one.bind({ family: AF_UNIX, path: "\0name" }, task)).toBe(0);
    expect(other.bind({ family: AF_UNIX, path: "" }, task)).toBe(0);
    expect(other.address.path).toMatch(/^\0[0-9a-f]{5}$/);
    expect(
      other.send(new BytesTransfer(Uint8Array.of(65)), { ...none, address: { family: AF_UNIX, path: "\0name" } }, task),
    ).toBe(1);
    const received = one.receive(new BytesTransfer(new Uint8Array(10)), 0, task) as Received;
    expect(received.address).toEqual(other.address);
    one.release();
    expect(other.connect({ family: AF_UNIX, path: "\0name" }, task)).toBe(-ECONNREFUSED);
  });
});

describe("addresses", () => {
  it("survive their layout", () => {
    for (const address of [
      inet(4, "10.1.2.3", 8080),
      inet(6, "2001:db8::1", 443),
      inet(6, "fe80::1", 1, 3),
      { family: AF_UNIX, path: "/tmp/s" } as const,
      { family: AF_UNIX, path: "\0abstract\0name" } as const,
    ]) {
      expect(decodeAddress(encodeAddress(address))).toEqual(address);
    }
  });

  it("are written in the shortest form", () => {
    for (const text of ["::", "::1", "1::", "2001:db8::1:0:0:1", "::ffff:1.2.3.4", "1:2:3:4:5:6:7:8", "fe80::a"]) {
      expect(formatV6(parseV6(text))).toBe(text);
    }
  });
});
