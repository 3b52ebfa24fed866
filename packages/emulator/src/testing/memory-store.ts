import type { ByteStore } from "@doppel/dbt-core";

/** What an archive keeps, in memory. */
export class MemoryStore implements ByteStore {
  private bytes: Uint8Array<ArrayBuffer> = new Uint8Array();

  read(position: number, length: number): Uint8Array<ArrayBuffer> | undefined {
    return position + length > this.bytes.length ? undefined : this.bytes.slice(position, position + length);
  }

  append(parts: readonly Uint8Array[]): number {
    const position = this.bytes.length;
    this.bytes = new Uint8Array([this.bytes, ...parts].flatMap((part) => [...part]));
    return position;
  }
}
