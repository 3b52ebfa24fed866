/**
 * Saved states as bytes. Every value is a tag and what follows from it; lengths and counts are 32 bits, little-endian.
 *
 * ```text
 * 0  null                      5  string:  length in bytes, UTF-8
 * 1  false                     6  bytes:   length, bytes
 * 2  true                      7  list:    count, values
 * 3  number:  64-bit float     8  record:  count, names (as strings, without tag) and values by turns
 * 4  bigint:  1 when negative, length, magnitude from its lowest byte
 * ```
 */

import { SnapshotError } from "../ports.ts";
import type { StateRecord, StateValue } from "../ports.ts";

const Tag = { null: 0, false: 1, true: 2, number: 3, bigint: 4, string: 5, bytes: 6, list: 7, record: 8 } as const;

/** Deeper than any device nests its state, and far from what the stack can take. */
const maximumDepth = 32;

const encoder: TextEncoder = new TextEncoder();
const decoder: TextDecoder = new TextDecoder("utf-8", { fatal: true });

export function encodeState(value: StateValue): Uint8Array<ArrayBuffer> {
  const writer = new Writer();
  writer.value(value, 0);
  return writer.finish();
}

/** @throws SnapshotError unless the bytes are one value, as a whole */
export function decodeState(bytes: Uint8Array): StateValue {
  const reader = new Reader(bytes);
  const value = reader.value(0);
  if (!reader.isAtEnd) throw new SnapshotError("bytes are left over behind the state");
  return value;
}

class Writer {
  #bytes = new Uint8Array(1024);
  #length = 0;

  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length);
  }

  value(value: StateValue, depth: number): void {
    if (depth > maximumDepth) throw new RangeError("a state is nested too deeply to be saved");
    if (value === null) this.#byte(Tag.null);
    else if (typeof value === "boolean") this.#byte(value ? Tag.true : Tag.false);
    else if (typeof value === "number") this.#number(value);
    else if (typeof value === "bigint") this.#bigint(value);
    else if (typeof value === "string") {
      this.#byte(Tag.string);
      this.#string(value);
    } else if (value instanceof Uint8Array) {
      this.#byte(Tag.bytes);
      this.#count(value.length);
      this.#append(value);
    } else if (isList(value)) {
      this.#byte(Tag.list);
      this.#count(value.length);
      for (const element of value) this.value(element, depth + 1);
    } else this.#record(value, depth);
  }

  #record(record: StateRecord, depth: number): void {
    const entries = Object.entries(record);
    this.#byte(Tag.record);
    this.#count(entries.length);
    for (const [name, value] of entries) {
      this.#string(name);
      this.value(value, depth + 1);
    }
  }

  #number(value: number): void {
    if (!Number.isFinite(value)) throw new RangeError(`${value} cannot be saved`);
    const bytes = new Uint8Array(9);
    bytes[0] = Tag.number;
    new DataView(bytes.buffer).setFloat64(1, value, true);
    this.#append(bytes);
  }

  #bigint(value: bigint): void {
    const magnitude: number[] = [];
    for (let rest = value < 0n ? -value : value; rest > 0n; rest >>= 8n) magnitude.push(Number(rest & 0xffn));
    this.#byte(Tag.bigint);
    this.#byte(value < 0n ? 1 : 0);
    this.#count(magnitude.length);
    this.#append(Uint8Array.from(magnitude));
  }

  #string(value: string): void {
    const bytes = encoder.encode(value);
    this.#count(bytes.length);
    this.#append(bytes);
  }

  #count(count: number): void {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, count, true);
    this.#append(bytes);
  }

  #byte(byte: number): void {
    this.#append(Uint8Array.of(byte));
  }

  #append(bytes: Uint8Array): void {
    const needed = this.#length + bytes.length;
    if (needed > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes.set(bytes, this.#length);
    this.#length = needed;
  }
}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  value(depth: number): StateValue {
    if (depth > maximumDepth) throw new SnapshotError("the state is nested too deeply");
    const tag = this.#take(1)[0];
    switch (tag) {
      case Tag.null:
        return null;
      case Tag.false:
      case Tag.true:
        return tag === Tag.true;
      case Tag.number:
        return this.#number();
      case Tag.bigint:
        return this.#bigint();
      case Tag.string:
        return this.#string();
      case Tag.bytes:
        return this.#take(this.#count()).slice();
      case Tag.list:
        return Array.from({ length: this.#elements(1) }, () => this.value(depth + 1));
      case Tag.record:
        return this.#record(depth);
      default:
        throw new SnapshotError(`the state has a value of unknown kind ${tag}`);
    }
  }

  #record(depth: number): StateRecord {
    const entries = new Map<string, StateValue>();
    for (let left = this.#elements(5); left > 0; left--) {
      const name = this.#string();
      if (entries.has(name)) throw new SnapshotError(`the state has ${JSON.stringify(name)} twice`);
      entries.set(name, this.value(depth + 1));
    }
    return Object.fromEntries(entries);
  }

  #number(): number {
    this.#need(8);
    const value = this.#view.getFloat64(this.#at, true);
    this.#at += 8;
    if (!Number.isFinite(value)) throw new SnapshotError("the state has a number that is none");
    return value;
  }

  #bigint(): bigint {
    const isNegative = this.#take(1)[0] !== 0;
    const magnitude = this.#take(this.#count()).reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
    return isNegative ? -magnitude : magnitude;
  }

  #string(): string {
    try {
      return decoder.decode(this.#take(this.#count()));
    } catch (error) {
      if (error instanceof SnapshotError) throw error;
      throw new SnapshotError("the state has text that is not UTF-8");
    }
  }

  #count(): number {
    this.#need(4);
    const count = this.#view.getUint32(this.#at, true);
    this.#at += 4;
    return count;
  }

  /** A count of elements that take at least so many bytes each: no more of them than can follow. */
  #elements(leastBytes: number): number {
    const count = this.#count();
    this.#need(count * leastBytes);
    return count;
  }

  #take(length: number): Uint8Array {
    this.#need(length);
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  #need(length: number): void {
    if (length > this.#bytes.length - this.#at) throw new SnapshotError("the state ends within a value");
  }
}

function isList(value: StateRecord | readonly StateValue[]): value is readonly StateValue[] {
  return Array.isArray(value);
}
