// Watches the frames of the machine that passed the edge, and knows nothing of the pair's protocol: they must look as if
// one machine had sent them that was never set back.
//
// - Of a TCP connection, each byte of the sequence space has one value, however often it is sent (RFC 9293, 3.4).
// - What the machine acknowledged once, it acknowledges ever after; its clock (RFC 7323, timestamps) never goes back.
// - Each token belongs to one host, and no frame follows one with a newer token: never two active.
import type { CapturedFrame } from "./capture-reader.ts";

/** Bytes of a connection that are remembered: many times more than any window, so what is sent again is among them. */
const REMEMBERED_BYTES = 1 << 18;
const ETHERNET_BYTES = 14;
const flag = { fin: 1, syn: 2, rst: 4, ack: 16 } as const;

interface Connection {
  /** First sequence number, of which offsets are counted. */
  readonly start: number;
  readonly bytes: Uint8Array;
  /** Which offset a remembered byte is of, plus one. */
  readonly offsets: Float64Array;
  /** Highest offset seen, and the acknowledgement and timestamp last seen. */
  highest: number;
  acknowledged: number | undefined;
  timestamp: number | undefined;
}

/** How far b is ahead of a, in 32 bits that wrap. */
const ahead = (a: number, b: number): number => (b - a) | 0;

export class Tap {
  readonly #connections = new Map<string, Connection>();
  readonly #hosts = new Map<number, string>();
  #token = 0;
  frames = 0;
  /** Frames of hosts that were replaced, which the edge dropped. */
  fenced = 0;
  /** Frames that a machine sent which was set back. */
  readonly rolledBack: string[] = [];
  readonly doubleActive: string[] = [];
  /** Connections that the machine itself ended with RST. */
  readonly resets: string[] = [];

  see({ interface: where, frame, from }: CapturedFrame): void {
    if (from === undefined) return;
    if (where === "fenced") {
      this.fenced++;
      return;
    }
    this.frames++;
    const { host, token } = from;
    const owner = this.#hosts.get(token) ?? host;
    this.#hosts.set(token, owner);
    if (owner !== host) this.doubleActive.push(`${owner} and ${host} both sent with token ${token}`);
    if (token < this.#token)
      this.doubleActive.push(`a frame of ${host} with token ${token} after token ${this.#token}`);
    this.#token = Math.max(this.#token, token);
    this.#tcp(frame);
  }

  #tcp(frame: Uint8Array): void {
    const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
    if (frame.length < 54 || view.getUint16(12) !== 0x0800 || frame[23] !== 6) return;
    const tcp = ETHERNET_BYTES + (frame[ETHERNET_BYTES] & 15) * 4;
    const end = Math.min(frame.length, ETHERNET_BYTES + view.getUint16(16));
    if (tcp + 20 > end) return;
    const name = `port ${view.getUint16(tcp)} to ${view.getUint32(30)}:${view.getUint16(tcp + 2)}`;
    const sequence = view.getUint32(tcp + 4);
    const flags = view.getUint8(tcp + 13);
    const data = tcp + (frame[tcp + 12] >> 4) * 4;
    const payload = frame.subarray(Math.min(data, end), end);
    let connection = this.#connections.get(name);
    if (flags & flag.rst) {
      if (connection !== undefined) this.resets.push(name);
      this.#connections.delete(name);
      return;
    }
    const isNew = (flags & flag.syn) !== 0 && connection?.start !== sequence;
    if (connection === undefined || isNew) {
      connection = {
        start: sequence,
        bytes: new Uint8Array(REMEMBERED_BYTES),
        offsets: new Float64Array(REMEMBERED_BYTES),
        highest: 0,
        acknowledged: undefined,
        timestamp: undefined,
      };
      this.#connections.set(name, connection);
    }
    if (flags & flag.syn) return;
    this.#content(name, connection, sequence, payload);
    if (flags & flag.ack) this.#acknowledgement(name, connection, view.getUint32(tcp + 8));
    const timestamp = timestampOf(frame.subarray(tcp + 20, Math.min(data, end)));
    if (timestamp !== undefined) {
      const { timestamp: before } = connection;
      if (before !== undefined && ahead(before, timestamp) < 0) {
        this.rolledBack.push(`${name}: the machine's clock went from ${before} to ${timestamp}`);
      }
      connection.timestamp = timestamp;
    }
  }

  #content(name: string, connection: Connection, sequence: number, payload: Uint8Array): void {
    const { start, bytes, offsets } = connection;
    // Offsets go on where 32 bits end.
    const last = (start + connection.highest) >>> 0;
    const first = connection.highest + ahead(last, sequence);
    connection.highest = Math.max(connection.highest, first + payload.length);
    for (const [i, byte] of payload.entries()) {
      const offset = first + i;
      if (offset < 0) continue;
      const at = offset % REMEMBERED_BYTES;
      if (offsets[at] === offset + 1 && bytes[at] !== byte) {
        this.rolledBack.push(`${name}: byte ${offset} was ${bytes[at]}, and is ${byte} when it is sent again`);
        return;
      }
      if (offsets[at] > offset + 1) continue;
      offsets[at] = offset + 1;
      bytes[at] = byte;
    }
  }

  #acknowledgement(name: string, connection: Connection, acknowledged: number): void {
    const { acknowledged: before } = connection;
    if (before !== undefined && ahead(before, acknowledged) < 0) {
      this.rolledBack.push(`${name}: acknowledged ${before}, and then ${acknowledged}`);
    }
    connection.acknowledged = acknowledged;
  }
}

/** TSval of RFC 7323, among a segment's options. */
function timestampOf(options: Uint8Array): number | undefined {
  for (let at = 0; at < options.length;) {
    const kind = options[at];
    if (kind === 0) return undefined;
    if (kind === 1) {
      at++;
      continue;
    }
    const length = options[at + 1] ?? 0;
    if (kind === 8 && length === 10 && at + 10 <= options.length) {
      return new DataView(options.buffer, options.byteOffset).getUint32(at + 2);
    }
    if (length < 2) return undefined;
    at += length;
  }
  return undefined;
}
