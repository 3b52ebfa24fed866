// A machine small enough to simulate by the thousand: a few short pages, a network card, a disk, and a program that keeps
// numbers for its clients. All it knows lies in its pages and its state, as with a real one.
//
//   page 0           clients: last sequence, its value, the sequence that waits for the disk and its value, generation
//   page 1, 2        by sector of the disk: number of the last write completed, of the one outstanding
//   pages 3 to 6     counters that it increments as it goes
//   the last pages   a cache, purgeable; it says of each page which client's value it has
import type { BlockDevice } from "@doppel/mirror-storage";
import type { Checkpointable, Standing } from "../checkpointable.ts";
import type { Sent } from "../adapter/virtual-function.ts";
import type { History } from "./history.ts";

export const toyPageBytes = 256;
export const toyPageCount = 16;
export const toyClients = 8;
export const toySectors = 48;
export const toySectorBytes = 64;
const cachePages = [12, 13, 14, 15] as const;
const clientWords = 5;

/** Ethernet header, then what is asked or answered, as numbers of 32 bits. */
const headerBytes = 14;

export interface Request {
  readonly client: number;
  readonly sequence: number;
  /** To be kept; undefined: asks for what is kept. */
  readonly value: number | undefined;
  /** How often the client began anew. */
  readonly generation: number;
}

export interface Reply {
  readonly client: number;
  readonly sequence: number;
  readonly value: number;
  /** The machine never heard of requests that it must have answered; the value is the last sequence it knows. */
  readonly reset: boolean;
  /** Where in the machine's history it was said. */
  readonly node: number;
  /** Of the last request that the machine heard of the client. */
  readonly generation: number;
}

export function encodeRequest(request: Request): Uint8Array {
  const { client, sequence, value, generation } = request;
  return frameOf([client, sequence, value === undefined ? 0 : 1, value ?? 0, generation]);
}

export function decodeReply(frame: Uint8Array): Reply {
  const [client, sequence, value, reset, node, generation] = numbersIn(frame);
  return { client, sequence, value, reset: reset === 1, node, generation };
}

/** From the machine's MAC, 02:00:00:00:00:01. */
function frameOf(numbers: readonly number[]): Uint8Array {
  const frame = new Uint8Array(headerBytes + 4 * numbers.length);
  frame[6] = 2;
  frame[11] = 1;
  const view = new DataView(frame.buffer);
  for (const [at, number] of numbers.entries()) view.setUint32(headerBytes + 4 * at, number, true);
  return frame;
}

function numbersIn(frame: Uint8Array): number[] {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  return Array.from({ length: (frame.length - headerBytes) >> 2 }, (_, at) =>
    view.getUint32(headerBytes + 4 * at, true),
  );
}

/** The bytes that the numbered write leaves in a sector. Write 0 leaves zeros. */
export function sectorPattern(write: number, sector: number): Uint8Array {
  const words = new Uint32Array(toySectorBytes / 4);
  if (write !== 0) {
    words.fill(write);
    words[1] = (write ^ Math.imul(sector + 1, 0x9e3779b1)) >>> 0;
  }
  return new Uint8Array(words.buffer);
}

export interface ToyPorts {
  readonly history: History;
  /** A frame for the network card; what is full or refused is lost, as on a wire. */
  readonly transmit: (frame: Uint8Array) => Sent;
}

export class ToyMachine implements Checkpointable {
  readonly pageBytes: number = toyPageBytes;
  readonly pageCount: number = toyPageCount;
  readonly configuration: string = "toy 1";
  readonly memory: Uint8Array = new Uint8Array(toyPageBytes * toyPageCount);
  readonly #words = new Uint32Array(this.memory.buffer);
  readonly #dirty = new Set<number>();
  readonly #ports: ToyPorts;
  /** Pages whose writes are not logged: a negative control. */
  blindPage: number | undefined;
  #running = false;
  /** Counts lives: what was asked for in an earlier one is not answered in this. */
  #life = 0;
  #waiting: (() => void)[] = [];
  disk: BlockDevice | undefined;
  // The state.
  node = 0;
  #nextWrite = 1;
  /** The cache is designated as purgeable. */
  #cacheIsPurgeable = false;
  /** It lost its content since the program looked last. */
  #cacheIsEmpty = false;
  /** How often the program found its cache empty and went on. */
  rebuilt = 0;

  constructor(ports: ToyPorts) {
    this.#ports = ports;
  }

  get isRunning(): boolean {
    return this.#running;
  }

  // --- Checkpointable -------------------------------------------------------------------------------------------------

  stop(done: () => void): void {
    this.#running = false;
    done();
  }

  run(): void {
    this.#running = true;
    while (this.#running && this.#waiting.length > 0) this.#waiting.shift()!();
  }

  get dirtyPages(): number {
    return this.#dirty.size;
  }

  takeDirtyPages(): Uint32Array {
    const pages = Uint32Array.from(this.#dirty).sort();
    this.#dirty.clear();
    return pages;
  }

  standing(page: number): Standing {
    return this.#cacheIsPurgeable && page >= cachePages[0] ? "purgeable" : "kept";
  }

  readPage(page: number, into: Uint8Array): void {
    into.set(this.memory.subarray(page * toyPageBytes, (page + 1) * toyPageBytes));
  }

  writePage(page: number, content: Uint8Array): void {
    this.memory.set(content, page * toyPageBytes);
  }

  saveState(): Uint8Array {
    const flags = Number(this.#cacheIsPurgeable) | (Number(this.#cacheIsEmpty) << 1);
    return new Uint8Array(new Uint32Array([this.node, this.#nextWrite, flags, this.rebuilt]).buffer);
  }

  loadState(state: Uint8Array): string | undefined {
    if (state.length !== 16) return "a state of the wrong length";
    this.#forget();
    const [node, nextWrite, flags, rebuilt] = new Uint32Array(state.slice().buffer);
    this.node = node;
    this.#nextWrite = nextWrite;
    this.#cacheIsPurgeable = (flags & 1) !== 0;
    this.#cacheIsEmpty = (flags & 2) !== 0;
    this.rebuilt = rebuilt;
    return undefined;
  }

  restored(): void {
    if (this.#cacheIsPurgeable) {
      this.#cacheIsEmpty = true;
      this.memory.fill(0, cachePages[0] * toyPageBytes);
    }
    this.#defer(() => {
      for (let sector = toyClients; sector < toySectors; sector++) {
        const write = this.#outstanding(sector);
        if (write !== 0) this.#writeSectors(sector, 1, write);
      }
      for (let client = 0; client < toyClients; client++) {
        const pending = this.#client(client, 2);
        if (pending !== 0) this.#save(client, pending);
      }
    });
  }

  /** A machine that is switched on: what it knows is on its disk. */
  boot(done: () => void): void {
    this.#forget();
    this.memory.fill(0);
    this.node = this.#ports.history.extend(0);
    this.#nextWrite = (this.node * 65_536) >>> 0;
    this.#cacheIsPurgeable = this.#cacheIsEmpty = false;
    this.disk?.read(0, toySectors, (result) => {
      if (!result.ok) return this.boot(done);
      for (let sector = 0; sector < toySectors; sector++) {
        const [write, , value, sequence] = new Uint32Array(
          result.value.slice(sector * toySectorBytes, (sector + 1) * toySectorBytes).buffer,
        );
        this.#poke(1, 2 * sector, write);
        if (sector >= toyClients || write === 0) continue;
        this.#setClient(sector, 0, sequence);
        this.#setClient(sector, 1, value);
      }
      for (let page = 0; page < toyPageCount; page++) this.#dirty.add(page);
      done();
    });
  }

  /** Its host died, or another one runs it. */
  halt(): void {
    this.#running = false;
    this.#forget();
  }

  #forget(): void {
    this.#life++;
    this.#waiting = [];
  }

  // --- The program ----------------------------------------------------------------------------------------------------

  /** Does it as soon as the machine runs. */
  #defer(run: () => void): void {
    const life = this.#life;
    const due = (): void => {
      if (life === this.#life) run();
    };
    if (this.#running) due();
    else if (this.#waiting.length < 64) this.#waiting.push(due);
  }

  #step(): void {
    this.node = this.#ports.history.extend(this.node);
    const counter = this.node % 4;
    this.poke(3 + counter, this.node % 60, this.node);
  }

  /** A frame came in. */
  receive(frame: Uint8Array): void {
    this.#defer(() => {
      const [client, sequence, isPut, value, generation] = numbersIn(frame);
      this.#step();
      // From before the client began anew, and late: its sequence numbers are used again.
      if (generation < this.#client(client, 4)) return;
      this.#setClient(client, 4, generation);
      const last = this.#client(client, 0);
      const pending = this.#client(client, 2);
      if (sequence > Math.max(last, pending) + 1) return this.#reply(client, sequence, last, true);
      if (sequence === pending) return;
      if (sequence === last) return this.#reply(client, sequence, this.#client(client, 1));
      if (sequence !== last + 1) return;
      if (isPut === 0) {
        this.#setClient(client, 0, sequence);
        return this.#reply(client, sequence, this.#client(client, 1));
      }
      this.#setClient(client, 2, sequence);
      this.#setClient(client, 3, value);
      this.#save(client, sequence);
    });
  }

  /** Writes what a client wants to be kept, flushes, and answers. */
  #save(client: number, sequence: number): void {
    const write = this.#outstanding(client) || this.#nextWrite++;
    const value = this.#client(client, 3);
    const data = sectorPattern(write, client);
    new DataView(data.buffer).setUint32(8, value, true);
    new DataView(data.buffer).setUint32(12, sequence, true);
    this.#poke(1, 2 * client + 1, write);
    const again = (): void => {
      if (this.#client(client, 2) === sequence) this.#save(client, sequence);
    };
    this.#request(
      (done) => this.disk!.write(client, data, {}, done),
      again,
      () => {
        this.#poke(1, 2 * client, write);
        this.#poke(1, 2 * client + 1, 0);
        this.#request(
          (done) => this.disk!.flush(done),
          again,
          () => {
            if (this.#client(client, 2) !== sequence) return;
            this.#setClient(client, 0, sequence);
            this.#setClient(client, 1, value);
            this.#setClient(client, 2, 0);
            this.#fillCache(client);
            this.#reply(client, sequence, value);
          },
        );
      },
    );
  }

  /** Something happens that no client asked for. */
  tick(sector: number, count: number): void {
    this.#defer(() => {
      this.#step();
      const first = toyClients + (sector % (toySectors - toyClients));
      const end = Math.min(first + count, toySectors);
      for (let at = first; at < end; at++) if (this.#outstanding(at) !== 0) return;
      if (end > first) this.#writeSectors(first, end - first, this.#nextWrite++);
      this.#transmit([0xffff, 0, 0, 0, this.node, 0]);
    });
  }

  /** Designates the cache as purgeable, or takes that back. */
  setCachePurgeable(purgeable: boolean): void {
    this.#defer(() => {
      this.#step();
      this.#cacheIsPurgeable = purgeable;
      for (const page of cachePages) this.#dirty.add(page);
      this.#lookAtCache();
    });
  }

  #lookAtCache(): void {
    if (!this.#cacheIsEmpty) return;
    this.#cacheIsEmpty = false;
    this.rebuilt++;
    for (let client = 0; client < toyClients; client++) this.#fillCache(client);
  }

  #fillCache(client: number): void {
    if (this.#cacheIsEmpty) return this.#lookAtCache();
    this.poke(cachePages[client % 4], client, this.#client(client, 1));
  }

  /** What the cache has of a client: its value, or 0 where it was never filled. */
  cached(client: number): number {
    return this.#words[(cachePages[client % 4] * toyPageBytes) / 4 + client];
  }

  get cacheIsEmpty(): boolean {
    return this.#cacheIsEmpty;
  }

  #writeSectors(first: number, count: number, write: number): void {
    const data = new Uint8Array(count * toySectorBytes);
    for (let at = 0; at < count; at++) {
      data.set(sectorPattern(write, first + at), at * toySectorBytes);
      this.#poke(1, 2 * (first + at) + 1, write);
    }
    const again = (): void => this.#writeSectors(first, count, write);
    this.#request(
      (done) => this.disk!.write(first, data, {}, done),
      again,
      () => {
        this.#step();
        for (let at = first; at < first + count; at++) {
          this.#poke(1, 2 * at, write);
          this.#poke(1, 2 * at + 1, 0);
        }
      },
    );
  }

  /** Asks the disk, and goes on in the life that it was asked in; again, after a failure. */
  #request(
    ask: (done: (result: { readonly ok: boolean; readonly error?: { kind: string } }) => void) => void,
    again: () => void,
    done: () => void,
  ): void {
    const life = this.#life;
    ask((result) => {
      if (life !== this.#life) return;
      if (!result.ok && result.error?.kind === "halted") return;
      this.#defer(result.ok ? done : again);
    });
  }

  #reply(client: number, sequence: number, value: number, reset = false): void {
    this.#transmit([client, sequence, value, Number(reset), this.node, this.#client(client, 4)]);
  }

  #transmit(numbers: readonly number[]): void {
    this.#ports.transmit(frameOf(numbers));
  }

  #client(client: number, word: number): number {
    return this.#words[client * clientWords + word];
  }

  #setClient(client: number, word: number, value: number): void {
    this.#poke(0, client * clientWords + word, value);
  }

  #outstanding(sector: number): number {
    return this.#words[toyPageBytes / 4 + 2 * sector + 1];
  }

  /** Writes a word, given its place from the beginning of a page; it may lie in a later one. */
  #poke(page: number, word: number, value: number): void {
    this.poke(page + Math.floor((4 * word) / toyPageBytes), word % (toyPageBytes / 4), value);
  }

  /** Writes a word of a page, as an instruction of the guest would. */
  poke(page: number, word: number, value: number): void {
    this.#words[(page * toyPageBytes) / 4 + word] = value;
    if (page !== this.blindPage && this.standing(page) === "kept") this.#dirty.add(page);
  }

  // --- For the checkers -----------------------------------------------------------------------------------------------

  /** The complaint about a disk that is not the one this machine has written. */
  checkDisk(bytes: Uint8Array): string | undefined {
    for (let sector = 0; sector < toySectors; sector++) {
      const observed = new DataView(bytes.buffer, bytes.byteOffset).getUint32(sector * toySectorBytes, true);
      const content = bytes.subarray(sector * toySectorBytes, (sector + 1) * toySectorBytes);
      const expected = sectorPattern(observed, sector);
      // Clients' sectors say more than which write they are of.
      if (sector < toyClients && observed !== 0) expected.set(content.subarray(8, 16), 8);
      const whole = expected.every((byte, at) => byte === content[at]);
      const completed = this.#words[toyPageBytes / 4 + 2 * sector];
      const outstanding = this.#outstanding(sector);
      if (whole && (observed === completed || observed === outstanding)) continue;
      return `sector ${sector} is of write ${whole ? observed : "none"}, not ${completed} or ${outstanding}`;
    }
    return undefined;
  }
}
