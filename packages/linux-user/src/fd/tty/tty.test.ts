import { beforeEach, describe, expect, it } from "vitest";
import { SIGINT, SIGQUIT, SIGTSTP } from "../../kernel/signal-info.ts";
import { EAGAIN, EIO } from "../../kernel/errno.ts";
import { O_RDWR } from "../../vfs/constants.ts";
import { POLLHUP, POLLIN } from "../open-file.ts";
import { BytesTransfer } from "../transfer.ts";
import { LineDiscipline } from "./line-discipline.ts";
import { OutputProcessor } from "./output.ts";
import {
  decodeTermios,
  defaultTermios,
  ECHO,
  encodeTermios,
  ICANON,
  IUTF8,
  OPOST,
  TABDLY,
  VMIN,
  VTIME,
  XTABS,
  type Termios,
} from "./termios.ts";
import { Pty, PtyMasterFile } from "./tty-file.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

describe("the line discipline", () => {
  let echoed: string;
  let signals: number[];
  let discipline: LineDiscipline;
  beforeEach(() => {
    echoed = "";
    signals = [];
    discipline = new LineDiscipline({
      echo: (bytes) => (echoed += decoder.decode(bytes)),
      signal: (signal) => signals.push(signal),
      flow: () => {},
      flushOutput: () => {},
    });
  });

  function type(text: string): void {
    discipline.receive(encoder.encode(text));
  }

  /** -1 when a read would wait. */
  function read(count = 100): string | number {
    const buffer = new Uint8Array(count);
    const got = discipline.read(new BytesTransfer(buffer), false);
    return got < 0 ? got : decoder.decode(buffer.subarray(0, got));
  }

  function raw(min: number, time: number): void {
    const termios: Termios = { ...defaultTermios(), localFlags: 0, characters: defaultTermios().characters.slice() };
    termios.characters[VMIN] = min;
    termios.characters[VTIME] = time;
    discipline.setTermios(termios);
  }

  it("gives lines one at a time, and only when they are complete", () => {
    type("one");
    expect(read()).toBe(-1);
    type("\rtwo\n");
    expect(read(2)).toBe("on");
    expect(read()).toBe("e\n");
    expect(read()).toBe("two\n");
    expect(echoed).toBe("one\ntwo\n");
  });

  it("erases characters, words and lines", () => {
    type("helo\x7flo\n");
    expect(read()).toBe("hello\n");
    expect(echoed).toBe("helo\b \blo\n");
    type("first second\x17third\n");
    expect(read()).toBe("first third\n");
    type("rubbish\x15kept\n");
    expect(read()).toBe("kept\n");
    type("gr\u00fc\x7f\u00f6\n");
    expect(read()).toBe("gr\u00f6\n");
  });

  it("erases a byte at a time without IUTF8", () => {
    discipline.setTermios({ ...defaultTermios(), inputFlags: defaultTermios().inputFlags & ~IUTF8 });
    discipline.receive(Uint8Array.of(0xc3, 0xbc, 0x7f, 0x0a));
    const buffer = new Uint8Array(10);
    expect(discipline.read(new BytesTransfer(buffer), false)).toBe(2);
    expect([...buffer.subarray(0, 2)]).toEqual([0xc3, 10]);
  });

  it("ends input at control-D: at once on an empty line, else with what is typed", () => {
    type("part\x04");
    expect(read()).toBe("part");
    type("\x04");
    expect(read()).toBe("");
  });

  it("makes signals, shows them, and forgets the line", () => {
    type("abc\x03\x1c\x1adef\n");
    expect(signals).toEqual([SIGINT, SIGQUIT, SIGTSTP]);
    expect(echoed).toBe("abc^C^\\^Zdef\n");
    expect(read()).toBe("def\n");
  });

  it("takes the next character literally after control-V", () => {
    type("a\x16\x03b\n");
    expect(signals).toEqual([]);
    expect(read()).toBe("a\x03b\n");
    expect(echoed).toBe("a^\b^Cb\n");
  });

  it("reads raw bytes by VMIN and VTIME", () => {
    raw(3, 0);
    type("ab");
    expect(read()).toBe(-1);
    expect(discipline.isReadable).toBe(false);
    type("\x03");
    expect(read()).toBe("ab\x03");
    raw(0, 0);
    expect(read()).toBe("");
    raw(0, 5);
    expect(read()).toBe(-1);
    expect(discipline.readTimeoutNs).toBe(500_000_000);
    expect(echoed).toBe("");
  });

  it("keeps what was typed across a change of mode", () => {
    type("line\nhalf");
    raw(1, 0);
    expect(read()).toBe("line\nhalf");
  });
});

describe("output processing", () => {
  it("turns newlines to return and newline, and tabs to spaces when told", () => {
    const output = new OutputProcessor();
    const termios = defaultTermios();
    const run = (text: string): string => decoder.decode(output.process(encoder.encode(text), termios));
    expect(run("a\nb")).toBe("a\r\nb");
    termios.outputFlags = (termios.outputFlags & ~TABDLY) | XTABS;
    expect(run("\tc")).toBe("       c");
    termios.outputFlags &= ~OPOST;
    expect(run("x\n\t")).toBe("x\n\t");
  });
});

describe("termios", () => {
  it("survives its layout", () => {
    const termios = { ...defaultTermios(), localFlags: ICANON | ECHO, outputSpeed: 115200 };
    expect(decodeTermios(encodeTermios(termios, true), defaultTermios())).toEqual(termios);
    expect(encodeTermios(termios, false)).toHaveLength(36);
  });
});

describe("a pseudoterminal", () => {
  it("carries lines and echo, and hangs up at either end", () => {
    const pty = new Pty(0, 0);
    let released = false;
    const master = new PtyMasterFile(
      pty,
      O_RDWR,
      () => (released = true),
      () => 0,
    );
    expect(pty.openSlave(O_RDWR)).toBe(-EIO);
    pty.locked = false;
    const slave = pty.openSlave(O_RDWR);
    if (typeof slave === "number") throw new Error("no slave");
    const task = { process: { session: { terminal: null } } } as never;
    const readAll = (file: { read(into: BytesTransfer, task: never): number }): string | number => {
      const buffer = new Uint8Array(1000);
      const count = file.read(new BytesTransfer(buffer), task);
      return count < 0 ? count : decoder.decode(buffer.subarray(0, count));
    };
    master.write(new BytesTransfer(encoder.encode("hi\r")));
    expect(readAll(master)).toBe("hi\r\n");
    expect(readAll(slave)).toBe("hi\n");
    expect(slave.write(new BytesTransfer(encoder.encode("out\n")), task)).toBe(4);
    expect(readAll(master)).toBe("out\r\n");
    expect(readAll(master)).toBe(-EAGAIN);
    slave.release();
    expect(readAll(master)).toBe(-EIO);
    expect(master.poll() & POLLHUP).toBe(POLLHUP);
    const again = pty.openSlave(O_RDWR);
    if (typeof again === "number") throw new Error("no slave");
    master.release();
    expect(released).toBe(true);
    expect(again.poll() & (POLLHUP | POLLIN)).toBe(POLLHUP | POLLIN);
    expect(readAll(again)).toBe("");
    expect(again.write(new BytesTransfer(encoder.encode("x")), task)).toBe(-EIO);
  });
});
