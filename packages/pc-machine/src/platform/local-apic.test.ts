import { beforeEach, describe, expect, it } from "vitest";
import { SnapshotError } from "../ports.ts";
import { SystemBus } from "./bus.ts";
import { InterruptMessages } from "./interrupt-messages.ts";
import { LocalApic } from "./local-apic.ts";
import { SteppedClock } from "./machine-clock.ts";
import { TimeStampCounter } from "./time-stamp-counter.ts";

const base = 0xfee00000;
const masked = 0x10000;

let clock: SteppedClock;
let bus: SystemBus;
let messages: InterruptMessages;
let tsc: TimeStampCounter;
let apic: LocalApic;
let events: string[];
let ended: number[];

function newApic(apicId: number): LocalApic {
  return new LocalApic({
    apicId,
    bus,
    clock,
    tsc,
    messages,
    processor: {
      interruptsChanged: () => {},
      nonMaskableInterrupt: () => events.push(`nmi ${apicId}`),
      init: () => events.push(`init ${apicId}`),
      startUp: (vector) => events.push(`start-up ${apicId} ${vector}`),
    },
    endOfInterrupt: (vector) => ended.push(vector),
    acknowledgeExternal: () => 0x77,
    timerHz: 1e9,
  });
}

const write = (offset: number, value: number): void => bus.writeMemory(base + offset, 4, value);
const read = (offset: number): number => bus.readMemory(base + offset, 4);
const interrupt = (vector: number, level = false): void => messages.deliver(base, vector | (level ? 0x8000 : 0));
const end = (): void => write(0xb0, 0);
/** Takes all that is pending, in order, ending each. */
function serveAll(): number[] {
  const vectors: number[] = [];
  for (let vector = apic.acknowledge(); vector >= 0; vector = apic.acknowledge()) {
    vectors.push(vector);
    end();
  }
  return vectors;
}

beforeEach(() => {
  clock = new SteppedClock();
  bus = new SystemBus();
  messages = new InterruptMessages();
  tsc = new TimeStampCounter(clock, 2_000_000_000);
  events = [];
  ended = [];
  apic = newApic(0);
  write(0xf0, 0x1ff);
});

describe("LocalApic: interrupts", () => {
  it("accepts nothing while it is off", () => {
    write(0xf0, 0xff);
    interrupt(0x40);
    expect(apic.pending()).toBe(false);
    expect(read(0x350)).toBe(masked);
    write(0x350, 0x700);
    expect(read(0x350)).toBe(masked | 0x700);
  });

  it("serves the highest vector first and nothing of its class or below meanwhile", () => {
    for (const vector of [0x31, 0x52, 0x51]) interrupt(vector);
    expect(read(0x210)).toBe(0x20000);
    expect(apic.acknowledge()).toBe(0x52);
    expect(read(0xa0)).toBe(0x50);
    expect(read(0x120)).toBe(0x40000);
    expect(apic.pending()).toBe(false);
    interrupt(0x60);
    expect(apic.acknowledge()).toBe(0x60);
    end();
    expect(apic.pending()).toBe(false);
    end();
    expect(serveAll()).toEqual([0x51, 0x31]);
  });

  it("holds up what the task priority does not let through; CR8 is its upper half", () => {
    write(0x80, 0x45);
    expect(apic.taskPriority).toBe(4);
    interrupt(0x4f);
    expect(apic.pending()).toBe(false);
    expect(read(0xa0)).toBe(0x45);
    apic.taskPriority = 3;
    expect(read(0x80)).toBe(0x30);
    expect(apic.acknowledge()).toBe(0x4f);
  });

  it("tells the IO-APICs of the end of level-triggered ones only", () => {
    interrupt(0x41, true);
    interrupt(0x61);
    expect(read(0x1a0)).toBe(2);
    expect(serveAll()).toEqual([0x61, 0x41]);
    expect(ended).toEqual([0x41]);
  });

  it("records vectors that do not exist", () => {
    write(0x370, 0xf3);
    interrupt(0x0f);
    expect(read(0x280)).toBe(0);
    write(0x280, 0);
    expect(read(0x280)).toBe(0x40);
    expect(serveAll()).toEqual([0xf3]);
    write(0x280, 0);
    expect(read(0x280)).toBe(0);
  });

  it("passes interrupts of the PICs through LINT0, and NMI through LINT1, as firmware sets it up", () => {
    apic.lint0.set(true);
    expect(apic.pending()).toBe(false);
    apic.enterVirtualWireMode();
    expect(apic.pending()).toBe(true);
    expect(apic.acknowledge()).toBe(0x77);
    apic.lint0.set(false);
    expect(apic.pending()).toBe(false);
    apic.lint1.set(true);
    expect(events).toEqual(["nmi 0"]);
  });

  it("lets interrupts of the PICs past when it is disabled altogether", () => {
    apic.lint0.set(true);
    expect(apic.writeMsr(0x1b, 0xfee00100n)).toBe(true);
    expect(apic.pending()).toBe(true);
    expect(read(0x30)).toBe(0xffffffff);
  });
});

describe("LocalApic: messages between processors", () => {
  const command = (low: number, destination: number): void => {
    write(0x310, destination << 24);
    write(0x300, low);
  };

  it("sends to a physical or logical destination, to itself, to all, to the others", () => {
    const others = [newApic(1), newApic(2)];
    for (const [index, other] of others.entries()) {
      other.write(0xf0, 4, 0x1ff);
      other.write(0xd0, 4, (2 << index) << 24);
    }
    const pending = (): string => [apic, ...others].map((each) => each.acknowledge()).join(" ");
    command(0x40, 2);
    expect(pending()).toBe("-1 -1 64");
    command(0x50 | 0x800, 6);
    expect(pending()).toBe("-1 80 80");
    command(0x60 | 0x40000, 0);
    expect(pending()).toBe("96 -1 -1");
    command(0x70 | 0x80000, 0);
    expect(pending()).toBe("112 112 112");
    command(0x80 | 0xc0000, 0);
    expect(pending()).toBe("-1 128 128");
    command(0x90 | 0x100, 0xff);
    expect(pending()).toBe("144 -1 -1");
    for (const low of [0x4500, 0x608, 0x400]) command(low, 1);
    expect(events).toEqual(["init 1", "start-up 1 8", "nmi 1"]);
  });

  it("matches clusters", () => {
    write(0xe0, 0x0fffffff);
    write(0xd0, 0x32000000);
    expect([0x32, 0x33, 0x31, 0x22, 0xff].map((to) => apic.matches(to, true))).toEqual([
      true,
      true,
      false,
      false,
      true,
    ]);
  });

  it("refuses to send vectors that do not exist", () => {
    command(0x40000 | 7, 0);
    write(0x280, 0);
    expect(read(0x280)).toBe(0x20);
  });
});

describe("LocalApic: timer", () => {
  it("counts down once", () => {
    write(0x320, 0x30);
    write(0x3e0, 0x3);
    expect(read(0x3e0)).toBe(3);
    write(0x380, 100);
    clock.advance(16 * 40);
    expect(read(0x390)).toBe(60);
    expect(apic.pending()).toBe(false);
    clock.advance(16 * 60);
    expect(read(0x390)).toBe(0);
    expect(serveAll()).toEqual([0x30]);
    clock.advance(10_000);
    expect(apic.pending()).toBe(false);
  });

  it("counts down again and again, until its count is zeroed", () => {
    write(0x320, 0x20030);
    write(0x3e0, 0xb);
    write(0x380, 1000);
    clock.advance(1000);
    expect(serveAll()).toEqual([0x30]);
    clock.advance(2500);
    // Two periods that nobody looked at are one interrupt.
    expect(serveAll()).toEqual([0x30]);
    expect(read(0x390)).toBe(500);
    write(0x380, 0);
    clock.advance(5000);
    expect(apic.pending()).toBe(false);
    expect(clock.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
  });

  it("is masked, but counts", () => {
    write(0x320, masked | 0x30);
    write(0x3e0, 0xb);
    write(0x380, 1000);
    clock.advance(400);
    expect(read(0x390)).toBe(600);
    clock.advance(1000);
    expect(apic.pending()).toBe(false);
  });

  it("waits for a time-stamp", () => {
    apic.writeMsr(0x6e0, 5000n);
    expect(apic.readMsr(0x6e0)).toBe(0n);
    write(0x320, 0x40030);
    apic.writeMsr(0x6e0, 5000n);
    expect(apic.readMsr(0x6e0)).toBe(5000n);
    clock.advance(2499);
    expect(apic.pending()).toBe(false);
    clock.advance(1);
    expect(serveAll()).toEqual([0x30]);
    expect(apic.readMsr(0x6e0)).toBe(0n);
    // One that has passed is due at once; zero disarms.
    apic.writeMsr(0x6e0, 1n);
    clock.advance(0);
    expect(serveAll()).toEqual([0x30]);
    apic.writeMsr(0x6e0, 9000n);
    apic.writeMsr(0x6e0, 0n);
    clock.advance(100_000);
    expect(apic.pending()).toBe(false);
  });
});

describe("LocalApic: registers", () => {
  it("has an id, a version, and nothing between", () => {
    expect([read(0x20), read(0x30)]).toEqual([0, 0x50014]);
    expect(read(0x40)).toBe(0);
    write(0x280, 0);
    expect(read(0x280)).toBe(0x80);
    expect(bus.readMemory(base + 0x32, 2)).toBe(5);
    expect(bus.readMemory(base + 0x34, 4)).toBe(0);
  });

  it("moves with IA32_APIC_BASE", () => {
    expect(apic.readMsr(0x1b)).toBe(0xfee00900n);
    expect(apic.writeMsr(0x1b, 0xfed80900n)).toBe(true);
    expect(read(0x30)).toBe(0xffffffff);
    expect(bus.readMemory(0xfed80030, 4)).toBe(0x50014);
    expect(apic.writeMsr(0x1b, 0xfee00901n)).toBe(false);
    expect(apic.writeMsr(0x1b, 0xfee00500n)).toBe(false);
  });

  it("becomes an x2APIC", () => {
    expect(apic.readMsr(0x803)).toBeUndefined();
    expect(apic.writeMsr(0x1b, 0xfee00d00n)).toBe(true);
    expect(read(0x30)).toBe(0xffffffff);
    expect(apic.readMsr(0x803)).toBe(0x50014n);
    expect(apic.readMsr(0x80d)).toBe(1n);
    expect(apic.writeMsr(0x80f, 0x1ffn)).toBe(true);
    expect(apic.writeMsr(0x83f, 0x45n)).toBe(true);
    expect(apic.writeMsr(0x830, 0x46n)).toBe(true);
    expect(apic.readMsr(0x822)).toBe(0x60n);
    expect(apic.acknowledge()).toBe(0x46);
    expect(apic.writeMsr(0x80b, 1n)).toBe(false);
    expect(apic.writeMsr(0x80b, 0n)).toBe(true);
    expect(apic.acknowledge()).toBe(0x45);
    expect(apic.writeMsr(0x802, 1n)).toBe(false);
    expect(apic.readMsr(0x80e)).toBeUndefined();
    expect(apic.writeMsr(0x1b, 0xfee00900n)).toBe(false);
    expect(apic.writeMsr(0x1b, 0xfee00100n)).toBe(true);
    expect(apic.writeMsr(0x1b, 0xfee00900n)).toBe(true);
    expect(read(0xf0)).toBe(0xff);
  });

  it("goes on where it was saved", () => {
    interrupt(0x52, true);
    interrupt(0x31);
    apic.acknowledge();
    write(0x320, 0x20030);
    write(0x3e0, 0xb);
    write(0x380, 1000);
    clock.advance(300);
    const saved = apic.save();
    apic.reset();
    expect(clock.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
    apic.load(saved, 1);
    expect(apic.save()).toEqual(saved);
    end();
    expect(ended).toEqual([0x52]);
    expect(serveAll()).toEqual([0x31]);
    clock.advance(700);
    expect(serveAll()).toEqual([0x30]);
    expect(() => apic.load({ ...saved, pins: [true] }, 1)).toThrow(SnapshotError);
    expect(() => apic.load({ ...saved, countStart: Number.NaN }, 1)).toThrow(SnapshotError);
  });
});

describe("TimeStampCounter", () => {
  it("counts the machine's time from what was written", () => {
    clock.advance(1000);
    expect(tsc.read()).toBe(2000n);
    tsc.write(10n);
    clock.advance(5);
    expect(tsc.read()).toBe(20n);
    expect(tsc.timeOf(30n)).toBe(1010);
    const saved = tsc.save();
    tsc.reset();
    expect(tsc.read()).toBe(0n);
    tsc.load(saved, 1);
    expect(tsc.read()).toBe(20n);
  });
});
