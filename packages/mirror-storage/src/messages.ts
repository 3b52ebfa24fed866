// What primary and secondary say to each other.
//
//   primary                                      secondary
//     | -- hello (what disk, which session) ------> |   checks that the disks match
//     | <-- welcome (what it holds, its bounds) --- |   or refuse
//     | -- begin (full or partial) ---------------> |   forgets the session before, in its journal
//     | <-- ready --------------------------------- |
//     | == mirrored disks: sync (blocks) =========> |   once for each run of blocks the standby lacks
//     | <========================== synced ======== |
//     | == old (block, its content) ==============> |   shared disk: before the first write of a block
//     | <======================== old-safe ======== |   in the journal; the block may be overwritten
//     | == write (epoch, sectors), zeroes ========> |   into the write buffer
//     | -- checkpoint (epoch) --------------------> |   prepared; the commit record follows
//     | <-- committed (epoch) --------------------- |   the epoch's output may leave
//     | <-- victims (blocks) ---------------------- |   at any time
//     | -- retire (blocks) -----------------------> |   after the checkpoint that followed
//     | <-- failed (reason) ----------------------- |   its journal or its disk is gone: the session ends
//
// A frame is its length (u32, of what follows), the ordinal of its kind (u8) and the fields, little-endian. Both ways the
// connection keeps the order, or ends. It is authenticated and protected from others by what carries it (TLS); from a
// peer that lies by the checks here and in the state machines.
//
// Accepted versions: 2. (1 synchronised one block a message.)
import { ByteReader, ByteWriter } from "./bytes.ts";

export const protocolVersion = 2;

/** Ordinals on the wire. One that is given up stays here, commented, and is never given to another message. */
const ordinals = {
  hello: 1,
  begin: 2,
  old: 3,
  write: 4,
  zeroes: 5,
  checkpoint: 6,
  retire: 7,
  sync: 8,
  "sync-zeroes": 9,
  welcome: 16,
  refuse: 17,
  ready: 18,
  "old-safe": 19,
  committed: 20,
  victims: 21,
  synced: 22,
  failed: 23,
} as const;

export type Topology = "shared" | "mirrored";

/** A session: the epoch token of the primary that opened it, and its count of attempts under that token. */
export interface SessionId {
  readonly token: number;
  readonly attempt: number;
}

export type PrimaryMessage =
  | {
      readonly kind: "hello";
      readonly version: number;
      readonly session: SessionId;
      readonly topology: Topology;
      readonly sectorSize: number;
      readonly sectorsPerBlock: number;
      readonly sectorCount: number;
      /** Name of the disk, so that a standby of another machine is refused. */
      readonly disk: string;
    }
  | { readonly kind: "begin"; readonly full: boolean }
  | { readonly kind: "old"; readonly number: number; readonly block: number; readonly data: Uint8Array }
  | { readonly kind: "write"; readonly epoch: number; readonly sector: number; readonly data: Uint8Array }
  | { readonly kind: "zeroes"; readonly epoch: number; readonly sector: number; readonly count: number }
  | {
      readonly kind: "checkpoint";
      readonly epoch: number;
      /** Messages `write` and `zeroes` of this epoch. */
      readonly writes: number;
      /** Once this is committed, the secondary can take over. */
      readonly complete: boolean;
    }
  | { readonly kind: "retire"; readonly blocks: readonly number[] }
  /** Consecutive blocks, as they are. */
  | { readonly kind: "sync"; readonly number: number; readonly block: number; readonly data: Uint8Array }
  | { readonly kind: "sync-zeroes"; readonly number: number; readonly block: number; readonly count: number };

export type RefuseReason = "version" | "topology" | "geometry" | "disk" | "bounds" | "state";

export type SecondaryMessage =
  | {
      readonly kind: "welcome";
      readonly version: number;
      /** The session its journal is of, if it is complete; zeros if there is none. */
      readonly session: SessionId;
      readonly epoch: number;
      /** Most blocks in its rollback buffer. */
      readonly rollbackBlocks: number;
      /** Most blocks written in epochs that are not committed, counted each time they are written. */
      readonly writeBufferBlocks: number;
    }
  | { readonly kind: "refuse"; readonly reason: RefuseReason; readonly text: string }
  | { readonly kind: "ready" }
  | { readonly kind: "old-safe"; readonly number: number }
  | { readonly kind: "committed"; readonly epoch: number }
  | { readonly kind: "victims"; readonly blocks: readonly number[] }
  | { readonly kind: "synced"; readonly number: number }
  | { readonly kind: "failed"; readonly text: string };

export type Message = PrimaryMessage | SecondaryMessage;

/** Most bytes of data in one message: a request of the guest is split into several, so that acks flow between. */
export const maximumDataBytes: number = 1 << 20;
/** Most blocks in one list; a longer one is sent in parts. */
export const maximumListLength = 4096;
/** Most bytes of a text: names and reasons, for people. */
const maximumTextBytes = 256;
/** Longest frame after its length: the longest data and its fields. */
export const maximumFrameBytes: number = maximumDataBytes + 64;

const refuseReasons: readonly RefuseReason[] = ["version", "topology", "geometry", "disk", "bounds", "state"];
const topologies: readonly Topology[] = ["shared", "mirrored"];

/** The message as a frame, its length in front. */
export function encodeMessage(message: Message): Uint8Array<ArrayBuffer> {
  const out = new ByteWriter().u32(0).u8(ordinals[message.kind]);
  switch (message.kind) {
    case "hello":
      out.u32(message.version).u64(message.session.token).u32(message.session.attempt);
      out.u8(topologies.indexOf(message.topology)).u32(message.sectorSize).u8(message.sectorsPerBlock);
      out.u64(message.sectorCount).text(message.disk);
      break;
    case "begin":
      out.u8(Number(message.full));
      break;
    case "old":
    case "sync":
      out.u64(message.number).u64(message.block).blob(message.data);
      break;
    case "sync-zeroes":
      out.u64(message.number).u64(message.block).u32(message.count);
      break;
    case "write":
      out.u64(message.epoch).u64(message.sector).blob(message.data);
      break;
    case "zeroes":
      out.u64(message.epoch).u64(message.sector).u64(message.count);
      break;
    case "checkpoint":
      out.u64(message.epoch).u64(message.writes).u8(Number(message.complete));
      break;
    case "retire":
    case "victims":
      out.list(message.blocks);
      break;
    case "welcome":
      out.u32(message.version).u64(message.session.token).u32(message.session.attempt).u64(message.epoch);
      out.u64(message.rollbackBlocks).u64(message.writeBufferBlocks);
      break;
    case "refuse":
      out.u8(refuseReasons.indexOf(message.reason)).text(message.text.slice(0, maximumTextBytes / 4));
      break;
    case "ready":
      break;
    case "old-safe":
    case "synced":
      out.u64(message.number);
      break;
    case "committed":
      out.u64(message.epoch);
      break;
    case "failed":
      out.text(message.text.slice(0, maximumTextBytes / 4));
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
  switch (ordinal) {
    case ordinals.hello: {
      const version = input.u32();
      const session = { token: input.u64(), attempt: input.u32() };
      const topology = topologies[input.u8()];
      if (topology === undefined) return undefined;
      const geometry = { sectorSize: input.u32(), sectorsPerBlock: input.u8(), sectorCount: input.u64() };
      return { kind: "hello", version, session, topology, ...geometry, disk: input.text(maximumTextBytes) };
    }
    case ordinals.begin:
      return { kind: "begin", full: input.boolean() };
    case ordinals.old:
      return { kind: "old", number: input.u64(), block: input.u64(), data: input.blob(maximumDataBytes) };
    case ordinals.sync:
      return { kind: "sync", number: input.u64(), block: input.u64(), data: input.blob(maximumDataBytes) };
    case ordinals["sync-zeroes"]:
      return { kind: "sync-zeroes", number: input.u64(), block: input.u64(), count: input.u32() };
    case ordinals.write:
      return { kind: "write", epoch: input.u64(), sector: input.u64(), data: input.blob(maximumDataBytes) };
    case ordinals.zeroes:
      return { kind: "zeroes", epoch: input.u64(), sector: input.u64(), count: input.u64() };
    case ordinals.checkpoint:
      return { kind: "checkpoint", epoch: input.u64(), writes: input.u64(), complete: input.boolean() };
    case ordinals.retire:
      return { kind: "retire", blocks: input.list(maximumListLength) };
    case ordinals.victims:
      return { kind: "victims", blocks: input.list(maximumListLength) };
    case ordinals.welcome: {
      const version = input.u32();
      const session = { token: input.u64(), attempt: input.u32() };
      const [epoch, rollbackBlocks, writeBufferBlocks] = [input.u64(), input.u64(), input.u64()];
      return { kind: "welcome", version, session, epoch, rollbackBlocks, writeBufferBlocks };
    }
    case ordinals.refuse: {
      const reason = refuseReasons[input.u8()];
      return reason && { kind: "refuse", reason, text: input.text(maximumTextBytes) };
    }
    case ordinals.ready:
      return { kind: "ready" };
    case ordinals["old-safe"]:
      return { kind: "old-safe", number: input.u64() };
    case ordinals.synced:
      return { kind: "synced", number: input.u64() };
    case ordinals.committed:
      return { kind: "committed", epoch: input.u64() };
    case ordinals.failed:
      return { kind: "failed", text: input.text(maximumTextBytes) };
    default:
      return undefined;
  }
}

export type FrameResult = { readonly ok: true; readonly messages: Message[] } | { readonly ok: false };

/** Cuts a stream into messages. It never holds more than one frame. */
export class MessageReader {
  #pending: Uint8Array = new Uint8Array();
  #broken = false;

  /** The messages that are whole now; not ok, for ever, once the peer sent something that is none. */
  push(chunk: Uint8Array): FrameResult {
    if (this.#broken) return { ok: false };
    let bytes = chunk;
    if (this.#pending.length > 0) {
      bytes = new Uint8Array(this.#pending.length + chunk.length);
      bytes.set(this.#pending);
      bytes.set(chunk, this.#pending.length);
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const messages: Message[] = [];
    let at = 0;
    while (bytes.length - at >= 4) {
      const length = view.getUint32(at, true);
      const end = at + 4 + length;
      if (length > maximumFrameBytes) return this.#break();
      if (end > bytes.length) break;
      const message = decodeMessage(bytes.subarray(at + 4, end));
      if (message === undefined) return this.#break();
      messages.push(message);
      at = end;
    }
    this.#pending = bytes.slice(at);
    return { ok: true, messages };
  }

  #break(): FrameResult {
    this.#broken = true;
    this.#pending = new Uint8Array();
    return { ok: false };
  }
}

export const isPrimaryMessage = (message: Message): message is PrimaryMessage => ordinals[message.kind] < 16;
