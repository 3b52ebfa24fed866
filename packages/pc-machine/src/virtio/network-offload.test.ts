import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { outgoingFrames } from "./network-offload.ts";

function header(flags: number, type: number, segmentBytes: number, start: number, offset: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(12));
  view.setUint8(0, flags);
  view.setUint8(1, type);
  view.setUint16(4, segmentBytes, true);
  view.setUint16(6, start, true);
  view.setUint16(8, offset, true);
  return new Uint8Array(view.buffer);
}

/** What a receiver checks: the sum over everything, checksum included, is all ones (RFC 1071). */
function isRight(...parts: readonly Uint8Array[]): boolean {
  let sum = 0;
  for (const part of parts) {
    for (let at = 0; at < part.length; at++) sum += at % 2 === 0 ? part[at] << 8 : part[at];
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum === 0xffff;
}

const flagsAll = 0x99;

/** A TCP segment in an Ethernet frame, as a driver hands it over. */
function tcpFrame(version: 4 | 6, payload: Uint8Array): { frame: Uint8Array; tcp: number } {
  const tcp = version === 4 ? 34 : 54;
  const frame = new Uint8Array(tcp + 20 + payload.length).map((_, index) => index);
  const view = new DataView(frame.buffer);
  view.setUint16(12, version === 4 ? 0x0800 : 0x86dd);
  if (version === 4) {
    frame[14] = 0x45;
    view.setUint16(18, 0xffff);
    frame[23] = 6;
  } else {
    frame[14] = 0x60;
    frame[20] = 6;
  }
  view.setUint32(tcp + 4, 2 ** 32 - 100);
  frame[tcp + 12] = 0x50;
  frame[tcp + 13] = flagsAll;
  frame.set(payload, tcp + 20);
  return { frame, tcp };
}

function pseudoHeader(version: 4 | 6, segment: Uint8Array, tcp: number): Uint8Array {
  const addresses = version === 4 ? segment.subarray(26, 34) : segment.subarray(22, 54);
  const length = segment.length - tcp;
  return Uint8Array.of(...addresses, 0, 6, length >>> 8, length & 0xff);
}

describe("what a driver leaves to the network device", () => {
  it("is nothing, most often", () => {
    const frame = Uint8Array.of(1, 2, 3);
    expect(outgoingFrames(header(0, 0, 0, 0, 0), frame)).toEqual([Uint8Array.of(1, 2, 3)]);
  });

  it("is the rest of a checksum", () => {
    const frame = Uint8Array.of(9, 9, 0x12, 0x34, 0, 0, 0xff);
    const [sent] = outgoingFrames(header(1, 0, 0, 2, 2), frame)!;
    expect(isRight(sent.subarray(2))).toBe(true);
    expect(outgoingFrames(header(1, 0, 0, 2, 4), frame)).toBeUndefined();
    // What sums up to zero is sent as all ones: zero means none.
    expect([...outgoingFrames(header(1, 0, 0, 0, 0), Uint8Array.of(0xff, 0xff))![0]]).toEqual([0xff, 0xff]);
  });

  it.each([4, 6] as const)("is the cutting of TCP over IPv%i", (version) => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 5000 }),
        fc.integer({ min: 64, max: 1460 }),
        (payload, bytes) => {
          const { frame, tcp } = tcpFrame(version, payload);
          const segments = outgoingFrames(header(1, version === 4 ? 1 : 4, bytes, tcp, 16), frame)!;
          expect(segments.length).toBe(Math.ceil(payload.length / bytes));
          expect(segments.flatMap((segment) => [...segment.subarray(tcp + 20)])).toEqual([...payload]);
          for (const [index, segment] of segments.entries()) {
            const view = new DataView(segment.buffer);
            expect(isRight(pseudoHeader(version, segment, tcp), segment.subarray(tcp))).toBe(true);
            expect(view.getUint32(tcp + 4)).toBe((2 ** 32 - 100 + index * bytes) % 2 ** 32);
            const last = index === segments.length - 1;
            expect(segment[tcp + 13]).toBe(flagsAll & ~(index > 0 ? 0x80 : 0) & ~(last ? 0 : 0x09));
            const lengths = version === 4 ? [segment.length - 14, (0xffff + index) & 0xffff] : [segment.length - 54];
            expect((version === 4 ? [16, 18] : [18]).map((at) => view.getUint16(at))).toEqual(lengths);
            expect(version === 6 || isRight(segment.subarray(14, tcp))).toBe(true);
          }
        },
      ),
      { numRuns: 30 },
    );
  });

  it("is refused where header and frame contradict each other, whatever they are", () => {
    const { frame, tcp } = tcpFrame(4, new Uint8Array(200));
    for (const wrong of [
      header(1, 1, 10, tcp, 16),
      header(0, 1, 100, tcp, 16),
      header(1, 4, 100, tcp, 16),
      header(1, 1, 100, tcp + 4, 16),
      header(1, 3, 100, tcp, 16),
    ]) {
      expect(outgoingFrames(wrong, frame.slice())).toBeUndefined();
    }
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 12, maxLength: 12 }),
        fc.uint8Array({ minLength: 1, maxLength: 200 }),
        (any, bytes) => {
          const frames = outgoingFrames(any, bytes.slice()) ?? [];
          expect(frames.length).toBeLessThanOrEqual(4);
        },
      ),
    );
  });
});
