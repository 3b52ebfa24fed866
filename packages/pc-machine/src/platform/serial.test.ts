import { beforeEach, describe, expect, it } from "vitest";
import { SnapshotError } from "../ports.ts";
import { Serial } from "./serial.ts";

let line: boolean;
let input: number[];
let output: number[];
let room: number;
let serial: Serial;

const write = (register: number, value: number): void => serial.write(register, 1, value);
const read = (register: number): number => serial.read(register);
const cause = (): number => read(2) & 0x0f;
const type = (text: string): void => {
  input.push(...new TextEncoder().encode(text));
  serial.ready();
};

beforeEach(() => {
  line = false;
  input = [];
  output = [];
  room = Number.POSITIVE_INFINITY;
  serial = new Serial(
    "serial.1",
    { set: (level) => (line = level) },
    {
      read: () => input.shift() ?? -1,
      write: (byte) => {
        if (output.length >= room) return false;
        output.push(byte);
        return true;
      },
    },
  );
  write(4, 0x0b);
});

describe("Serial", () => {
  it("sends at once, and says that it has", () => {
    expect(read(5)).toBe(0x60);
    write(0, 0x41);
    expect(output).toEqual([0x41]);
    expect(line).toBe(false);
    write(1, 2);
    expect(line).toBe(true);
    expect(cause()).toBe(2);
    // Reading the cause is the acknowledgement.
    expect(line).toBe(false);
    expect(cause()).toBe(1);
    write(0, 0x42);
    expect(line).toBe(true);
  });

  it("keeps what the backend cannot take, and is not empty meanwhile", () => {
    write(2, 1);
    write(1, 2);
    read(2);
    room = 2;
    for (let byte = 0; byte < 10; byte++) write(0, byte);
    expect(output).toEqual([0, 1]);
    expect([read(5), line]).toEqual([0, false]);
    room = 100;
    serial.ready();
    expect(output).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect([read(5), line]).toEqual([0x60, true]);
  });

  it("does not send a byte twice when the backend calls back from within", () => {
    const sent: number[] = [];
    const port: Serial = new Serial(
      "serial.2",
      { set: () => {} },
      {
        read: () => -1,
        write: (byte) => {
          sent.push(byte);
          port.ready();
          return true;
        },
      },
    );
    port.write(0, 1, 7);
    expect(sent).toEqual([7]);
  });

  it("fetches as much as the FIFO takes, and leaves the rest to the backend", () => {
    write(2, 0x01);
    type("0123456789abcdefghij");
    expect(input).toHaveLength(4);
    expect(read(5) & 1).toBe(1);
    expect(read(0)).toBe(0x30);
    expect(input).toHaveLength(3);
  });

  it("interrupts at the trigger level, and with a time-out below it", () => {
    write(2, 0x81);
    write(1, 1);
    type("abc");
    expect([line, cause()]).toEqual([true, 0x0c]);
    type("defghi");
    expect(cause()).toBe(4);
    for (let index = 0; index < 9; index++) read(0);
    expect([line, cause()]).toEqual([false, 1]);
  });

  it("has one byte without FIFO", () => {
    type("xyz");
    expect(input).toHaveLength(2);
    expect(read(2) & 0xc0).toBe(0);
    write(2, 1);
    expect(read(2) & 0xc0).toBe(0xc0);
    expect([read(0), read(0)]).toEqual([0x79, 0x7a]);
  });

  it("connects the interrupt by OUT2", () => {
    write(4, 0);
    write(1, 1);
    type("a");
    expect(line).toBe(false);
    write(4, 8);
    expect(line).toBe(true);
  });

  it("loops back data and modem lines, which is how drivers find it", () => {
    write(4, 0x1a);
    expect(read(6) & 0xf0).toBe(0x90);
    write(4, 0x15);
    expect(read(6) & 0xf0).toBe(0x60);
    write(4, 0x10);
    expect(read(6)).toBe(0x06);
    write(0, 0x55);
    expect(output).toEqual([]);
    expect([read(5) & 1, read(0)]).toEqual([1, 0x55]);
    write(0, 1);
    write(0, 2);
    expect(read(5) & 2).toBe(2);
  });

  it("has a divisor behind the latch bit, and a scratch register", () => {
    write(3, 0x83);
    write(0, 1);
    write(1, 0);
    expect([read(0), read(1)]).toEqual([1, 0]);
    write(3, 0x03);
    write(7, 0xa5);
    expect([read(7), read(1), read(3)]).toEqual([0xa5, 0, 3]);
    expect(output).toEqual([]);
  });

  it("receives a break", () => {
    write(1, 4);
    serial.sendBreak();
    expect([line, cause()]).toEqual([true, 6]);
    expect(read(5) & 0x11).toBe(0x11);
    expect(line).toBe(false);
  });

  it("goes on where it was saved", () => {
    write(2, 1);
    write(1, 1);
    type("saved");
    const saved = serial.save();
    serial.reset();
    expect([line, read(5) & 1]).toEqual([false, 0]);
    serial.load(saved, 1);
    expect(serial.save()).toEqual(saved);
    expect([line, read(0)]).toEqual([true, 0x73]);
    expect(() => serial.load({ ...saved, received: new Uint8Array(17) }, 1)).toThrow(SnapshotError);
  });
});
