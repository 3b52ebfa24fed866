/**
 * A whole machine as `@doppel/ha-checkpoint` wants it: stopped between two guest instructions, its RAM by pages of which a
 * log says what was written, and everything else as one state.
 *
 * Requests that devices have outstanding are part of the state and are issued again elsewhere. Their completions would
 * change memory while the machine is stopped, so backends are to call back through `whenRunning`.
 */
import { StateOffset } from "@doppel/guest-x86";
import {
  type Checkpointable,
  purgeableCall,
  purgeableLeaf,
  PurgeableRegistry,
  type Standing,
} from "@doppel/ha-checkpoint";
import { decodeState, encodeState, SnapshotError, type StateRecord, type StateValue } from "@doppel/pc-machine";
import { guestMapping, programsView } from "./guest-mapping.ts";
import type { Machine } from "./machine.ts";
import { TranslationHints } from "./translation-hints.ts";

const PAGE_BYTES = 4096;
/** Where general registers are in the context block, by number. */
const register = (number: number): number => StateOffset.gpr + 8 * number;
const [RAX, RCX, RDX, RBX, RSI, RDI] = [0, 1, 2, 3, 6, 7].map(register);
const PROGRAMS = 3;
/** Of the state, beside the machine's parts. */
const PURGEABLE = "purgeable";

/** Callbacks that wait for the machine to run: more than its devices can have outstanding. */
const MAXIMUM_WAITING = 65_536;

const zeros: Uint8Array = new Uint8Array(PAGE_BYTES);

export class CheckpointableMachine implements Checkpointable {
  readonly pageBytes: number = PAGE_BYTES;
  readonly pageCount: number;
  readonly configuration: string;
  readonly hints: TranslationHints;
  private readonly machine: Machine;
  private isRunning = false;
  private waiting: (() => void)[] = [];
  private readonly purgeable: PurgeableRegistry;

  /** The machine has not been run yet; from here on only this runs and stops it. */
  constructor(machine: Machine) {
    this.machine = machine;
    this.hints = new TranslationHints(machine.engine, machine.after);
    this.pageCount = machine.engine.ram.ramBytes / PAGE_BYTES;
    const parts = machine.parts.map(({ id, version }) => `${id} ${version}`).join(", ");
    this.configuration = `${this.pageCount} pages; ${parts}; purgeable 1`.slice(0, 1000);
    const random = new BigUint64Array(1);
    const nonce = (): bigint => {
      crypto.getRandomValues(random);
      return random[0];
    };
    this.purgeable = new PurgeableRegistry(guestMapping(machine.engine.ram, nonce));
    machine.engine.guestCall = (cpu, leaf) => this.serveCall(cpu, leaf);
    machine.engine.startDirtyLog();
  }

  /** CPUID with the leaf of the registry of purgeable memory (`ha-checkpoint/src/purgeable/guest-call.ts`). */
  private serveCall(cpu: number, leaf: number): boolean {
    if (leaf !== purgeableLeaf) return false;
    const { memory, processor } = this.machine.engine;
    const { cr3, cpl } = processor.registers;
    const argument = (at: number): bigint => memory.view.getBigUint64(cpu + at, true);
    const { eax, rbx, rcx, rdx } = purgeableCall(this.purgeable, {
      operation: Number(BigInt.asUintN(32, argument(RCX))),
      space: Math.floor(cr3 / PAGE_BYTES) * PAGE_BYTES + (cpl === PROGRAMS ? programsView : 0),
      rdi: argument(RDI),
      rsi: argument(RSI),
      rdx: argument(RDX),
    });
    const results = [
      [RAX, BigInt(eax)],
      [RBX, rbx],
      [RCX, rcx],
      [RDX, rdx],
    ] as const;
    for (const [at, value] of results) memory.view.setBigUint64(cpu + at, value, true);
    return true;
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
    this.hints.stop();
    // Devices refuse what comes from outside until they are released.
    this.machine.resume();
    while (this.isRunning && this.waiting.length > 0) this.waiting.shift()!();
  }

  get dirtyPages(): number {
    return this.machine.engine.ram.countDirty();
  }

  takeDirtyPages(): Uint32Array {
    const { engine } = this.machine;
    this.purgeable.revalidate();
    const changed = this.purgeable.takeChanged();
    for (const page of changed) engine.ram.markChanged(page);
    const pages = engine.ram.dirtyPages();
    engine.startDirtyLog();
    return pages;
  }

  standing(page: number): Standing {
    if (this.purgeable.isPurgeable(page)) return "purgeable";
    return this.machine.engine.ram.isFree(page) ? "free" : "kept";
  }

  /** The guest gives up the pages in a range of guest-physical addresses, as its balloon says. */
  release(address: number, length: number): void {
    const { ram, processor } = this.machine.engine;
    for (let at = address; at < address + length; at += PAGE_BYTES) {
      const page = ram.pageOf(at);
      if (page >= 0) ram.giveUp(page - ram.firstPage);
    }
    processor.context.invalidateWrites();
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
    parts[PURGEABLE] = { regions: this.purgeable.save() };
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
      const saved = (parts[PURGEABLE] as StateRecord | undefined)?.["regions"];
      const isLoaded = saved instanceof Uint8Array && this.purgeable.load(saved);
      return isLoaded ? undefined : "the state of purgeable memory is damaged";
    } catch (error) {
      if (error instanceof SnapshotError) return error.message;
      throw error;
    }
  }

  /** Devices issue again what they had outstanding when the machine runs: before that their backends are another role's. */
  restored(): void {
    const { ram } = this.machine.engine;
    for (const page of this.purgeable.restored()) ram.write(ram.addressOf(page), zeros);
    this.waiting.push(() => this.machine.platform.serial.ready());
  }
}
