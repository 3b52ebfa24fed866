import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { FrameCapture } from "../src/pair/capture.ts";
import { CaptureReader } from "./capture-reader.ts";
import type { CapturedFrame } from "./capture-reader.ts";
import { Tap } from "./tap.ts";

interface Segment {
  readonly sequence?: number;
  readonly acknowledged?: number;
  readonly flags?: number;
  readonly text?: string;
  readonly timestamp?: number;
}

/** A frame with a TCP segment, as far as a tap looks at it. */
function segment({ sequence = 1000, acknowledged = 1, flags = 16, text = "", timestamp }: Segment): Uint8Array {
  const payload = Buffer.from(text);
  const options = timestamp === undefined ? 0 : 12;
  const frame = Buffer.alloc(54 + options + payload.length);
  frame.writeUInt16BE(0x0800, 12);
  frame[14] = 0x45;
  frame.writeUInt16BE(40 + options + payload.length, 16);
  frame[23] = 6;
  frame.writeUInt16BE(7000, 34);
  frame.writeUInt16BE(40_000, 36);
  frame.writeUInt32BE(sequence >>> 0, 38);
  frame.writeUInt32BE(acknowledged >>> 0, 42);
  frame[46] = (5 + options / 4) << 4;
  frame[47] = flags;
  if (timestamp !== undefined) {
    frame.set([1, 1, 8, 10], 54);
    frame.writeUInt32BE(timestamp >>> 0, 58);
  }
  frame.set(payload, 54 + options);
  return frame;
}

function captured(
  frame: Uint8Array,
  host = "a",
  token = 1,
  where: CapturedFrame["interface"] = "machine",
): CapturedFrame {
  return { interface: where, frame, ms: 0, from: { host, token } };
}

function tapOf(...frames: readonly CapturedFrame[]): Tap {
  const tap = new Tap();
  for (const frame of frames) tap.see(frame);
  return tap;
}

describe("the tap", () => {
  it("takes what is sent again, out of order, past the end of sequence numbers, and after a failover", () => {
    const start = 0xffff_fff0;
    const tap = tapOf(
      captured(segment({ sequence: start - 1, flags: 18 })),
      captured(segment({ sequence: start, text: "0123456789" })),
      captured(segment({ sequence: start + 20, text: "uvwxyz", acknowledged: 5 })),
      captured(segment({ sequence: start, text: "0123456789abcdefghijuv", acknowledged: 5 }), "b", 2),
      captured(segment({ sequence: start - 1, flags: 18 }), "b", 2),
    );
    expect([tap.frames, tap.rolledBack, tap.doubleActive, tap.resets]).toEqual([5, [], [], []]);
  });

  it.each<[string, Segment, Segment]>([
    ["other bytes at the same place", { text: "one" }, { text: "two" }],
    ["other bytes in what overlaps", { text: "abcdef" }, { sequence: 1004, text: "ex" }],
    ["an acknowledgement that is taken back", { acknowledged: 500 }, { acknowledged: 499 }],
    ["a clock that goes back", { timestamp: 77 }, { timestamp: 76 }],
  ])("C4 notices %s after a failover", (_what, before, after) => {
    expect(tapOf(captured(segment(before)), captured(segment(after), "b", 2)).rolledBack).toHaveLength(1);
  });

  it("C4 notices two hosts with one token, an older token after a newer one, and resets", () => {
    const one = captured(segment({}));
    expect(tapOf(one, captured(segment({}), "b", 1)).doubleActive).toHaveLength(1);
    expect(tapOf(one, captured(segment({}), "b", 2), one).doubleActive).toHaveLength(1);
    expect(tapOf(one, captured(segment({ flags: 4 }))).resets).toHaveLength(1);
    const fenced = tapOf(captured(segment({}), "b", 2), captured(segment({}), "a", 1, "fenced"));
    expect([fenced.fenced, fenced.doubleActive]).toEqual([1, []]);
  });

  it("reads what the edge wrote, as it grows", () => {
    const folder = mkdtempSync(join(tmpdir(), "doppel-capture-"));
    const path = join(folder, "edge.pcapng");
    const capture = new FrameCapture(path);
    const reader = new CaptureReader(path);
    const frame = segment({ text: "odd" });
    capture.outgoing("machine", frame, { host: "a", token: 3 });
    capture.incoming(frame);
    expect([...reader.read()]).toMatchObject([
      { interface: "machine", frame: Buffer.from(frame), from: { host: "a", token: 3 } },
      { interface: "machine", from: undefined },
    ]);
    capture.close();
    const again = new FrameCapture(path);
    again.outgoing("fenced", frame, { host: "b", token: 2 });
    expect([...reader.read()]).toMatchObject([{ interface: "fenced", from: { host: "b", token: 2 } }]);
    again.close();
    rmSync(folder, { recursive: true });
  });
});
