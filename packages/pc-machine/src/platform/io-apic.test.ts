import { beforeEach, describe, expect, it } from "vitest";
import { InterruptMessages } from "./interrupt-messages.ts";
import type { InterruptMessage } from "./interrupt-messages.ts";
import { IoApic } from "./io-apic.ts";

let sent: InterruptMessage[] = [];
let ioApic: IoApic;

const masked = 1 << 16;
const level = 1 << 15;

function select(register: number): void {
  ioApic.write(0, 4, register);
}

function program(pin: number, low: number, high = 0): void {
  select(0x11 + 2 * pin);
  ioApic.write(0x10, 4, high);
  select(0x10 + 2 * pin);
  ioApic.write(0x10, 4, low);
}

function lowOf(pin: number): number {
  select(0x10 + 2 * pin);
  return ioApic.read(0x10, 4);
}

const vectors = (): number[] => sent.map(({ vector }) => vector);

beforeEach(() => {
  sent = [];
  const messages = new InterruptMessages();
  messages.connect({ matches: () => true, arbitrationPriority: () => 0, receive: (message) => sent.push(message) });
  ioApic = new IoApic(messages);
});

describe("IoApic", () => {
  it("has 24 masked inputs after power-on", () => {
    select(1);
    expect(ioApic.read(0x10, 4)).toBe(0x00170020);
    for (let pin = 0; pin < 24; pin++) expect(lowOf(pin)).toBe(masked);
    select(0);
    ioApic.write(0x10, 4, 0xff000000);
    expect(ioApic.read(0x10, 4)).toBe(0x0f000000);
  });

  it("sends the entry's message on the edge, and forgets edges while masked", () => {
    program(4, 0x34 | (1 << 11), 0x03000000);
    ioApic.line(4).set(true);
    ioApic.line(4).set(true);
    expect(sent).toEqual([{ vector: 0x34, mode: 0, destination: 3, logical: true, level: false }]);
    ioApic.line(4).set(false);
    program(4, 0x34 | masked);
    ioApic.line(4).set(true);
    program(4, 0x34);
    expect(sent).toHaveLength(1);
  });

  it("sends a level again after its end, as long as the line is up", () => {
    program(16, 0x51 | level);
    ioApic.line(16).set(true);
    expect(vectors()).toEqual([0x51]);
    expect(lowOf(16) & 0x4000).toBe(0x4000);
    ioApic.endOfInterrupt(0x50);
    expect(sent).toHaveLength(1);
    ioApic.endOfInterrupt(0x51);
    expect(vectors()).toEqual([0x51, 0x51]);
    ioApic.line(16).set(false);
    ioApic.write(0x40, 4, 0x51);
    expect(sent).toHaveLength(2);
    expect(lowOf(16) & 0x4000).toBe(0);
  });

  it("sends a level that came while masked when it is unmasked", () => {
    program(20, 0x60 | level | masked);
    ioApic.line(20).set(true);
    expect(sent).toEqual([]);
    program(20, 0x60 | level);
    expect(vectors()).toEqual([0x60]);
    // Masking and unmasking while it is served sends nothing more.
    program(20, 0x60 | level | masked);
    program(20, 0x60 | level);
    expect(sent).toHaveLength(1);
  });

  it("goes on where it was saved", () => {
    program(9, 0x41 | level);
    ioApic.line(9).set(true);
    const other = new IoApic(new InterruptMessages());
    other.load(ioApic.save(), 1);
    expect(other.save()).toEqual(ioApic.save());
    ioApic.reset();
    expect(lowOf(9)).toBe(masked);
  });
});
