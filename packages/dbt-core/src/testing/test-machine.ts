/**
 * What lies around a region in tests: a context block, guest pages, and code elsewhere whose deeds follow from a seed.
 *
 * Two machines with the same seed do the same. The reference is used by the interpreter directly; the other is what
 * emitted code runs in, with the true support module between.
 */
import { Header } from "../layout.ts";
import type { Value } from "./pure-evaluator.ts";
import { Random } from "./random.ts";
import { helpers, slots, virtualPages } from "./random-region.ts";
import type { Surroundings } from "./ir-interpreter.ts";

/** Byte offsets in a machine's memory. */
export const Place = {
  counters: 0x800,
  context: 0x1000,
  pages: 0x5000,
  end: 0xd000,
  slotEntries: 0x900,
  units: 0x10000,
} as const;
const PAGE_BYTES = 4096;
const PAGE_FAULT = 2;

interface Mapping {
  readonly host: number;
  readonly writable: boolean;
}

/** By position in `virtualPages`; 0x13 and the first page that is not canonical are not mapped, two share a page. */
const mapped: ReadonlyMap<bigint, Mapping> = new Map(
  virtualPages.flatMap((page, index): [bigint, Mapping][] => {
    if (page === 0x13n || page === 0x8_0000_0000_0000n) return [];
    const host = Place.pages + PAGE_BYTES * (page === 0x21n ? 1 : index % 8);
    return [[page, { host, writable: page !== 0x12n }]];
  }),
);

export function hostOf(page: bigint): Mapping | undefined {
  return mapped.get(page);
}

export class TestMachine implements Surroundings {
  readonly view: DataView;
  readonly context: number = Place.context;
  readonly bytes: Uint8Array;
  /** Everything that happened outside the region, with the state at the time. */
  readonly events: string[] = [];
  /** Where each transfer went on, for the machine that is compared with this one. */
  readonly results: bigint[] = [];
  /** Called between events: whatever must not matter may change. */
  disturb: () => void = () => {};
  private seed = 0;

  constructor(buffer: ArrayBuffer) {
    this.view = new DataView(buffer);
    this.bytes = new Uint8Array(buffer, 0, Place.end);
  }

  begin(seed: number): void {
    this.seed = seed;
    this.events.length = 0;
    this.results.length = 0;
    const random = new Random(seed);
    this.bytes.fill(0, Place.context, Place.context + 256);
    for (let at = Place.context + 256; at < Place.context + PAGE_BYTES; at += 4)
      this.view.setInt32(at, random.i32(), true);
    for (let at = Place.pages; at < Place.end; at += 4) this.view.setInt32(at, Math.imul(at, 0x9e3779b1) ^ seed, true);
    for (const { offset, type } of slots)
      if (type === "i64") this.view.setBigInt64(this.context + offset, usefulValue(random), true);
    this.view.setInt32(this.context + Header.budget, random.chance(0.3) ? random.below(4) : random.below(40), true);
  }

  /** The state slots as text, for comparison and for people. */
  state(which: readonly number[] = slots.map((_, index) => index)): string {
    return which
      .map((slot) => {
        const { name, offset, type } = slots[slot];
        const at = this.context + offset;
        const words = type === "i32" ? 1 : type === "v128" ? 4 : 2;
        let text = "";
        for (let word = words - 1; word >= 0; word--)
          text += this.view
            .getUint32(at + 4 * word, true)
            .toString(16)
            .padStart(8, "0");
        return `${name}=${text}`;
      })
      .join(" ");
  }

  private header(offset: number): number {
    return this.view.getInt32(this.context + offset, true);
  }

  /** What a region leaves behind when it returns `result`. */
  outcome(result: bigint): string {
    const parts = [`result ${result}`, `budget ${this.header(Header.budget)}`];
    if (result === -1n) {
      const code = this.header(Header.exitCode);
      parts.push(
        `code ${code}`,
        `payload ${this.header(Header.exitPayload)}`,
        `at ${this.view.getBigInt64(this.context + Header.instructionPointer, true)}`,
      );
      if (code === PAGE_FAULT) {
        parts.push(`fault ${this.view.getBigUint64(this.context + Header.faultAddress, true).toString(16)}`);
        parts.push(`access ${this.header(Header.faultAccess)}`);
      }
    }
    return `${parts.join(", ")}; ${this.state()}`;
  }

  /** Notes an event; what it does follows from the seed and its number. */
  private event(text: string): Random {
    this.events.push(text);
    this.disturb();
    return new Random(this.seed ^ Math.imul(this.events.length, 0x2545f491));
  }

  private changeSlots(random: Random, which: readonly number[]): void {
    for (const slot of which) {
      const { offset, type } = slots[slot];
      const words = type === "i32" ? 1 : type === "v128" ? 4 : 2;
      for (let word = 0; word < words; word++) this.view.setInt32(this.context + offset + 4 * word, random.i32(), true);
      if (type === "i64" && random.chance(0.5)) this.view.setBigInt64(this.context + offset, usefulValue(random), true);
    }
  }

  private elsewhere(random: Random): void {
    this.changeSlots(
      random,
      slots.map((_, slot) => slot).filter(() => random.chance(0.3)),
    );
    if (random.chance(0.3)) this.view.setInt32(Place.pages + 4 * random.below(8 * 1024), random.i32(), true);
    if (random.chance(0.3))
      this.view.setInt32(this.context + Header.budget, this.header(Header.budget) - random.below(3), true);
  }

  transfer(address: bigint, slot: number, depth: number, returnsTo: bigint | undefined, recorded?: bigint): bigint {
    const random = this.event(
      `go to ${address} by ${slot}, depth ${depth}, budget ${this.header(Header.budget)}; ${this.state()}`,
    );
    this.view.setBigInt64(this.context + Header.instructionPointer, address, true);
    this.elsewhere(random);
    const otherwise = random.chance(0.5) ? -1n : random.i64();
    const matches = random.chance(0.8);
    const result = recorded ?? (returnsTo !== undefined && matches ? returnsTo : otherwise);
    if (result === -1n) this.view.setInt32(this.context + Header.exitCode, 99, true);
    this.results.push(result);
    return result;
  }

  promote(address: bigint, slot: number, depth: number): bigint {
    const random = this.event(
      `promote ${address} by ${slot}, depth ${depth}, budget ${this.header(Header.budget)}; ${this.state()}`,
    );
    return random.i64();
  }

  service(code: number): boolean {
    const at = this.view.getBigInt64(this.context + Header.instructionPointer, true);
    const random = this.event(`service ${code} at ${at}, budget ${this.header(Header.budget)}; ${this.state()}`);
    this.elsewhere(random);
    return random.chance(0.2);
  }

  helper(index: number, values: readonly Value[]): Value {
    const { name, reads, writes, exits, result } = helpers[index];
    const all = slots.map((_, slot) => slot);
    const random = this.event(
      `${name}(${values.join()}); ${this.state(reads === "all" ? all : reads === "none" ? [] : reads)}`,
    );
    const writable = writes === "all" ? all : writes === "none" ? [] : writes;
    this.changeSlots(
      random,
      writable.filter(() => random.chance(0.5)),
    );
    if (exits) {
      if (!random.chance(0.3)) return 0;
      this.view.setInt32(this.context + Header.exitCode, 80, true);
      return 1 + random.below(3);
    }
    if (result === "i32") return random.i32();
    return result === "f64" ? BigInt.asIntN(64, 0x3ff0_0000_0000_0000n | BigInt(random.below(1 << 30))) : random.i64();
  }

  // Memory, byte by byte.

  fault(address: bigint, write: boolean): void {
    const { view, context } = this;
    view.setInt32(context + Header.exitCode, PAGE_FAULT, true);
    view.setInt32(context + Header.exitPayload, -7, true);
    view.setBigUint64(context + Header.faultAddress, BigInt.asUintN(64, address), true);
    view.setInt32(context + Header.faultAccess, write ? 1 : 0, true);
  }

  private places(address: bigint, size: number, write: boolean): number[] | undefined {
    const places: number[] = [];
    for (let index = 0n; index < size; index++) {
      const at = BigInt.asUintN(64, address + index);
      const mapping = mapped.get(at >> 12n);
      if (mapping === undefined || (write && !mapping.writable)) {
        this.fault(at, write);
        return undefined;
      }
      places.push(mapping.host + Number(at & 0xfffn));
    }
    return places;
  }

  load(address: bigint, size: number): bigint | undefined {
    return this.places(address, size, false)?.reduceRight((sum, place) => (sum << 8n) | BigInt(this.bytes[place]), 0n);
  }

  store(address: bigint, size: number, value: bigint): boolean {
    const places = this.places(address, size, true);
    places?.forEach((place, index) => (this.bytes[place] = Number((value >> BigInt(8 * index)) & 0xffn)));
    return places !== undefined;
  }
}

/** What registers hold: addresses, small numbers, anything. */
function usefulValue(random: Random): bigint {
  if (random.chance(0.5))
    return BigInt.asIntN(
      64,
      random.pick(virtualPages) * 4096n + BigInt(random.chance(0.5) ? 4095 - random.below(17) : random.below(4096)),
    );
  return random.chance(0.4) ? BigInt(random.below(6) - 2) : random.i64();
}
