import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SnapshotError } from "../ports.ts";
import type { GuestMemory, Stateful, StateRecord, StateValue } from "../ports.ts";
import { deflate } from "./compression.ts";
import { RecordReader } from "./record-reader.ts";
import { loadSnapshot, saveSnapshot, snapshotMemory } from "./snapshot.ts";
import type { SnapshotMachine } from "./snapshot.ts";
import { decodeState, encodeState } from "./state-codec.ts";

const pages = 600;

class Part implements Stateful {
  readonly id: string;
  readonly version: number;
  state: StateRecord;
  constructor(id: string, version: number, state: StateRecord) {
    this.id = id;
    this.version = version;
    this.state = state;
  }
  save(): StateRecord {
    return this.state;
  }
  load(record: StateRecord, version: number): void {
    new RecordReader(this.id, record, { found: version, known: this.version }).integer("count", 0, 1000);
    this.state = record;
  }
}

interface Machine extends SnapshotMachine {
  readonly ram: Uint8Array;
  readonly parts: Part[];
}

function newMachine(ramPages: number = pages): Machine {
  const ram = new Uint8Array(ramPages * 4096);
  const memory: GuestMemory = {
    ramBytes: ram.length,
    view: (address, length) => ram.subarray(address, address + length),
    write: (address, data) => {
      if (address + data.length > ram.length) return false;
      ram.set(data, address);
      return true;
    },
  };
  return {
    memory,
    ram,
    parts: [new Part("pit", 1, { count: 1 }), new Part("rtc", 3, { count: 2, list: [1n, -5n, "x", null, true] })],
  };
}

async function saved(machine: Machine): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  await saveSnapshot(machine, deflate, (bytes) => {
    pieces.push(bytes.slice());
    return Promise.resolve();
  });
  return new Uint8Array(Buffer.concat(pieces));
}

async function* inPieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  await Promise.resolve();
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const load = (machine: Machine, bytes: Uint8Array, size = 1000): Promise<void> =>
  loadSnapshot(machine, inPieces(bytes, size), { compressions: [deflate] });

/** A machine of which some pages have something in them. */
function usedMachine(): Machine {
  const machine = newMachine();
  for (let page = 0; page < pages; page += page < 300 ? 1 : 37)
    machine.ram.fill(page & 0xff || 1, page * 4096 + 5, page * 4096 + 99);
  machine.parts[0].state = { count: 77, bytes: Uint8Array.of(1, 2, 3), nested: { deep: [{ n: 0.5 }] } };
  return machine;
}

/** The class of what is thrown. */
function refusal(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return (error as object).constructor;
  }
  return undefined;
}

describe("saved states", () => {
  const value: fc.Arbitrary<StateValue> = fc.letrec<{ value: StateValue }>((tie) => ({
    value: fc.oneof(
      { depthSize: "small" },
      fc.constant(null),
      fc.boolean(),
      fc.double({ noDefaultInfinity: true, noNaN: true }),
      fc.bigInt(),
      fc.string({ unit: "grapheme" }),
      fc.uint8Array(),
      fc.array(tie("value")),
      fc.dictionary(fc.string(), tie("value"), { noNullPrototype: true }),
    ),
  })).value;

  it("are the same after encoding and decoding", () => {
    fc.assert(
      fc.property(value, (state) => {
        expect(decodeState(encodeState(state))).toEqual(state);
      }),
    );
    expect(Object.hasOwn(decodeState(encodeState(JSON.parse('{"__proto__":1}'))) as object, "__proto__")).toBe(true);
  });

  it("are refused, and nothing else, when the bytes are any others", () => {
    fc.assert(
      fc.property(value, fc.nat(), fc.nat({ max: 255 }), (state, at, byte) => {
        const bytes = encodeState(state);
        expect(() => decodeState(bytes.subarray(0, at % bytes.length))).toThrow(SnapshotError);
        bytes[at % bytes.length] = byte;
        expect([undefined, SnapshotError]).toContain(refusal(() => decodeState(bytes)));
      }),
    );
    expect(() => decodeState(new Uint8Array(100).fill(7))).toThrow(SnapshotError);
    expect(() => encodeState(Number.NaN)).toThrow(RangeError);
  });
});

describe("snapshots", () => {
  it("bring back parts and memory", async () => {
    const machine = usedMachine();
    const bytes = await saved(machine);
    expect(bytes.length).toBeLessThan(machine.ram.length / 10);
    expect(await snapshotMemory(inPieces(bytes, 100))).toBe(machine.ram.length);
    for (const size of [1, 4096, bytes.length]) {
      const other = newMachine();
      await load(other, bytes, size);
      expect(other.parts).toEqual(machine.parts);
      expect(Buffer.compare(other.ram, machine.ram)).toBe(0);
    }
  });

  it("make zero what was zero", async () => {
    const bytes = await saved(usedMachine());
    const other = newMachine();
    other.ram.fill(0xcc);
    await load(other, bytes);
    expect(Buffer.compare(other.ram, usedMachine().ram)).toBe(0);
  });

  it("are refused when any byte is another, or any is missing", async () => {
    const bytes = await saved(usedMachine());
    const inHeader = fc.nat({ max: 400 });
    const anywhere = fc.nat({ max: bytes.length - 1 });
    await fc.assert(
      fc.asyncProperty(fc.oneof(inHeader, anywhere), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        const damaged = bytes.slice();
        damaged[at] ^= flip;
        const machine = newMachine();
        await expect(load(machine, damaged)).rejects.toThrow(SnapshotError);
        await expect(load(machine, bytes.subarray(0, at))).rejects.toThrow(SnapshotError);
        // The parts have not been touched.
        expect(machine.parts).toEqual(newMachine().parts);
      }),
      { numRuns: 60 },
    );
    await expect(load(newMachine(), Uint8Array.of(...bytes, 0))).rejects.toThrow("follows the end");
  });

  it("are refused by machines that are made differently, which say how", async () => {
    const bytes = await saved(usedMachine());
    const complaint = async (change: (machine: Machine) => Machine): Promise<string> => {
      try {
        await load(change(newMachine()), bytes);
      } catch (error) {
        if (error instanceof SnapshotError) return error.message;
      }
      return "";
    };
    expect(await complaint(() => newMachine(pages * 2))).toMatch(/has 2\.34375 MiB of memory, this one 4\.6875 MiB/);
    const part = new Part("net", 1, {});
    expect(await complaint((machine) => ({ ...machine, parts: [...machine.parts, part] }))).toMatch(
      "this machine has net",
    );
    expect(await complaint((machine) => ({ ...machine, parts: [machine.parts[0]] }))).toMatch(
      "the saved machine has rtc",
    );
    const newer = (machine: Machine): Machine => ({ ...machine, parts: [machine.parts[0], new Part("rtc", 4, {})] });
    expect(await complaint(newer)).toMatch("rtc: saved by version 3, this is version 4");
    await expect(loadSnapshot(newMachine(), inPieces(bytes, 99), { compressions: [] })).rejects.toThrow("deflate");
  });

  it("fail when they cannot be written", async () => {
    const full = (): Promise<void> => Promise.reject(new Error("no space left"));
    await expect(saveSnapshot(usedMachine(), deflate, full)).rejects.toThrow("no space left");
  });
});
