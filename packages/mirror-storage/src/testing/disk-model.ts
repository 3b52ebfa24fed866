// What a disk may hold, by the contract alone: the checker, which shares no code with what it checks.
//
// Every write of the simulated guest has a number, and every sector it writes says so. A sector is therefore one of: as some
// write left it, never written (zeros), or garbage.

/** Number of "never written", and of what a discard leaves. */
const zeroes = 0;

interface Version {
  readonly write: number;
  /** Order of the completion. */
  readonly completed: number;
  /** It failed: it may have left this, or not. */
  readonly doubtful?: true;
}

interface Outstanding {
  readonly write: number;
  readonly sector: number;
  readonly count: number;
}

/** What a checkpoint may be gone back to: by sector, the writes it may show. */
export interface Snapshot {
  readonly allowed: readonly ReadonlySet<number>[];
  readonly outstanding: readonly Outstanding[];
}

export class DiskModel {
  readonly sectorSize: number;
  readonly sectorCount: number;
  /** By sector: completed contents since the last flush, oldest first. Never empty. */
  #history: Version[][];
  readonly #outstanding = new Map<number, Outstanding>();
  #completions = 1;

  constructor(sectorSize: number, sectorCount: number) {
    this.sectorSize = sectorSize;
    this.sectorCount = sectorCount;
    this.#history = Array.from({ length: sectorCount }, () => [{ write: zeroes, completed: 0 }]);
  }

  /** The bytes that the numbered write leaves in sectors. Write 0 leaves zeros. */
  pattern(write: number, sector: number, count: number): Uint8Array {
    const bytes = new Uint8Array(count * this.sectorSize);
    if (write === zeroes) return bytes;
    const view = new DataView(bytes.buffer);
    for (let i = 0; i < count; i++) {
      for (let at = 0; at < this.sectorSize; at += 8) {
        view.setUint32(i * this.sectorSize + at, write, true);
        view.setUint32(i * this.sectorSize + at + 4, (sector + i) ^ Math.imul(write + at, 0x9e3779b1), true);
      }
    }
    return bytes;
  }

  /** Which write the bytes of a sector are from; undefined: garbage. */
  observe(sector: number, bytes: Uint8Array): number | undefined {
    const write = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
    const expected = this.pattern(write, sector, 1);
    return expected.every((byte, at) => byte === bytes[at]) ? write : undefined;
  }

  submitted(write: number, sector: number, count: number): void {
    this.#outstanding.set(write, { write, sector, count });
  }

  /** `content` is what it leaves: its own number, or 0 for a discard. */
  completed(write: number, ok: boolean, content: number = write): void {
    const request = this.#outstanding.get(write);
    if (request === undefined) return;
    this.#outstanding.delete(write);
    const completed = this.#completions++;
    for (let at = request.sector; at < request.sector + request.count; at++) {
      this.#history[at].push(ok ? { write: content, completed } : { write: content, completed, doubtful: true });
    }
  }

  /** To be given to `flushed`, if the flush that is submitted now succeeds. */
  flushSubmitted(): number {
    return this.#completions;
  }

  flushed(submitted: number): void {
    this.#history = this.#history.map((versions) => {
      const last = versions.findLastIndex(({ completed, doubtful }) => completed < submitted && !doubtful);
      return last > 0 ? versions.slice(last) : versions;
    });
  }

  snapshot(): Snapshot {
    const current = (versions: Version[]): Version[] => versions.slice(versions.findLastIndex((one) => !one.doubtful));
    return { allowed: this.#allowed(current), outstanding: [...this.#outstanding.values()] };
  }

  /** What may be left when the power was lost. */
  afterPowerLoss(): Snapshot {
    return { allowed: this.#allowed((versions) => versions), outstanding: [] };
  }

  #allowed(which: (versions: Version[]) => Version[]): Set<number>[] {
    const allowed = this.#history.map((versions) => new Set(which(versions).map((version) => version.write)));
    for (const { write, sector, count } of this.#outstanding.values()) {
      for (let at = sector; at < sector + count; at++) allowed[at].add(write).add(zeroes);
    }
    return allowed;
  }

  /** The complaint about sectors that the snapshot does not allow. */
  check(snapshot: Snapshot, bytes: Uint8Array, first = 0): string | undefined {
    for (let at = 0; at * this.sectorSize < bytes.length; at++) {
      const observed = this.observe(first + at, bytes.subarray(at * this.sectorSize, (at + 1) * this.sectorSize));
      const allowed = snapshot.allowed[first + at];
      if (observed !== undefined && allowed.has(observed)) continue;
      return `sector ${first + at} is of write ${observed ?? "none"}, may be of ${[...allowed].join(", ")}`;
    }
    return undefined;
  }

  /** The machine was set back, or restarted: this is its disk now, and nothing is outstanding. */
  resetTo(bytes: Uint8Array): void {
    this.#outstanding.clear();
    for (let at = 0; at < this.sectorCount; at++) {
      const write = this.observe(at, bytes.subarray(at * this.sectorSize, (at + 1) * this.sectorSize)) ?? zeroes;
      this.#history[at] = [{ write, completed: 0 }];
    }
  }
}
