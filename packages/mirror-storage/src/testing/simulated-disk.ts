// A disk that does all that its contract allows: takes requests in any order, keeps completed writes in a cache that a loss
// of power empties in part, tears what is in flight when a host dies, fails now and then, and runs full.
import { failure, rangeError, succeeded, writeError } from "../block-device.ts";
import type { Done, FencedDevice, Geometry, Result, WriteOptions } from "../block-device.ts";
import type { Clock } from "./clock.ts";
import type { Random } from "./random.ts";

/** A host, as far as a disk needs to know it. */
export interface Client {
  readonly alive: boolean;
  /** Counts its starts: completions for an earlier one are lost. */
  readonly incarnation: number;
}

interface InFlight {
  readonly client: Client;
  readonly incarnation: number;
  /** What it does at the end; torn: to some sectors only. */
  readonly apply: (torn: boolean) => void;
}

export class SimulatedDisk {
  readonly geometry: Geometry;
  /** What a read sees. */
  readonly bytes: Uint8Array;
  /** What a loss of power leaves for certain. */
  readonly #durable: Uint8Array;
  /** By sector, the contents since then, oldest first. */
  readonly #cache = new Map<number, { order: number; data: Uint8Array }[]>();
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #inFlight = new Set<InFlight>();
  #order = 0;
  #fence = 0;
  /** Probability that a write, or a flush, fails. */
  errorRate = 0;
  full = false;
  /** With this off, a stale writer is not stopped: a negative control. */
  fencing = true;
  /** Longest time of a request. */
  latency = 10;

  constructor(geometry: Geometry, clock: Clock, random: Random) {
    this.geometry = geometry;
    this.#clock = clock;
    this.#random = random;
    this.bytes = new Uint8Array(geometry.sectorSize * geometry.sectorCount);
    this.#durable = this.bytes.slice();
  }

  /** The disk as a host sees it. */
  viewOf(client: Client): FencedDevice {
    return {
      geometry: this.geometry,
      read: (sector, count, done) => this.#read(client, sector, count, done),
      write: (sector, data, options, done) => this.#write(client, sector, data, options, done),
      flush: (done) => this.#flush(client, done),
      discard: (sector, count, options, done) => {
        const data = new Uint8Array(Math.max(0, count) * this.geometry.sectorSize);
        this.#write(client, sector, data, options, done);
      },
      fence: (token, done) => this.#setFence(client, token, done),
    };
  }

  /** The host died: what it had in flight is done, in part, or not. */
  cut(client: Client): void {
    for (const request of this.#inFlight) {
      if (request.client !== client) continue;
      this.#inFlight.delete(request);
      if (this.#random.chance(0.7)) request.apply(this.#random.chance(0.6));
    }
  }

  /** The cache is lost: of each sector, any content since the last flush is left. */
  losePower(): void {
    const { sectorSize } = this.geometry;
    for (const [sector, versions] of this.#cache) {
      const kept = this.#random.below(versions.length + 1);
      if (kept < versions.length) this.#durable.set(versions[kept].data, sector * sectorSize);
    }
    this.#cache.clear();
    this.bytes.set(this.#durable);
  }

  #read(client: Client, sector: number, count: number, done: Done<Uint8Array>): void {
    const { sectorSize } = this.geometry;
    this.#perform(client, done, () => {
      const error = rangeError(this.geometry, sector, count);
      if (error) return { ok: false, error };
      return { ok: true, value: this.bytes.slice(sector * sectorSize, (sector + count) * sectorSize) };
    });
  }

  #write(client: Client, sector: number, data: Uint8Array, options: WriteOptions, done: Done): void {
    const count = data.length / this.geometry.sectorSize;
    const copy = data.slice();
    const apply = (torn: boolean): void => {
      if (this.#isFenced(options)) return;
      for (let at = 0; at < count; at++) {
        if (!torn || this.#random.chance(0.5)) this.#put(sector + at, copy, at, options.fua ?? false);
      }
    };
    const check = (): Result<void> | undefined => {
      const error = writeError(this.geometry, sector, data);
      if (error) return { ok: false, error };
      if (this.#isFenced(options)) return failure("fenced", `token ${options.token} is too old`);
      if (this.full) return failure("no-space", "simulated: full");
      if (!this.#random.chance(this.errorRate)) return undefined;
      apply(true);
      return failure("io", "simulated: write error");
    };
    this.#perform(
      client,
      done,
      () => {
        const error = check();
        if (error) return error;
        apply(false);
        return succeeded;
      },
      apply,
    );
  }

  #put(sector: number, data: Uint8Array, at: number, durable: boolean): void {
    const { sectorSize } = this.geometry;
    const content = data.slice(at * sectorSize, (at + 1) * sectorSize);
    this.bytes.set(content, sector * sectorSize);
    if (durable) {
      this.#durable.set(content, sector * sectorSize);
      this.#cache.delete(sector);
      return;
    }
    const version = { order: this.#order++, data: content };
    const versions = this.#cache.get(sector);
    if (versions === undefined) this.#cache.set(sector, [version]);
    else versions.push(version);
  }

  #flush(client: Client, done: Done): void {
    const until = this.#order;
    this.#perform(client, done, () => {
      if (this.#random.chance(this.errorRate)) return failure("io", "simulated: flush error");
      for (const [sector, versions] of this.#cache) {
        const covered = versions.findLast((version) => version.order < until);
        if (covered === undefined) continue;
        this.#durable.set(covered.data, sector * this.geometry.sectorSize);
        const left = versions.filter((version) => version.order >= until);
        if (left.length === 0) this.#cache.delete(sector);
        else this.#cache.set(sector, left);
      }
      return succeeded;
    });
  }

  #setFence(client: Client, token: number, done: Done): void {
    this.#perform(client, done, () => {
      if (token < this.#fence) return failure("fenced", `the fence is at ${this.#fence}`);
      this.#fence = token;
      return succeeded;
    });
  }

  #isFenced(options: WriteOptions): boolean {
    return this.fencing && options.token !== undefined && options.token < this.#fence;
  }

  #perform<T>(
    client: Client,
    done: Done<T>,
    work: () => Result<T>,
    apply: (torn: boolean) => void = () => undefined,
  ): void {
    const request: InFlight = { client, incarnation: client.incarnation, apply };
    this.#inFlight.add(request);
    this.#clock.schedule(1 + this.#random.below(this.latency), () => {
      if (!this.#inFlight.delete(request)) return;
      const result = work();
      if (client.alive && client.incarnation === request.incarnation) done(result);
    });
  }
}
