/** The code of an ELF file in pages, as the translator fetches it: nothing is loaded, relocated or run. */
import type { ElfImage } from "@doppel/emulator/inspect";

const PAGE_BYTES = 4096;

export class ImageMemory {
  readonly bytes: Uint8Array;
  readonly #pageOf: Map<number, number> = new Map();

  constructor(image: ElfImage) {
    const executable = image.segments.filter((segment) => segment.executable);
    for (const { address, content } of executable) {
      for (let page = Math.floor(address / PAGE_BYTES); page * PAGE_BYTES < address + content.length; page++) {
        if (!this.#pageOf.has(page)) this.#pageOf.set(page, this.#pageOf.size);
      }
    }
    this.bytes = new Uint8Array(this.#pageOf.size * PAGE_BYTES);
    for (const { address, content } of executable) {
      for (let done = 0; done < content.length;) {
        const offset = (address + done) % PAGE_BYTES;
        const count = Math.min(PAGE_BYTES - offset, content.length - done);
        this.bytes.set(content.subarray(done, done + count), this.fetch(address + done) * PAGE_BYTES + offset);
        done += count;
      }
    }
  }

  /** The page that holds the code at an address, or -1. */
  fetch = (address: number): number => this.#pageOf.get(Math.floor(address / PAGE_BYTES)) ?? -1;

  /** Up to `length` bytes at an address; fewer at the end of a page without a successor. */
  read(address: number, length: number): Uint8Array {
    const found: number[] = [];
    for (let at = address; at < address + length; at++) {
      const page = this.fetch(at);
      if (page < 0) break;
      found.push(this.bytes[page * PAGE_BYTES + (at % PAGE_BYTES)]);
    }
    return Uint8Array.from(found);
  }
}
