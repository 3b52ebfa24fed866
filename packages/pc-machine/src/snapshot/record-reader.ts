import { SnapshotError } from "../ports.ts";
import type { StateRecord, StateValue } from "../ports.ts";

/**
 * Reads a saved record and believes nothing: every value is checked for kind and range, so that `load` of a device is
 * a list of assignments.
 */
export class RecordReader {
  readonly #part: string;
  readonly #record: StateRecord;

  /** @throws SnapshotError when the part's version is not the one that `load` understands */
  constructor(part: string, record: StateRecord, version?: { readonly found: number; readonly known: number }) {
    this.#part = part;
    this.#record = record;
    if (version !== undefined && version.found !== version.known) {
      throw new SnapshotError(`${part}: saved by version ${version.found}, this is version ${version.known}`);
    }
  }

  /** An integer of `least` to `most`. */
  integer(name: string, least: number, most: number): number {
    const value = this.#value(name);
    if (typeof value !== "number" || !Number.isInteger(value) || value < least || value > most) {
      return this.#refuse(name, `an integer of ${least} to ${most}`);
    }
    return value;
  }

  /** A time in nanoseconds, or a difference of two. */
  time(name: string): number {
    const value = this.#value(name);
    if (typeof value !== "number" || !(Math.abs(value) <= Number.MAX_SAFE_INTEGER)) return this.#refuse(name, "a time");
    return value;
  }

  bigint(name: string, least: bigint, most: bigint): bigint {
    const value = this.#value(name);
    if (typeof value !== "bigint" || value < least || value > most) {
      return this.#refuse(name, `an integer of ${least} to ${most}`);
    }
    return value;
  }

  boolean(name: string): boolean {
    const value = this.#value(name);
    return typeof value === "boolean" ? value : this.#refuse(name, "true or false");
  }

  string(name: string): string {
    const value = this.#value(name);
    return typeof value === "string" ? value : this.#refuse(name, "a string");
  }

  /** Bytes: exactly `length` of them, or at most `{most}`. */
  bytes(name: string, length: number | { readonly most: number }): Uint8Array {
    const value = this.#value(name);
    const fits = (bytes: Uint8Array): boolean =>
      typeof length === "number" ? bytes.length === length : bytes.length <= length.most;
    if (!(value instanceof Uint8Array) || !fits(value)) {
      return this.#refuse(name, typeof length === "number" ? `${length} bytes` : `at most ${length.most} bytes`);
    }
    return value;
  }

  /** A list of integers of `least` to `most`: exactly `length` of them when given. */
  integers(name: string, least: number, most: number, length?: number): number[] {
    const values = this.#list(name, length);
    return values.map((value, index) => {
      if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most) return value;
      return this.#refuse(`${name}[${index}]`, `an integer of ${least} to ${most}`);
    });
  }

  bigints(name: string, least: bigint, most: bigint, length?: number): bigint[] {
    return this.#list(name, length).map((value, index) => {
      if (typeof value === "bigint" && value >= least && value <= most) return value;
      return this.#refuse(`${name}[${index}]`, `an integer of ${least} to ${most}`);
    });
  }

  booleans(name: string, length: number): boolean[] {
    return this.#list(name, length).map((value, index) => {
      return typeof value === "boolean" ? value : this.#refuse(`${name}[${index}]`, "true or false");
    });
  }

  record(name: string): RecordReader {
    return this.#nested(name, this.#value(name));
  }

  /** A record that its owner reads. */
  plain(name: string): StateRecord {
    return this.record(name).#record;
  }

  /** A list of records: exactly `length` of them when given. */
  records(name: string, length?: number): RecordReader[] {
    return this.#list(name, length).map((value, index) => this.#nested(`${name}[${index}]`, value));
  }

  /** Whether the value is there and not null: for what a device may or may not have. */
  has(name: string): boolean {
    return Object.hasOwn(this.#record, name) && this.#record[name] !== null;
  }

  #value(name: string): StateValue {
    if (!Object.hasOwn(this.#record, name)) throw new SnapshotError(`${this.#part}: ${name} is missing`);
    return this.#record[name]!;
  }

  #list(name: string, length?: number): readonly StateValue[] {
    const value = this.#value(name);
    if (!Array.isArray(value) || (length !== undefined && value.length !== length)) {
      return this.#refuse(name, length === undefined ? "a list" : `a list of ${length}`);
    }
    return value as readonly StateValue[];
  }

  #nested(name: string, value: StateValue): RecordReader {
    if (value === null || typeof value !== "object" || Array.isArray(value) || value instanceof Uint8Array) {
      return this.#refuse(name, "a record");
    }
    return new RecordReader(`${this.#part}: ${name}`, value as StateRecord);
  }

  #refuse(name: string, expected: string): never {
    throw new SnapshotError(`${this.#part}: ${name} is not ${expected}`);
  }
}
