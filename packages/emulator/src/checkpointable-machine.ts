/**
 * A whole machine as `@doppel/ha-checkpoint` wants it: stopped between two guest instructions, its RAM by pages of which a
 * log says what was written, and everything else as one state.
 *
 * Requests that devices have outstanding are part of the state and are issued again elsewhere. Their completions would
 * change memory while the machine is stopped, so backends are to call back through `whenRunning`.
 */
import type { Checkpointable, Standing } from "@doppel/ha-checkpoint";
import { decodeState, encodeState, SnapshotError, type StateRecord, type StateValue } from "@doppel/pc-machine";
import type { Machine } from "./machine.ts";

const PAGE_BYTES = 4096;
/** Callbacks that wait for the machine to run: more than its devices can have outstanding. */
const MAXIMUM_WAITING = 65_536;

export class CheckpointableMachine implements Checkpointable {
  readonly pageBytes: number = PAGE_BYTES;
  readonly pageCount: number;
  readonly configuration: string;
  private readonly machine: Machine;
  private isRunning = false;
  private waiting: (() => void)[] = [];

  /** The machine has not been run yet; from here on only this runs and stops it. */
  constructor(machine: Machine) {
    this.machine = machine;
    this.pageCount = machine.engine.ram.ramBytes / PAGE_BYTES;
    const parts = machine.parts.map(({ id, version }) => `${id} ${version}`).join(", ");
    this.configuration = `${this.pageCount} pages; ${parts}`.slice(0, 1000);
    machine.engine.startDirtyLog();
  }

  /** Calls back now, or when the machine runs again; what waits when another state is loaded is forgotten. */
  whenRunning(callback: () => void): void {
    if (this.isRunning) callback();
    else if (this.waiting.length < MAXIMUM_WAITING) this.waiting.push(callback);
  }

  stop(done: () => void): void {
    this.isRunning = false;
    this.machine.pause();
    done();
  }

  run(): void {
    this.isRunning = true;
    // Devices refuse what comes from outside until they are released.
    this.machine.resume();
    while (this.isRunning && this.waiting.length > 0) this.waiting.shift()!();
  }

  get dirtyPages(): number {
    const { ram } = this.machine.engine;
    return ram.dirtyPages().reduce((count) => count + 1, 0);
  }

  takeDirtyPages(): Uint32Array {
    const pages = Uint32Array.from(this.machine.engine.ram.dirtyPages());
    this.machine.engine.startDirtyLog();
    return pages;
  }

  standing(): Standing {
    return "kept";
  }

  readPage(page: number, into: Uint8Array): void {
    const { pages, firstPage } = this.machine.engine.ram;
    const at = (firstPage + page) * PAGE_BYTES;
    into.set(pages.bytes.subarray(at, at + PAGE_BYTES));
  }

  writePage(page: number, content: Uint8Array): void {
    const { ram } = this.machine.engine;
    ram.noteWrite(ram.firstPage + page, 0, PAGE_BYTES);
    ram.pages.bytes.set(content, (ram.firstPage + page) * PAGE_BYTES);
  }

  saveState(): Uint8Array {
    const parts: Record<string, StateValue> = {};
    for (const part of this.machine.parts) parts[part.id] = part.save();
    return encodeState(parts);
  }

  loadState(state: Uint8Array): string | undefined {
    this.waiting = [];
    try {
      const parts = decodeState(state) as StateRecord;
      for (const part of this.machine.parts) {
        const record = Object.hasOwn(Object(parts) as object, part.id) ? parts[part.id] : undefined;
        if (typeof record !== "object" || record === null) return `the state of ${part.id} is missing`;
        part.load(record as StateRecord, part.version);
      }
      return undefined;
    } catch (error) {
      if (error instanceof SnapshotError) return error.message;
      throw error;
    }
  }

  /** Devices issue again what they had outstanding when the machine runs: before that their backends are another role's. */
  restored(): void {
    this.waiting.push(() => this.machine.platform.serial.ready());
  }
}
