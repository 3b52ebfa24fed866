// A machine that is nothing but a disk: the host that leads serves it over NBD. Writes go to both hosts; a flush, or a write
// with FUA, is answered when the checkpoint that holds it is committed, so that what a client was told is durable is there
// after a failover. What was not flushed may be lost with the host, as it is with the power of any disk that caches writes.
//
// Clients speak to the leader itself: a failover ends their connections, and they connect anew, as NBD clients can
// (qemu: reconnect-delay).
import { failure } from "@doppel/mirror-storage";
import type { BlockDevice, Done, Geometry, Result, WriteOptions } from "@doppel/mirror-storage";
import { serveNbd } from "@doppel/mirror-storage/node";
import type { NbdAddress, NbdServer } from "@doppel/mirror-storage/node";
import type { Checkpointable, OutputPort, Standing } from "@doppel/ha-checkpoint";

const PAGE_BYTES = 4096;
const SECTOR_BYTES = 512;

/** Holds answers until the checkpoint that they wait for, as an adapter holds frames. */
class DurabilityGate implements OutputPort {
  readonly #wanted: () => void;
  #holding = true;
  #open: ((result: Result<void>) => void)[] = [];
  #sealed: { readonly epoch: number; readonly answers: readonly ((result: Result<void>) => void)[] }[] = [];

  constructor(wanted: () => void) {
    this.#wanted = wanted;
  }

  pass(result: Result<void>, done: Done): void {
    if (!this.#holding || !result.ok) return done(result);
    this.#open.push(done);
    // Somebody waits for it: the sooner the better.
    if (this.#open.length === 1) this.#wanted();
  }

  protect(): void {
    this.#holding = true;
  }

  seal(epoch: number): void {
    if (!this.#holding) return;
    this.#sealed.push({ epoch, answers: this.#open });
    this.#open = [];
  }

  release(epoch: number): void {
    while (this.#sealed.length > 0 && this.#sealed[0].epoch <= epoch) {
      for (const answer of this.#sealed.shift()?.answers ?? []) answer({ ok: true, value: undefined });
    }
    if (this.#open.length > 0) this.#wanted();
  }

  goUnprotected(): void {
    this.#holding = false;
    this.#end({ ok: true, value: undefined });
  }

  discard(): void {
    this.#holding = true;
    this.#end(failure("halted", "another host leads"));
  }

  #end(result: Result<void>): void {
    const answers = [...this.#sealed.flatMap((epoch) => epoch.answers), ...this.#open];
    this.#sealed = [];
    this.#open = [];
    for (const answer of answers) answer(result);
  }
}

export interface DiskMachineOptions {
  readonly sizeBytes: number;
  readonly at: NbdAddress;
  readonly name: string;
  /** Somebody waits for a checkpoint. */
  readonly checkpointWanted: () => void;
  readonly log: (event: object) => void;
}

export class DiskMachine implements Checkpointable, BlockDevice {
  readonly pageBytes: number = PAGE_BYTES;
  /** There is no memory; but none at all would be no machine. */
  readonly pageCount: number = 1;
  readonly dirtyPages: number = 0;
  readonly configuration: string;
  readonly geometry: Geometry;
  readonly output: OutputPort;
  /** Of whoever leads. */
  target: BlockDevice | undefined;
  readonly #options: DiskMachineOptions;
  readonly #gate: DurabilityGate;
  #server: Promise<NbdServer | undefined> | undefined;

  constructor(options: DiskMachineOptions) {
    this.#options = options;
    this.geometry = { sectorSize: SECTOR_BYTES, sectorCount: options.sizeBytes / SECTOR_BYTES };
    this.configuration = `disk 1, ${options.sizeBytes} bytes`;
    const gate = new DurabilityGate(options.checkpointWanted);
    this.#gate = gate;
    this.output = {
      protect: () => gate.protect(),
      seal: (epoch) => gate.seal(epoch),
      release: (epoch) => gate.release(epoch),
      goUnprotected: () => gate.goUnprotected(),
      discard: () => {
        gate.discard();
        this.#close();
      },
    };
  }

  // --- Checkpointable: there is nothing to it but the disk, which counts its own epochs ---------------------------------

  stop(done: () => void): void {
    done();
  }

  run(): void {
    this.#server ??= this.#listen();
  }

  takeDirtyPages(): Uint32Array {
    return new Uint32Array();
  }

  standing(): Standing {
    return "kept";
  }

  readPage(_page: number, into: Uint8Array): void {
    into.fill(0);
  }

  writePage(): void {}

  saveState(): Uint8Array {
    return new Uint8Array([1]);
  }

  loadState(state: Uint8Array): string | undefined {
    return state.length === 1 && state[0] === 1 ? undefined : "no state of a disk";
  }

  restored(): void {}

  // --- The server -----------------------------------------------------------------------------------------------------

  async #listen(): Promise<NbdServer | undefined> {
    const { at, name, log } = this.#options;
    const exports = new Map(["", name].map((one) => [one, { disk: this }]));
    try {
      const server = await serveNbd({ at, exports, complained: (text) => log({ kind: "nbd", text }) });
      log({ kind: "serving", ...at });
      return server;
    } catch (error) {
      log({ kind: "nbd", text: (error as Error).message });
      return undefined;
    }
  }

  #close(): void {
    const server = this.#server;
    this.#server = undefined;
    void server?.then((running) => running?.close());
  }

  // --- The disk as clients have it ------------------------------------------------------------------------------------

  #leading<T>(done: Done<T>): BlockDevice | undefined {
    if (this.target === undefined) queueMicrotask(() => done(failure("halted", "this host does not lead")));
    return this.target;
  }

  read(sector: number, count: number, done: Done<Uint8Array>): void {
    this.#leading(done)?.read(sector, count, done);
  }

  write(sector: number, data: Uint8Array, options: WriteOptions, done: Done): void {
    this.#leading(done)?.write(sector, data, options, this.#durable(options, done));
  }

  flush(done: Done): void {
    this.#leading(done)?.flush((result) => this.#gate.pass(result, done));
  }

  discard(sector: number, count: number, options: WriteOptions, done: Done): void {
    this.#leading(done)?.discard(sector, count, options, this.#durable(options, done));
  }

  #durable({ fua }: WriteOptions, done: Done): Done {
    return fua === true ? (result) => this.#gate.pass(result, done) : done;
  }
}
