import type { ByteStore } from "@doppel/dbt-core";

/** What an archive keeps, in memory. */
export class MemoryStore implements ByteStore {
  private bytes: Uint8Array<ArrayBuffer> = new Uint8Array();

  read(position: number, length: number): Uint8Array<ArrayBuffer> | undefined {
    return position + length > this.bytes.length ? undefined : this.bytes.slice(position, position + length);
  }

  append(bytes: Uint8Array): number {
    const position = this.bytes.length;
    const before = this.bytes;
    this.bytes = new Uint8Array(position + bytes.length);
    this.bytes.set(before);
    this.bytes.set(bytes, position);
    return position;
  }
}
