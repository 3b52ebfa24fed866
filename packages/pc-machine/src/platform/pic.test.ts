import { beforeEach, describe, expect, it } from "vitest";
import { SnapshotError } from "../ports.ts";
import { InterruptControllerPair } from "./pic.ts";

let output = false;
let pic: InterruptControllerPair;

/** As every PC does: vectors 0x20 and 0x28, the slave at input 2, 8086 mode. */
function initialise(word4 = 1): void {
  for (const [ports, base, cascade] of [
    [pic.master, 0x20, 4],
    [pic.slave, 0x28, 2],
  ] as const) {
    ports.write(0, 1, 0x11);
    ports.write(1, 1, base);
    ports.write(1, 1, cascade);
    ports.write(1, 1, word4);
  }
}

const raise = (input: number): void => pic.line(input).set(true);
const lower = (input: number): void => pic.line(input).set(false);
const pulse = (input: number): void => {
  raise(input);
  lower(input);
};
const command = (value: number): void => pic.master.write(0, 1, value);

beforeEach(() => {
  output = false;
  pic = new InterruptControllerPair({ set: (level) => (output = level) });
  initialise();
});

describe("InterruptControllerPair", () => {
  it("serves by priority, and holds up what is below", () => {
    raise(4);
    raise(1);
    expect(output).toBe(true);
    expect(pic.acknowledge()).toBe(0x21);
    expect(output).toBe(false);
    raise(0);
    expect(output).toBe(true);
    expect(pic.acknowledge()).toBe(0x20);
    command(0x20);
    expect(output).toBe(false);
    command(0x20);
    expect(pic.acknowledge()).toBe(0x24);
  });

  it("brings the slave's inputs through the master's third", () => {
    raise(12);
    expect(output).toBe(true);
    expect(pic.acknowledge()).toBe(0x2c);
    raise(10);
    // The slave asks, but the master still serves it.
    expect(output).toBe(false);
    pic.slave.write(0, 1, 0x20);
    command(0x62);
    expect(pic.acknowledge()).toBe(0x2a);
  });

  it("answers the seventh vector when what asked no longer does", () => {
    pulse(3);
    expect(output).toBe(false);
    expect(pic.acknowledge()).toBe(0x27);
    raise(2 + 8);
    lower(2 + 8);
    expect(output).toBe(false);
  });

  it("masks, and keeps what a masked input asked for", () => {
    pic.master.write(1, 1, 0x10);
    expect(pic.master.read(1, 1)).toBe(0x10);
    raise(4);
    expect(output).toBe(false);
    pic.master.write(1, 1, 0);
    expect(output).toBe(true);
  });

  it("wants a new edge of an edge-triggered input, and none of a level-triggered one", () => {
    raise(5);
    expect(pic.acknowledge()).toBe(0x25);
    command(0x20);
    expect(output).toBe(false);
    pic.edgeLevel.write(1, 1, 0xff);
    expect(pic.edgeLevel.read(1, 1)).toBe(0xde);
    raise(11);
    expect(pic.acknowledge()).toBe(0x2b);
    pic.slave.write(0, 1, 0x20);
    command(0x20);
    expect(output).toBe(true);
    lower(11);
    expect(output).toBe(false);
  });

  it("shows requests and what is being served", () => {
    raise(1);
    raise(6);
    pic.acknowledge();
    expect(pic.master.read(0, 1)).toBe(0x40);
    command(0x0b);
    expect(pic.master.read(0, 1)).toBe(0x02);
    command(0x0a);
    expect(pic.master.read(0, 1)).toBe(0x40);
  });

  it("rotates, so that who was served waits longest", () => {
    raise(0);
    pic.acknowledge();
    command(0xa0);
    lower(0);
    raise(0);
    raise(7);
    expect(pic.acknowledge()).toBe(0x27);
    command(0xe7);
    expect(pic.acknowledge()).toBe(0x20);
  });

  it("ends by itself when told so", () => {
    initialise(3);
    raise(1);
    expect(pic.acknowledge()).toBe(0x21);
    raise(4);
    expect(output).toBe(true);
  });

  it("lets lower priorities through in special mask mode", () => {
    raise(1);
    pic.acknowledge();
    raise(4);
    pic.master.write(1, 1, 0x02);
    expect(output).toBe(false);
    command(0x68);
    expect(output).toBe(true);
  });

  it("is polled", () => {
    raise(3);
    command(0x0c);
    expect(pic.master.read(0, 1)).toBe(0x83);
    expect(output).toBe(false);
    command(0x0c);
    expect(pic.master.read(0, 1)).toBe(0);
  });

  it("goes on where it was saved", () => {
    raise(1);
    pic.acknowledge();
    raise(0);
    const saved = pic.save();
    const other = new InterruptControllerPair({ set: () => {} });
    other.load(saved, 1);
    expect(other.save()).toEqual(saved);
    expect(other.acknowledge()).toBe(0x20);
    expect(() => other.load({ ...saved, slave: null }, 1)).toThrow(SnapshotError);
    pic.reset();
    expect(output).toBe(false);
  });
});
