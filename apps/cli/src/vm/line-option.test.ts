import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openLine, parseLineOption } from "./line-option.ts";
import { openLines } from "./lines.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "doppel-line-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("--serial and --console", () => {
  it("name the terminal, nothing, an address or a file", () => {
    expect(parseLineOption("--serial", "stdio")).toEqual({ to: "stdio" });
    expect(parseLineOption("--serial", "none")).toEqual({ to: "none" });
    expect(parseLineOption("--serial", "tcp:127.0.0.1:4000")).toEqual({
      to: "socket",
      address: { host: "127.0.0.1", port: 4000 },
    });
    expect(parseLineOption("--serial", "unix:/run/line")).toEqual({ to: "socket", address: { path: "/run/line" } });
    expect(parseLineOption("--serial", "./stdio")).toEqual({ to: "file", path: "./stdio" });
  });

  it.each([
    ["", /is stdio, none/],
    ["tcp:4000", /tcp:4000 is no address/],
    ["tcp:host:99999", /is no address/],
    ["unix:", /is no address/],
  ])("refuse %j", (value, message) => {
    expect(() => parseLineOption("--serial", value)).toThrow(message);
  });

  it("cannot both have the terminal, and fail where nothing can be opened", async () => {
    await expect(openLines({ serial: "stdio", console: "stdio" }, () => {})).rejects.toThrow(/cannot both be stdio/);
    await expect(openLines({ serial: "/nowhere/at/all" }, () => {})).rejects.toThrow(/no such file or directory/);
  });

  it("keep what the guest sends in a file", async () => {
    const path = join(folder, "out");
    const { line, close } = await openLine("--serial", { to: "file", path }, () => {});
    line.write(Buffer.from("first "));
    line.write(Buffer.from("second"));
    await close();
    expect(readFileSync(path, "latin1")).toBe("first second");
  });

  it("let one at a time connect", async () => {
    const path = join(folder, "line");
    const notes: string[] = [];
    const { line, close } = await openLine("--serial", { to: "socket", address: { path } }, (note) => notes.push(note));
    expect(notes).toEqual([`--serial: waiting at ${path}`]);
    const here = connect(path);
    const received = new Promise<string>((resolve) => {
      here.once("data", (bytes: Buffer) => resolve(bytes.toString()));
    });
    const given = new Promise<void>((resolve) => {
      line.onReady = () => line.peek().length > 0 && resolve();
    });
    here.write("in");
    await given;
    expect(Buffer.from(line.peek()).toString()).toBe("in");
    line.write(Buffer.from("out"));
    expect(await received).toBe("out");
    const other = connect(path);
    const refusal = new Promise<string>((resolve) => {
      other.once("data", (bytes: Buffer) => resolve(bytes.toString()));
    });
    expect(await refusal).toBe("another is connected\r\n");
    other.destroy();
    here.destroy();
    await close();
  });
});
