import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeMessage, encodeMessage, maximumFrameBytes, MessageReader } from "./messages.ts";
import type { Message } from "./messages.ts";

const number = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const small = fc.nat({ max: 0xffff });
const data = fc.uint8Array({ maxLength: 300 });
const text = fc.string({ maxLength: 40 });
const list = fc.array(number, { maxLength: 20 });
const session = fc.record({ token: number, attempt: small });
const topology = fc.constantFrom("shared" as const, "mirrored" as const);
const reason = fc.constantFrom("version", "topology", "geometry", "disk", "bounds", "state" as const);

const message: fc.Arbitrary<Message> = fc.oneof(
  fc.record({
    kind: fc.constant("hello" as const),
    version: small,
    session,
    topology,
    sectorSize: small,
    sectorsPerBlock: fc.nat({ max: 255 }),
    sectorCount: number,
    disk: text,
  }),
  fc.record({ kind: fc.constant("begin" as const), full: fc.boolean() }),
  fc.record({ kind: fc.constantFrom("old" as const, "sync" as const), number, block: number, data }),
  fc.record({ kind: fc.constant("sync-zeroes" as const), number, block: number, count: small }),
  fc.record({ kind: fc.constant("write" as const), epoch: number, sector: number, data }),
  fc.record({ kind: fc.constant("zeroes" as const), epoch: number, sector: number, count: number }),
  fc.record({ kind: fc.constant("checkpoint" as const), epoch: number, writes: number, complete: fc.boolean() }),
  fc.record({ kind: fc.constantFrom("retire" as const, "victims" as const), blocks: list }),
  fc.record({
    kind: fc.constant("welcome" as const),
    version: small,
    session,
    epoch: number,
    rollbackBlocks: number,
    writeBufferBlocks: number,
  }),
  fc.record({ kind: fc.constant("refuse" as const), reason, text }),
  fc.record({ kind: fc.constant("ready" as const) }),
  fc.record({ kind: fc.constantFrom("old-safe" as const, "synced" as const), number }),
  fc.record({ kind: fc.constant("committed" as const), epoch: number }),
  fc.record({ kind: fc.constant("failed" as const), text }),
);

describe("the wire format", () => {
  it("gives back every message, however the stream is cut", () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 8 }), fc.integer({ min: 1, max: 50 }), (messages, piece) => {
        const frames = messages.map(encodeMessage);
        const stream = new Uint8Array(frames.reduce((sum, frame) => sum + frame.length, 0));
        let at = 0;
        for (const frame of frames) {
          stream.set(frame, at);
          at += frame.length;
        }
        const reader = new MessageReader();
        const received: Message[] = [];
        for (let from = 0; from < stream.length; from += piece) {
          const result = reader.push(stream.subarray(from, from + piece));
          expect(result.ok).toBe(true);
          if (result.ok) received.push(...result.messages);
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

  it("gives a stream up for good at a length that no message has", () => {
    const reader = new MessageReader();
    const length = new Uint8Array(new Uint32Array([maximumFrameBytes + 1]).buffer);
    expect(reader.push(length).ok).toBe(false);
    expect(reader.push(encodeMessage({ kind: "ready" })).ok).toBe(false);
  });
});
