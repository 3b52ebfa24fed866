/**
 * What a machine tells its standby of its code: the places it has translated. The standby translates them too, from its own
 * copy of memory, so that after a failover the guest does not wait for all its code to be met and translated again; and
 * the host's compiler has seen the translator at work.
 *
 * A piece is a list of places, little-endian:
 *
 * ```text
 * page u32 (of RAM) | offset u16 | mode u8 | tier u8 | others u8 | others * (distance i8, page u32)
 * ```
 */
import { type CodePlace, placeOf, prepareCode, TierNumber } from "@doppel/dbt-core";
import { ModeBit } from "@doppel/guest-x86";
import type { Hints } from "@doppel/ha-checkpoint";
import type { Fragment } from "@doppel/trampolines";
import type { EmulatorHost } from "./host.ts";
import type { MachineEngine } from "./machine-engine.ts";

/** In a piece. */
const PLACES = 128;
/** Places that wait to be translated; more are forgotten. */
const MOST_PENDING = 32_768;
/** A standby has heartbeats to answer and epochs to take in: it translates for a moment now and then. */
const WORK_MS = 2;
const PAUSE_NS = 6e6;
const HEAD_BYTES = 9;
const OTHER_BYTES = 5;
const MOST_OTHERS = 8;
const PAGE_BYTES = 4096;
const MODE_BITS: number = Object.values(ModeBit).reduce((all, bit) => all | bit, 0);

const isNarrow = (mode: number): boolean => (mode & ModeBit.long) === 0;

export class TranslationHints implements Hints {
  private readonly engine: MachineEngine;
  /** The number of the newest module that has been looked at. */
  private seen = 0;
  /** To be told; the next piece is at the end. */
  private waiting: Fragment<WebAssembly.Module>[] = [];
  /** To be translated, the next one first. */
  private pending: CodePlace[] = [];
  private done = 0;
  private cancel: (() => void) | undefined;
  private readonly after: EmulatorHost["loop"]["after"];

  /** `after`: of the host's loop. */
  constructor(engine: MachineEngine, after: EmulatorHost["loop"]["after"]) {
    this.engine = engine;
    this.after = after;
  }

  /** Places that were hinted at and not translated yet. */
  get left(): number {
    return this.pending.length - this.done;
  }

  restart(): void {
    this.seen = 0;
    this.waiting = [];
  }

  next(): Uint8Array | undefined {
    if (this.waiting.length === 0) this.look();
    const places: CodePlace[] = [];
    while (places.length < PLACES && this.waiting.length > 0) {
      const fragment = this.waiting.pop()!;
      const place = fragment.discarded ? undefined : placeOf(fragment, isNarrow);
      if (place !== undefined && this.isInRam(place)) places.push(place);
    }
    return places.length === 0 ? undefined : this.encode(places);
  }

  /** What is new: what runs most, and what was translated last, comes last. */
  private look(): void {
    for (const { id, live } of this.engine.heap.modulesAfter(this.seen)) {
      this.seen = id;
      this.waiting.push(...live);
    }
    this.waiting.sort((a, b) => a.tier - b.tier || a.id - b.id);
  }

  apply(piece: Uint8Array): void {
    for (const place of this.decode(piece)) if (this.left < MOST_PENDING) this.pending.push(place);
    if (this.left > 0) this.cancel ??= this.after(0, () => this.work());
  }

  private work(): void {
    const until = performance.now() + WORK_MS;
    while (this.left > 0 && performance.now() < until) prepareCode(this.engine.translator, this.pending[this.done++]);
    // Nothing runs that would see to it that the heap stays within its bound.
    this.engine.translator.collectGarbage();
    if (this.left > 0) this.cancel = this.after(PAUSE_NS, () => this.work());
    else this.stop();
  }

  /** The machine is to run: what was not translated ahead is translated when it is met. */
  stop(): void {
    this.cancel?.();
    this.cancel = undefined;
    this.pending = [];
    this.done = 0;
  }

  private isInRam({ page, otherPages }: CodePlace): boolean {
    const { firstPage, ramBytes } = this.engine.ram;
    const isRam = (one: number): boolean => one >= firstPage && one < firstPage + ramBytes / PAGE_BYTES;
    return isRam(page) && otherPages.length <= MOST_OTHERS && otherPages.every((other) => isRam(other.page));
  }

  private encode(places: readonly CodePlace[]): Uint8Array {
    const { firstPage } = this.engine.ram;
    const bytes = new Uint8Array(places.length * (HEAD_BYTES + MOST_OTHERS * OTHER_BYTES));
    const view = new DataView(bytes.buffer);
    let at = 0;
    for (const { page, offset, mode, tier, otherPages } of places) {
      view.setUint32(at, page - firstPage, true);
      view.setUint16(at + 4, offset, true);
      bytes[at + 6] = mode;
      bytes[at + 7] = tier;
      bytes[at + 8] = otherPages.length;
      at += HEAD_BYTES;
      for (const other of otherPages) {
        view.setInt8(at, other.distance);
        view.setUint32(at + 1, other.page - firstPage, true);
        at += OTHER_BYTES;
      }
    }
    return bytes.slice(0, at);
  }

  /** Whatever the bytes are: places in RAM, of which there may be none. */
  private *decode(bytes: Uint8Array): Generator<CodePlace> {
    const { firstPage } = this.engine.ram;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0, count = 0; at + HEAD_BYTES <= bytes.length && count < PLACES; count++) {
      const page = firstPage + view.getUint32(at, true);
      const offset = view.getUint16(at + 4, true);
      const mode = bytes[at + 6];
      const tier = Math.min(bytes[at + 7], TierNumber.hot);
      const others = bytes[at + 8];
      at += HEAD_BYTES;
      if (others > MOST_OTHERS || at + others * OTHER_BYTES > bytes.length) return;
      const otherPages: { distance: number; page: number }[] = [];
      for (let other = 0; other < others; other++, at += OTHER_BYTES)
        otherPages.push({ distance: view.getInt8(at), page: firstPage + view.getUint32(at + 1, true) });
      const place = { page, offset, mode, tier, otherPages, narrow: isNarrow(mode) };
      const isPlace = offset < PAGE_BYTES && (mode & ~MODE_BITS) === 0 && (mode & ModeBit.machine) !== 0;
      if (isPlace && otherPages.every(({ distance }) => distance !== 0) && this.isInRam(place)) yield place;
    }
  }
}
