// A machine without a processor: a key-value service over TCP whose every byte lies in checkpointed pages. It stands where a
// virtual machine will, to try a pair out and to test its processes: it has memory, a network card, a disk, and state that
// is lost when its memory is.
//
// Over a connection, a line asks and a line answers: `set KEY VALUE`, `get KEY`, `incr KEY`. A change is answered when it
// has been written and flushed. Its TCP (RFC 9293) is the least that is correct: data in order, everything unacknowledged
// is sent again when time passes without progress.
//
//   page 0        globals        1   connections, 128 bytes each     2, 3  a line of input each, 512 bytes
//   4 to 67       what is sent and not acknowledged, 16 KiB a connection
//   68 to 131     entries, 512 bytes each: a sector of the disk each
//   132           by entry: the connection that waits for the disk, plus one
import type { BlockDevice } from "@doppel/mirror-storage";
import type { Checkpointable, Sent, Standing } from "@doppel/ha-checkpoint";

const PAGE_BYTES = 4096;
const PAGES = 256;
const CONNECTIONS = 16;
const LINE_BYTES = 512;
const SEND_BYTES = 16_384;
export const ENTRIES = 512;
export const ENTRY_BYTES = 512;
const KEY_BYTES = 64;

const connectionsAt = PAGE_BYTES;
const linesAt = 2 * PAGE_BYTES;
const buffersAt = 4 * PAGE_BYTES;
const entriesAt = 68 * PAGE_BYTES;
const waitersAt = 132 * PAGE_BYTES;

/** Of a connection, as offsets from its beginning. */
const field = {
  state: 0,
  peerAddress: 4,
  peerPort: 8,
  peerMacHigh: 12,
  peerMacLow: 16,
  /** First byte not acknowledged, and first not sent. */
  unacknowledged: 20,
  next: 24,
  received: 28,
  window: 32,
  /** Bytes in the buffer, which begins at a multiple of its size. */
  head: 36,
  buffered: 40,
  line: 44,
  /** As it was at the last tick. */
  before: 48,
  waiting: 52,
  ending: 56,
} as const;

const states = { free: 0, opening: 1, open: 2 } as const;
const flags = { fin: 1, syn: 2, rst: 4, push: 8, ack: 16 } as const;
const SEGMENT_BYTES = 1400;
const TICK_MS = 50;

export interface ModelOptions {
  readonly mac: string;
  /** "10.0.2.15" */
  readonly address: string;
  readonly port: number;
  readonly transmit: (frame: Uint8Array) => Sent;
}

export class ModelMachine implements Checkpointable {
  readonly pageBytes: number = PAGE_BYTES;
  readonly pageCount: number = PAGES;
  readonly configuration: string;
  /** What it keeps its entries on. */
  disk: BlockDevice | undefined;
  readonly #bytes = new Uint8Array(PAGE_BYTES * PAGES);
  readonly #view = new DataView(this.#bytes.buffer);
  readonly #dirty = new Set<number>();
  readonly #mac: Uint8Array;
  readonly #address: number;
  readonly #port: number;
  readonly #transmit: (frame: Uint8Array) => Sent;
  #running = false;
  /** Counts lives: what the disk was asked in an earlier one is not answered in this. */
  #life = 0;
  #waiting: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ModelOptions) {
    this.#mac = Uint8Array.from(options.mac.split(":"), (part) => Number.parseInt(part, 16));
    this.#address = options.address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
    this.#port = options.port;
    this.#transmit = options.transmit;
    this.configuration = `model 1, ${options.mac}, ${options.address}:${options.port}`;
  }

  // --- Checkpointable -------------------------------------------------------------------------------------------------

  stop(done: () => void): void {
    this.#running = false;
    clearInterval(this.#timer);
    this.#timer = undefined;
    done();
  }

  run(): void {
    this.#running = true;
    this.#timer ??= setInterval(() => this.#tick(), TICK_MS);
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

  standing(): Standing {
    return "kept";
  }

  readPage(page: number, into: Uint8Array): void {
    into.set(this.#bytes.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES));
  }

  writePage(page: number, content: Uint8Array): void {
    this.#bytes.set(content, page * PAGE_BYTES);
  }

  saveState(): Uint8Array {
    return new Uint8Array([1]);
  }

  loadState(state: Uint8Array): string | undefined {
    this.#forget();
    return state.length === 1 && state[0] === 1 ? undefined : "no state of a model machine";
  }

  restored(): void {
    this.#defer(() => {
      for (let entry = 0; entry < ENTRIES; entry++) {
        if (this.#get(waitersAt + 4 * entry) !== 0) this.#save(entry);
      }
    });
  }

  /** Switched on: knows what is on its disk. */
  boot(done: () => void): void {
    this.#forget();
    this.#bytes.fill(0);
    for (let page = 0; page < PAGES; page++) this.#dirty.add(page);
    this.disk?.read(0, ENTRIES, (result) => {
      if (result.ok) this.#bytes.set(result.value, entriesAt);
      done();
    });
  }

  #forget(): void {
    this.#life++;
    this.#waiting = [];
  }

  /** Does it as soon as the machine runs. */
  #defer(run: () => void): void {
    const life = this.#life;
    const due = (): void => {
      if (life === this.#life) run();
    };
    if (this.#running) due();
    else if (this.#waiting.length < 1024) this.#waiting.push(due);
  }

  #get(address: number): number {
    return this.#view.getUint32(address, true);
  }

  #set(address: number, value: number): void {
    this.#view.setUint32(address, value >>> 0, true);
    this.#dirty.add(Math.floor(address / PAGE_BYTES));
  }

  #store(address: number, bytes: Uint8Array): void {
    this.#bytes.set(bytes, address);
    const last = Math.floor((address + bytes.length - 1) / PAGE_BYTES);
    for (let page = Math.floor(address / PAGE_BYTES); page <= last; page++) this.#dirty.add(page);
  }

  // --- The network card -----------------------------------------------------------------------------------------------

  receive(frame: Uint8Array): void {
    this.#defer(() => {
      const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
      if (frame.length < 42) return;
      const type = view.getUint16(12);
      if (type === 0x0806) this.#arp(frame, view);
      else if (type === 0x0800 && frame[23] === 6 && view.getUint32(30) === this.#address) this.#segment(frame, view);
    });
  }

  /** ARP (RFC 826): says who has the address. */
  #arp(frame: Uint8Array, view: DataView): void {
    if (view.getUint16(20) !== 1 || view.getUint32(38) !== this.#address) return;
    const reply = frame.slice(0, 42);
    reply.set(frame.subarray(6, 12), 0);
    reply.set(this.#mac, 6);
    reply[21] = 2;
    reply.set(this.#mac, 22);
    new DataView(reply.buffer).setUint32(28, this.#address);
    reply.set(frame.subarray(22, 32), 32);
    this.#transmit(reply);
  }

  #segment(frame: Uint8Array, view: DataView): void {
    const tcp = 14 + (frame[14] & 15) * 4;
    const end = 14 + view.getUint16(16);
    if (end > frame.length || tcp + 20 > end || view.getUint16(tcp + 2) !== this.#port) return;
    const from = { address: view.getUint32(26), port: view.getUint16(tcp) };
    const data = tcp + (frame[tcp + 12] >> 4) * 4;
    if (data > end) return;
    const segment = {
      sequence: view.getUint32(tcp + 4),
      acknowledged: view.getUint32(tcp + 8),
      flags: frame[tcp + 13],
      window: view.getUint16(tcp + 14),
      data: frame.subarray(data, end),
    };
    let at = this.#find(from.address, from.port);
    if (segment.flags & flags.rst) {
      if (at !== undefined) this.#set(at + field.state, states.free);
      return;
    }
    if (segment.flags & flags.syn) {
      at ??= this.#find(0, 0);
      if (at === undefined) return;
      if (this.#get(at + field.state) === states.free) this.#open(at, from, frame, segment.sequence);
      return this.#emit(at, this.#get(at + field.unacknowledged) - 1, flags.syn | flags.ack);
    }
    if (at === undefined) return;
    this.#set(at + field.state, states.open);
    this.#set(at + field.window, segment.window);
    this.#acknowledge(at, segment.acknowledged);
    if (segment.data.length > 0 || segment.flags & flags.fin) this.#data(at, segment);
    this.#send(at);
  }

  /** A connection by its peer, or a free one by zeros. */
  #find(address: number, port: number): number | undefined {
    for (let i = 0; i < CONNECTIONS; i++) {
      const at = connectionsAt + 128 * i;
      const isFree = this.#get(at + field.state) === states.free;
      if (port === 0 ? isFree : !isFree && this.#is(at, address, port)) return at;
    }
    return undefined;
  }

  #is(at: number, address: number, port: number): boolean {
    return this.#get(at + field.peerAddress) === address && this.#get(at + field.peerPort) === port;
  }

  #open(at: number, from: { address: number; port: number }, frame: Uint8Array, sequence: number): void {
    this.#store(at, new Uint8Array(128));
    this.#set(at + field.state, states.opening);
    this.#set(at + field.peerAddress, from.address);
    this.#set(at + field.peerPort, from.port);
    const mac = new DataView(frame.buffer, frame.byteOffset + 6, 6);
    this.#set(at + field.peerMacHigh, mac.getUint32(0));
    this.#set(at + field.peerMacLow, mac.getUint16(4));
    this.#set(0, this.#get(0) + 64_000);
    // The SYN takes a number, and is the one before the first byte.
    this.#set(at + field.unacknowledged, this.#get(0) + 1);
    this.#set(at + field.next, this.#get(0) + 1);
    this.#set(at + field.received, sequence + 1);
  }

  #acknowledge(at: number, acknowledged: number): void {
    const gained = (acknowledged - this.#get(at + field.unacknowledged)) | 0;
    const buffered = this.#get(at + field.buffered);
    // The FIN takes a number after the last byte.
    if (gained <= 0 || gained > buffered + this.#get(at + field.ending)) return;
    const bytes = Math.min(gained, buffered);
    this.#set(at + field.unacknowledged, acknowledged);
    this.#set(at + field.head, (this.#get(at + field.head) + bytes) % SEND_BYTES);
    this.#set(at + field.buffered, buffered - bytes);
    const behind = (this.#get(at + field.next) - acknowledged) | 0;
    if (behind < 0) this.#set(at + field.next, acknowledged);
    if (gained > bytes) this.#set(at + field.state, states.free);
  }

  #data(at: number, segment: { sequence: number; flags: number; data: Uint8Array }): void {
    const line = this.#get(at + field.line);
    const room = LINE_BYTES - line;
    const skip = (this.#get(at + field.received) - segment.sequence) | 0;
    const fresh = skip < 0 ? new Uint8Array() : segment.data.subarray(skip, skip + room);
    if (fresh.length > 0) {
      this.#store(linesAt + LINE_BYTES * this.#indexOf(at) + line, fresh);
      this.#set(at + field.line, line + fresh.length);
      this.#set(at + field.received, this.#get(at + field.received) + fresh.length);
      this.#lines(at);
    }
    const isWhole = skip >= 0 && skip + fresh.length === segment.data.length;
    if (segment.flags & flags.fin && isWhole && this.#get(at + field.ending) === 0) {
      this.#set(at + field.received, this.#get(at + field.received) + 1);
      this.#set(at + field.ending, 1);
    }
    this.#emit(at, this.#get(at + field.next), flags.ack);
  }

  #indexOf(at: number): number {
    return (at - connectionsAt) / 128;
  }

  // --- The service ----------------------------------------------------------------------------------------------------

  /** Does what whole lines ask for, one after the other. */
  #lines(at: number): void {
    const start = linesAt + LINE_BYTES * this.#indexOf(at);
    while (this.#get(at + field.waiting) === 0) {
      const length = this.#get(at + field.line);
      const end = this.#bytes.subarray(start, start + length).indexOf(10);
      if (end < 0) {
        if (length === LINE_BYTES) this.#set(at + field.line, 0);
        return;
      }
      const line = new TextDecoder().decode(this.#bytes.subarray(start, start + end));
      this.#store(start, this.#bytes.slice(start + end + 1, start + length));
      this.#set(at + field.line, length - end - 1);
      this.#ask(at, line.trim());
    }
  }

  #ask(at: number, line: string): void {
    const [verb, key = "", ...rest] = line.split(" ");
    const value = rest.join(" ");
    const isKey = key !== "" && new TextEncoder().encode(key).length <= KEY_BYTES;
    const entry = isKey ? this.#entry(key) : undefined;
    if (entry === undefined) return this.#answer(at, "error");
    const old = this.#text(entriesAt + ENTRY_BYTES * entry + KEY_BYTES + 12, 8);
    if (verb === "get") return this.#answer(at, old);
    if (verb !== "set" && verb !== "incr") return this.#answer(at, "error");
    // Somebody else's change of it is on its way to the disk.
    if (this.#get(waitersAt + 4 * entry) !== 0) return this.#answer(at, "busy");
    const bytes = new TextEncoder().encode(verb === "set" ? value : String(Number(old) + 1)).slice(0, 400);
    const base = entriesAt + ENTRY_BYTES * entry;
    this.#set(base + 8, bytes.length);
    this.#store(base + 12 + KEY_BYTES, bytes);
    this.#set(waitersAt + 4 * entry, this.#indexOf(at) + 1);
    this.#set(at + field.waiting, 1);
    this.#save(entry);
  }

  #text(address: number, lengthBefore: number): string {
    const base = address - KEY_BYTES - 12;
    const length = Math.min(400, this.#get(base + lengthBefore));
    return new TextDecoder().decode(this.#bytes.subarray(address, address + length));
  }

  /** The entry of a key, made if need be; undefined: all are taken. */
  #entry(key: string): number | undefined {
    const name = new TextEncoder().encode(key);
    let hash = 0x811c9dc5;
    for (const byte of name) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
    for (let probe = 0; probe < ENTRIES; probe++) {
      const entry = (hash + probe) % ENTRIES;
      const base = entriesAt + ENTRY_BYTES * entry;
      const length = this.#get(base + 4);
      if (length === 0) {
        this.#set(base + 4, name.length);
        this.#store(base + 12, name);
        return entry;
      }
      if (length === name.length && name.every((byte, at) => byte === this.#bytes[base + 12 + at])) return entry;
    }
    return undefined;
  }

  #save(entry: number): void {
    const life = this.#life;
    const base = entriesAt + ENTRY_BYTES * entry;
    const finish = (ok: boolean): void => {
      if (life !== this.#life) return;
      this.#defer(() => {
        const waiter = this.#get(waitersAt + 4 * entry) - 1;
        if (waiter < 0) return;
        const at = connectionsAt + 128 * waiter;
        this.#set(waitersAt + 4 * entry, 0);
        this.#set(at + field.waiting, 0);
        this.#answer(at, ok ? this.#text(base + 12 + KEY_BYTES, 8) : "error");
        this.#lines(at);
        this.#send(at);
      });
    };
    this.disk?.write(entry, this.#bytes.slice(base, base + ENTRY_BYTES), {}, (written) => {
      if (written.ok) this.disk?.flush((flushed) => finish(flushed.ok));
      else finish(false);
    });
  }

  #answer(at: number, text: string): void {
    const bytes = new TextEncoder().encode(`${text}\n`);
    const buffered = this.#get(at + field.buffered);
    if (this.#get(at + field.state) === states.free || buffered + bytes.length > SEND_BYTES) return;
    const buffer = buffersAt + SEND_BYTES * this.#indexOf(at);
    const tail = (this.#get(at + field.head) + buffered) % SEND_BYTES;
    const first = bytes.subarray(0, SEND_BYTES - tail);
    this.#store(buffer + tail, first);
    if (first.length < bytes.length) this.#store(buffer, bytes.subarray(first.length));
    this.#set(at + field.buffered, buffered + bytes.length);
  }

  // --- Sending --------------------------------------------------------------------------------------------------------

  /** Sends what may be sent. */
  #send(at: number): void {
    if (this.#get(at + field.state) !== states.open) return;
    for (;;) {
      // A frame that is sent may be answered before this goes on.
      const buffered = this.#get(at + field.buffered);
      const next = this.#get(at + field.next);
      const sent = (next - this.#get(at + field.unacknowledged)) | 0;
      const room = Math.min(buffered, this.#get(at + field.window)) - sent;
      if (room <= 0) break;
      const count = Math.min(room, SEGMENT_BYTES);
      const head = (this.#get(at + field.head) + sent) % SEND_BYTES;
      const buffer = buffersAt + SEND_BYTES * this.#indexOf(at);
      const payload = Uint8Array.from({ length: count }, (_, i) => this.#bytes[buffer + ((head + i) % SEND_BYTES)]);
      this.#set(at + field.next, next + count);
      this.#emit(at, next, flags.ack | flags.push, payload);
    }
    const outstanding = (this.#get(at + field.next) - this.#get(at + field.unacknowledged)) | 0;
    const isAllSent = outstanding === this.#get(at + field.buffered);
    if (this.#get(at + field.ending) === 1 && isAllSent && this.#get(at + field.waiting) === 0) {
      this.#emit(at, this.#get(at + field.next), flags.ack | flags.fin);
    }
  }

  /** What was not acknowledged since the last tick is sent again. */
  #tick(): void {
    for (let i = 0; i < CONNECTIONS; i++) {
      const at = connectionsAt + 128 * i;
      if (this.#get(at + field.state) !== states.open) continue;
      const unacknowledged = this.#get(at + field.unacknowledged);
      const isPending = this.#get(at + field.next) !== unacknowledged || this.#get(at + field.ending) === 1;
      if (isPending && this.#get(at + field.before) === unacknowledged) {
        this.#set(at + field.next, unacknowledged);
        this.#send(at);
      }
      if (this.#get(at + field.before) !== unacknowledged) this.#set(at + field.before, unacknowledged);
    }
  }

  #emit(at: number, sequence: number, bits: number, payload: Uint8Array = new Uint8Array()): void {
    const frame = new Uint8Array(54 + payload.length);
    const view = new DataView(frame.buffer);
    view.setUint32(0, this.#get(at + field.peerMacHigh));
    view.setUint16(4, this.#get(at + field.peerMacLow));
    frame.set(this.#mac, 6);
    view.setUint16(12, 0x0800);
    view.setUint8(14, 0x45);
    view.setUint16(16, 40 + payload.length);
    view.setUint8(22, 64);
    view.setUint8(23, 6);
    view.setUint32(26, this.#address);
    view.setUint32(30, this.#get(at + field.peerAddress));
    view.setUint16(24, checksum(frame.subarray(14, 34), 0));
    view.setUint16(34, this.#port);
    view.setUint16(36, this.#get(at + field.peerPort));
    view.setUint32(38, sequence >>> 0);
    view.setUint32(42, this.#get(at + field.received));
    view.setUint8(46, 0x50);
    view.setUint8(47, bits);
    view.setUint16(48, LINE_BYTES - this.#get(at + field.line));
    frame.set(payload, 54);
    // The pseudo-header: addresses, protocol, length.
    let sum = 6 + 20 + payload.length;
    for (let i = 26; i < 34; i += 2) sum += view.getUint16(i);
    view.setUint16(50, checksum(frame.subarray(34), sum));
    this.#transmit(frame);
  }
}

/** RFC 1071. */
function checksum(bytes: Uint8Array, seed: number): number {
  let sum = seed;
  for (let at = 0; at < bytes.length; at += 2) sum += (bytes[at] << 8) | (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return ~sum & 0xffff;
}
