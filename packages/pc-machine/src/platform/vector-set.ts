import type { RecordReader } from "../snapshot/record-reader.ts";

/** A set of interrupt vectors, as the local APIC's 256-bit registers hold it. */
export class VectorSet {
  readonly #words = new Uint32Array(8);

  add(vector: number): void {
    this.#words[vector >>> 5] |= 1 << (vector & 31);
  }

  remove(vector: number): void {
    this.#words[vector >>> 5] &= ~(1 << (vector & 31));
  }

  has(vector: number): boolean {
    return (this.#words[vector >>> 5] & (1 << (vector & 31))) !== 0;
  }

  /** -1 when it is empty. */
  highest(): number {
    for (let index = 7; index >= 0; index--) {
      const word = this.#words[index];
      if (word !== 0) return index * 32 + 31 - Math.clz32(word);
    }
    return -1;
  }

  /** 32 vectors, from 32 times the index. */
  word(index: number): number {
    return this.#words[index];
  }

  clear(): void {
    this.#words.fill(0);
  }

  save(): number[] {
    return [...this.#words];
  }

  load(reader: RecordReader, name: string): void {
    this.#words.set(reader.integers(name, 0, 0xffffffff, 8));
  }
}
