// What a machine says on its first serial port, into a file: bytes wait for the checkpoint that ends their epoch, as frames do,
// so that the file never has what a failover takes back.
import { appendFileSync } from "node:fs";
import type { OutputPort } from "@doppel/ha-checkpoint";
import type { SerialBackend } from "@doppel/pc-machine";

/** Bytes that may wait: a second of a line at 115,200 baud, and some. The machine's port is full then. */
const MAXIMUM_HELD = 16_384;

export class HeldSerial implements SerialBackend, OutputPort {
  readonly #path: string;
  readonly #checkpointWanted: () => void;
  #holding = true;
  #open: number[] = [];
  #sealed: { readonly epoch: number; readonly bytes: readonly number[] }[] = [];
  #heldBytes = 0;
  #wasFull = false;
  /** Of a line that is not whole yet. */
  #line: number[] = [];
  /** Told when there is room again. */
  ready: () => void = () => undefined;

  constructor(path: string, checkpointWanted: () => void) {
    this.#path = path;
    this.#checkpointWanted = checkpointWanted;
  }

  // The machine's side.

  read(): number {
    return -1;
  }

  write(byte: number): boolean {
    if (!this.#holding) this.#print([byte]);
    else {
      if (this.#heldBytes === MAXIMUM_HELD) {
        this.#wasFull = true;
        this.#checkpointWanted();
        return false;
      }
      this.#open.push(byte);
      this.#heldBytes++;
    }
    return true;
  }

  // The protocol's.

  protect(): void {
    this.#holding = true;
  }

  seal(epoch: number): void {
    if (this.#open.length === 0) return;
    this.#sealed.push({ epoch, bytes: this.#open });
    this.#open = [];
  }

  release(epoch: number): void {
    while (this.#sealed.length > 0 && this.#sealed[0].epoch <= epoch) {
      const { bytes } = this.#sealed.shift()!;
      this.#heldBytes -= bytes.length;
      this.#print(bytes);
    }
    this.#tellRoom();
  }

  goUnprotected(): void {
    this.#holding = false;
    for (const { bytes } of this.#sealed) this.#print(bytes);
    this.#print(this.#open);
    this.#forget();
    this.#tellRoom();
  }

  discard(): void {
    this.#holding = true;
    this.#line = [];
    this.#wasFull = false;
    this.#forget();
  }

  #forget(): void {
    this.#open = [];
    this.#sealed = [];
    this.#heldBytes = 0;
  }

  #tellRoom(): void {
    if (!this.#wasFull || this.#heldBytes === MAXIMUM_HELD) return;
    this.#wasFull = false;
    this.ready();
  }

  /** By lines: what a line begins with may come from another host. */
  #print(bytes: readonly number[]): void {
    for (const byte of bytes) {
      this.#line.push(byte);
      if (byte !== 10 && this.#line.length < 1024) continue;
      appendFileSync(this.#path, Uint8Array.from(this.#line));
      this.#line = [];
    }
  }
}
