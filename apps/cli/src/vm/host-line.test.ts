import { PassThrough, Writable } from "node:stream";
import { describe, expect, it } from "vitest";
import { consolePort, HostLine, serialBackend } from "./host-line.ts";

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("a line out of a machine", () => {
  it("brings input to a serial port, byte by byte, and stops its source while much waits", () => {
    const line = new HostLine();
    const throttled: boolean[] = [];
    line.onThrottle = (isFull) => throttled.push(isFull);
    const backend = serialBackend(line);
    expect(backend.read()).toBe(-1);
    line.give(Buffer.from("ab"));
    expect([backend.read(), backend.read(), backend.read()]).toEqual([0x61, 0x62, -1]);
    line.give(new Uint8Array(100_000));
    expect(throttled).toEqual([true]);
    for (let count = 0; count < 100_000; count++) expect(backend.read()).toBe(0);
    expect([throttled, backend.read()]).toEqual([[true, false], -1]);
  });

  it("writes what is sent at once in one piece, and loses it without an end", async () => {
    const line = new HostLine();
    const backend = serialBackend(line);
    expect(backend.write(0x78)).toBe(true);
    const sink = new PassThrough();
    line.connect(sink);
    const pieces: string[] = [];
    sink.on("data", (piece: Uint8Array) => pieces.push(text(piece)));
    for (const byte of Buffer.from("hello")) backend.write(byte);
    await turn();
    await turn();
    expect(pieces).toEqual(["hello"]);
  });

  it("refuses what the host's end does not take, and says when it does again", async () => {
    const line = new HostLine();
    let ready = 0;
    line.onReady = () => ready++;
    let release = (): void => {};
    const sink = new Writable({ write: (_chunk, _encoding, done) => (release = done) });
    line.connect(sink);
    let sent = 0;
    for (let taken = 1; taken > 0; sent += taken) taken = line.write(new Uint8Array(1000));
    expect(sent).toBe(65_536);
    await turn();
    expect(line.write(Uint8Array.of(1))).toBe(0);
    expect(ready).toBe(0);
    release();
    await turn();
    await turn();
    expect(ready).toBeGreaterThan(0);
    expect(line.write(Uint8Array.of(1))).toBe(1);
  });

  it("gives a console as much as it has room for", () => {
    const line = new HostLine();
    const port = consolePort(line);
    let room = 2;
    let got = "";
    port.attach({
      ready: () => {},
      receive: (data) => {
        const taken = data.subarray(0, room);
        room -= taken.length;
        got += text(taken);
        return taken.length;
      },
    });
    line.give(Buffer.from("abcd"));
    expect(got).toBe("ab");
    room = 5;
    port.receivable();
    expect(got).toBe("abcd");
  });
});
