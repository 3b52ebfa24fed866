// What a host and the edge say to each other.
//
//   host                                          edge
//     | -- hello (which pair, who) ---------------> |
//     | <-- welcome, or refuse (why) -------------- |
//     | -- read, swap (number, records) ----------> |   the arbiter's register
//     | <-- answer (number, record, swapped) ------ |
//     | == frame (token, Ethernet frame) =========> |   passes if the token is the newest
//     | <================ frame (Ethernet frame) == |   to the host that leads
//     | <-> heartbeat ----------------------------- |
//
// Framed as in epochs/messages.ts. Accepted versions: 1.
import { ByteReader, ByteWriter } from "../epochs/bytes.ts";
import { decodeLeadership, encodeLeadership } from "../failover/arbiter.ts";
import type { Leadership } from "../failover/arbiter.ts";
import { maximumFrameBytes as maximumEthernetBytes } from "../adapter/mac.ts";

export const edgeVersion = 1;

/** Ordinals on the wire. One that is given up stays here, commented, and is never given to another message. */
const ordinals = {
  hello: 1,
  read: 2,
  swap: 3,
  frame: 4,
  heartbeat: 5,
  welcome: 16,
  refuse: 17,
  answer: 18,
} as const;

export type EdgeMessage =
  | { readonly kind: "hello"; readonly version: number; readonly pair: string; readonly host: string }
  | { readonly kind: "welcome"; readonly version: number }
  | { readonly kind: "refuse"; readonly text: string }
  | { readonly kind: "read"; readonly number: number }
  | {
      readonly kind: "swap";
      readonly number: number;
      readonly expected: Leadership | undefined;
      readonly next: Leadership;
    }
  | {
      readonly kind: "answer";
      readonly number: number;
      readonly ok: boolean;
      readonly swapped: boolean;
      readonly record: Leadership | undefined;
      /** Why not, if not ok. */
      readonly text: string;
    }
  /** The token is 0 on the way to the machine. */
  | { readonly kind: "frame"; readonly token: number; readonly frame: Uint8Array }
  | { readonly kind: "heartbeat" };

const maximumTextBytes = 512;
const maximumRecordBytes = 1024;

/** The message as a frame, its length in front. */
export function encodeEdgeMessage(message: EdgeMessage): Uint8Array<ArrayBuffer> {
  const out = new ByteWriter().u32(0).u8(ordinals[message.kind]);
  const record = (value: Leadership | undefined): void => {
    out.blob(value === undefined ? new Uint8Array() : encodeLeadership(value));
  };
  switch (message.kind) {
    case "hello":
      out.u32(message.version).text(message.pair).text(message.host);
      break;
    case "welcome":
      out.u32(message.version);
      break;
    case "refuse":
      out.text(message.text.slice(0, maximumTextBytes / 4));
      break;
    case "read":
      out.u32(message.number);
      break;
    case "swap":
      out.u32(message.number);
      record(message.expected);
      record(message.next);
      break;
    case "answer":
      out.u32(message.number).u8(Number(message.ok)).u8(Number(message.swapped));
      record(message.record);
      out.text(message.text.slice(0, maximumTextBytes / 4));
      break;
    case "frame":
      out.u64(message.token).blob(message.frame);
      break;
    case "heartbeat":
      break;
  }
  const bytes = out.finish();
  new DataView(bytes.buffer).setUint32(0, bytes.length - 4, true);
  return bytes;
}

/** The message in a frame (without its length), or undefined if it is none: the connection must end then. */
export function decodeEdgeMessage(frame: Uint8Array): EdgeMessage | undefined {
  const input = new ByteReader(frame);
  const message = fields(input.u8(), input);
  return message !== undefined && input.atEnd ? message : undefined;
}

function fields(ordinal: number, input: ByteReader): EdgeMessage | undefined {
  const text = (): string => input.text(maximumTextBytes);
  let isRecord = true;
  const record = (): Leadership | undefined => {
    const bytes = input.blob(maximumRecordBytes);
    const decoded = decodeLeadership(bytes);
    if (decoded === undefined && bytes.length > 0) isRecord = false;
    return decoded;
  };
  switch (ordinal) {
    case ordinals.hello:
      return { kind: "hello", version: input.u32(), pair: text(), host: text() };
    case ordinals.welcome:
      return { kind: "welcome", version: input.u32() };
    case ordinals.refuse:
      return { kind: "refuse", text: text() };
    case ordinals.read:
      return { kind: "read", number: input.u32() };
    case ordinals.swap: {
      const [number, expected, next] = [input.u32(), record(), record()];
      return isRecord && next !== undefined ? { kind: "swap", number, expected, next } : undefined;
    }
    case ordinals.answer: {
      const answer = { number: input.u32(), ok: input.boolean(), swapped: input.boolean(), record: record() };
      const why = text();
      return isRecord ? { kind: "answer", ...answer, text: why } : undefined;
    }
    case ordinals.frame:
      return { kind: "frame", token: input.u64(), frame: input.blob(maximumEthernetBytes) };
    case ordinals.heartbeat:
      return { kind: "heartbeat" };
    default:
      return undefined;
  }
}
