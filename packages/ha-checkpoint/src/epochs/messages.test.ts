import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeMessage, encodeMessage, FrameReader, maximumFrameBytes } from "./messages.ts";
import type { Message } from "./messages.ts";

const number = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const small = fc.nat({ max: 0xffff });
const data = fc.uint8Array({ maxLength: 300 });
const text = fc.string({ maxLength: 40 });
const complete = fc.boolean();
const reason = fc.constantFrom("version", "pair", "memory", "codec", "disk", "token", "busy", "state");

const message: fc.Arbitrary<Message> = fc.oneof(
  fc.record({
    kind: fc.constant("hello" as const),
    version: small,
    pair: text,
    host: text,
    session: fc.record({ token: number, attempt: small }),
    pageBytes: small,
    pageCount: number,
    configuration: text,
    codec: text,
    hasDisk: fc.boolean(),
  }),
  fc.record({ kind: fc.constantFrom("begin" as const, "heartbeat" as const) }),
  fc.record({ kind: fc.constant("pages" as const), epoch: number, rawBytes: small, data }),
  fc.record({ kind: fc.constant("state" as const), epoch: number, data }),
  fc.record({ kind: fc.constant("checkpoint" as const), epoch: number, pages: number, stateBytes: number, complete }),
  fc.record({ kind: fc.constantFrom("disk" as const, "hints" as const), data }),
  fc.record({ kind: fc.constant("welcome" as const), version: small, host: text, stagedPages: number }),
  fc.record({ kind: fc.constant("refuse" as const), reason, text }),
  fc.record({ kind: fc.constant("committed" as const), epoch: number }),
  fc.record({ kind: fc.constant("failed" as const), text }),
);

describe("the wire format", () => {
  it("gives back every message, however the stream is cut", () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 8 }), fc.integer({ min: 1, max: 50 }), (messages, piece) => {
        const stream = Uint8Array.from(messages.flatMap((one) => [...encodeMessage(one)]));
        const reader = new FrameReader();
        const received: (Message | undefined)[] = [];
        for (let from = 0; from < stream.length; from += piece) {
          const frames = reader.push(stream.subarray(from, from + piece)) ?? [];
          received.push(...frames.map((frame) => decodeMessage(frame)));
        }
        expect(received).toEqual(messages);
      }),
    );
  });

  it("takes any bytes without throwing, and what it accepts is what it would send", () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 100 }),
      fc.tuple(message, fc.nat(), fc.nat({ max: 255 })).map(([whole, where, byte]) => {
        const frame = encodeMessage(whole).slice(4);
        frame[where % frame.length] = byte;
        return frame;
      }),
    );
    fc.assert(
      fc.property(bytes, (frame) => {
        const decoded = decodeMessage(frame);
        expect(decoded && decodeMessage(encodeMessage(decoded).subarray(4))).toEqual(decoded);
      }),
      { numRuns: 2000 },
    );
  });

  it("refuses every truncation of a message, and anything after its end", () => {
    fc.assert(
      fc.property(message, fc.nat(), (whole, where) => {
        const frame = encodeMessage(whole).subarray(4);
        expect(decodeMessage(frame.subarray(0, where % frame.length))).toBeUndefined();
        expect(decodeMessage(new Uint8Array([...frame, 0]))).toBeUndefined();
      }),
    );
  });

  it("gives a stream up for good at a length that no frame has", () => {
    const reader = new FrameReader();
    expect(reader.push(new Uint8Array(new Uint32Array([maximumFrameBytes + 1]).buffer))).toBeUndefined();
    expect(reader.push(encodeMessage({ kind: "begin" }))).toBeUndefined();
  });
});
