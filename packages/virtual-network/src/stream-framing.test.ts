import * as fc from "fast-check";
import { expect, it } from "vitest";
import { encodeStreamFrame, FramingError, StreamFrameDecoder } from "./stream-framing.ts";

const frames = fc.array(fc.uint8Array({ minLength: 1, maxLength: 100 }), { maxLength: 10 });

it("frames come out as they went in, however the stream is cut", () => {
  fc.assert(
    fc.property(frames, fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }), (sent, cuts) => {
      const stream = Uint8Array.from(sent.flatMap((frame) => [...encodeStreamFrame(frame)]));
      const decoder = new StreamFrameDecoder();
      const received: Uint8Array[] = [];
      for (let offset = 0, i = 0; offset < stream.length; i++) {
        const count = cuts[i % cuts.length];
        decoder.push(stream.subarray(offset, offset + count), (frame) => received.push(frame));
        offset += count;
      }
      expect(received).toEqual(sent);
    }),
  );
});

it("a length of zero or beyond the maximum ends the stream, after the frames in front of it", () => {
  for (const length of [0, 1001, 0xffff_ffff]) {
    const decoder = new StreamFrameDecoder(1000);
    const bad = new Uint8Array(4);
    new DataView(bad.buffer).setUint32(0, length);
    const received: Uint8Array[] = [];
    const good = encodeStreamFrame(new Uint8Array(1000));
    expect(() => decoder.push(Uint8Array.of(...good, ...bad), (frame) => received.push(frame))).toThrow(FramingError);
    expect(received).toHaveLength(1);
    expect(() => decoder.push(good, () => {})).toThrow(FramingError);
  }
});

it("random bytes never allocate more than a frame, nor throw anything else", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 64 })), (chunks) => {
      const decoder = new StreamFrameDecoder(64);
      try {
        for (const chunk of chunks) decoder.push(chunk, (frame) => expect(frame.length).toBeLessThanOrEqual(64));
      } catch (error) {
        if (!(error instanceof FramingError)) throw error;
      }
    }),
  );
});
