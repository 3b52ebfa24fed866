// What leader and standby say to each other.
//
//   leader                                        standby
//     | -- hello (which pair, what machine) ------> |   compares all that the two must agree on
//     | <-- welcome (its bounds) ------------------ |   or refuses, with a reason
//     | -- begin ---------------------------------> |   forgets what it held: from here on it cannot take over
//     | == pages (epoch 0), while the guest runs => |   every page once
//     | <=> disk (a frame of mirror-storage) <====> |   in both directions, from here on
//     | == pages, state (epoch) ==================> |   what an epoch changed
//     | -- checkpoint (epoch, how much) ----------> |   all of it is here: memory is prepared
//     | <-- committed (epoch) --------------------- |   the commit record is durable: output may leave
//     | -- hints ---------------------------------> |   what makes the machine fast there, now and then
//     | <-> heartbeat ----------------------------- |   when there was nothing else to say
//     | <-- failed (reason) ----------------------- |   the session ends
//
// A frame is its length (u32, of what follows), the ordinal of its kind (u8) and the fields, little-endian. The connection
// keeps the order, or ends. It is authenticated and kept from others by what carries it (TLS); from a peer that lies by the
// checks here and in the state machines.
//
// Accepted versions: 2. (1 had no hints.)
import { maximumHintBytes } from "../checkpointable.ts";
import { ByteReader, ByteWriter } from "./bytes.ts";

export const protocolVersion = 2;

/** Ordinals on the wire. One that is given up stays here, commented, and is never given to another message. */
const ordinals = {
  hello: 1,
  begin: 2,
  pages: 3,
  state: 4,
  checkpoint: 5,
  hints: 6,
  disk: 8,
  heartbeat: 9,
  welcome: 16,
  refuse: 17,
  committed: 18,
  failed: 19,
} as const;

/** A session: the epoch token of the leader that opened it, and its count of attempts under that token. */
export interface SessionId {
  readonly token: number;
  readonly attempt: number;
}

export interface Hello {
  readonly kind: "hello";
  readonly version: number;
  /** Name of the pair. */
  readonly pair: string;
  /** Name of the leader's host. */
  readonly host: string;
  readonly session: SessionId;
  readonly pageBytes: number;
  readonly pageCount: number;
  /** `Checkpointable.configuration` */
  readonly configuration: string;
  readonly codec: string;
  readonly hasDisk: boolean;
}

export interface Pages {
  readonly kind: "pages";
  /** The epoch that they are part of; 0: of the copy that a session begins with. */
  readonly epoch: number;
  /** Bytes of page records (page-records.ts) before compression. */
  readonly rawBytes: number;
  readonly data: Uint8Array;
}

export interface State {
  readonly kind: "state";
  readonly epoch: number;
  /** A part of the machine's state; parts come in order. */
  readonly data: Uint8Array;
}

export interface CheckpointEnd {
  readonly kind: "checkpoint";
  readonly epoch: number;
  /** Page records of this epoch. */
  readonly pages: number;
  readonly stateBytes: number;
  /** Once this is committed, the standby can take over. */
  readonly complete: boolean;
}

export type RefuseReason =
  | "version"
  | "pair"
  | "memory"
  | "configuration"
  | "codec"
  | "disk"
  | "token"
  | "busy"
  | "state";

export type LeaderMessage =
  | Hello
  | { readonly kind: "begin" }
  | Pages
  | State
  | CheckpointEnd
  | { readonly kind: "hints"; readonly data: Uint8Array }
  | DiskMessage
  | { readonly kind: "heartbeat" };

export interface DiskMessage {
  readonly kind: "disk";
  readonly data: Uint8Array;
}

export interface Welcome {
  readonly kind: "welcome";
  readonly version: number;
  readonly host: string;
  /** Most pages that it keeps of epochs which are not committed. */
  readonly stagedPages: number;
}

export type StandbyMessage =
  | Welcome
  | { readonly kind: "refuse"; readonly reason: RefuseReason; readonly text: string }
  | { readonly kind: "committed"; readonly epoch: number }
  | { readonly kind: "failed"; readonly text: string }
  | DiskMessage
  | { readonly kind: "heartbeat" };

export type Message = LeaderMessage | StandbyMessage;

/** Most bytes of data in one message: the longest of the disk's, and a chunk of pages with room to spare. */
export const maximumDataBytes: number = (1 << 20) + 4096;
/** Most bytes that a chunk of pages is decompressed to. */
export const maximumRawBytes: number = 1 << 20;
/** Most bytes of names, reasons and the configuration, as UTF-8. */
const maximumTextBytes = 4096;
/** Longest frame after its length. */
export const maximumFrameBytes: number = maximumDataBytes + 64;

const refuseReasons: readonly RefuseReason[] = [
  "version",
  "pair",
  "memory",
  "configuration",
  "codec",
  "disk",
  "token",
  "busy",
  "state",
];

/** Cut so that its UTF-8 is within bounds: a character has at most three bytes for each of its code units. */
const short = (text: string): string => text.slice(0, maximumTextBytes / 4);

/** The message as a frame, its length in front. */
export function encodeMessage(message: Message): Uint8Array<ArrayBuffer> {
  const out = new ByteWriter().u32(0).u8(ordinals[message.kind]);
  switch (message.kind) {
    case "hello":
      out.u32(message.version).text(message.pair).text(message.host);
      out.u64(message.session.token).u32(message.session.attempt).u32(message.pageBytes).u64(message.pageCount);
      out.text(message.configuration).text(message.codec).u8(Number(message.hasDisk));
      break;
    case "begin":
    case "heartbeat":
      break;
    case "pages":
      out.u64(message.epoch).u32(message.rawBytes).blob(message.data);
      break;
    case "state":
      out.u64(message.epoch).blob(message.data);
      break;
    case "checkpoint":
      out.u64(message.epoch).u64(message.pages).u64(message.stateBytes).u8(Number(message.complete));
      break;
    case "hints":
    case "disk":
      out.blob(message.data);
      break;
    case "welcome":
      out.u32(message.version).text(message.host).u64(message.stagedPages);
      break;
    case "refuse":
      out.u8(refuseReasons.indexOf(message.reason)).text(short(message.text));
      break;
    case "committed":
      out.u64(message.epoch);
      break;
    case "failed":
      out.text(short(message.text));
      break;
  }
  const bytes = out.finish();
  new DataView(bytes.buffer).setUint32(0, bytes.length - 4, true);
  return bytes;
}

/** The message in a frame (without its length), or undefined if it is none: the connection must end then. */
export function decodeMessage(frame: Uint8Array): Message | undefined {
  if (frame.length > maximumFrameBytes) return undefined;
  const input = new ByteReader(frame);
  const message = fields(input.u8(), input);
  return message !== undefined && input.atEnd ? message : undefined;
}

function fields(ordinal: number, input: ByteReader): Message | undefined {
  const text = (): string => input.text(maximumTextBytes);
  switch (ordinal) {
    case ordinals.hello: {
      const [version, pair, host] = [input.u32(), text(), text()];
      const session = { token: input.u64(), attempt: input.u32() };
      const memory = { pageBytes: input.u32(), pageCount: input.u64() };
      const machine = { configuration: text(), codec: text(), hasDisk: input.boolean() };
      return { kind: "hello", version, pair, host, session, ...memory, ...machine };
    }
    case ordinals.begin:
      return { kind: "begin" };
    case ordinals.heartbeat:
      return { kind: "heartbeat" };
    case ordinals.pages: {
      const [epoch, rawBytes] = [input.u64(), input.u32()];
      return rawBytes > maximumRawBytes
        ? undefined
        : { kind: "pages", epoch, rawBytes, data: input.blob(maximumDataBytes) };
    }
    case ordinals.state:
      return { kind: "state", epoch: input.u64(), data: input.blob(maximumDataBytes) };
    case ordinals.checkpoint: {
      const [epoch, pages, stateBytes] = [input.u64(), input.u64(), input.u64()];
      return { kind: "checkpoint", epoch, pages, stateBytes, complete: input.boolean() };
    }
    case ordinals.hints:
      return { kind: "hints", data: input.blob(maximumHintBytes) };
    case ordinals.disk:
      return { kind: "disk", data: input.blob(maximumDataBytes) };
    case ordinals.welcome:
      return { kind: "welcome", version: input.u32(), host: text(), stagedPages: input.u64() };
    case ordinals.refuse: {
      const reason = refuseReasons[input.u8()];
      return reason && { kind: "refuse", reason, text: text() };
    }
    case ordinals.committed:
      return { kind: "committed", epoch: input.u64() };
    case ordinals.failed:
      return { kind: "failed", text: text() };
    default:
      return undefined;
  }
}

/** Cuts a stream into frames, without their lengths. It never holds more than one. */
export class FrameReader {
  #pending: Uint8Array = new Uint8Array();
  #broken = false;

  /** The frames that are whole now; undefined, for ever, once the peer announced one that is too long. */
  push(chunk: Uint8Array): Uint8Array[] | undefined {
    if (this.#broken) return undefined;
    let bytes = chunk;
    if (this.#pending.length > 0) {
      bytes = new Uint8Array(this.#pending.length + chunk.length);
      bytes.set(this.#pending);
      bytes.set(chunk, this.#pending.length);
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const frames: Uint8Array[] = [];
    let at = 0;
    while (bytes.length - at >= 4) {
      const length = view.getUint32(at, true);
      if (length > maximumFrameBytes) {
        this.#broken = true;
        this.#pending = new Uint8Array();
        return undefined;
      }
      if (at + 4 + length > bytes.length) break;
      frames.push(bytes.subarray(at + 4, at + 4 + length));
      at += 4 + length;
    }
    this.#pending = new Uint8Array(bytes.subarray(at));
    return frames;
  }
}
