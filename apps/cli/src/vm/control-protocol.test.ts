import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ControlError, type ControlRequest, ControlSession } from "./control-protocol.ts";

interface Outcome {
  readonly answers: readonly unknown[];
  readonly served: readonly ControlRequest[];
  readonly hungUp: boolean;
}

/** What a session answers to these pieces of input. */
async function converse(pieces: readonly (string | Uint8Array)[]): Promise<Outcome> {
  const answers: unknown[] = [];
  const served: ControlRequest[] = [];
  let hungUp = false;
  const session = new ControlSession(
    async (request) => {
      await Promise.resolve();
      if (request.command === "quit") throw new ControlError("not now");
      served.push(request);
      return request.command;
    },
    (line) => {
      expect(line.endsWith("\n")).toBe(true);
      answers.push(JSON.parse(line));
    },
    () => {
      hungUp = true;
    },
  );
  for (const piece of pieces) session.receive(Buffer.from(piece));
  await session.finished;
  return { answers, served, hungUp };
}

describe("the control protocol", () => {
  it("takes objects and words, in whatever pieces they come, and answers in order", async () => {
    const { answers, served } = await converse(["sta", "tus\nsave /tmp/a b \n\n", '{"id":7,"command":"pau', 'se"}\n']);
    expect(served).toEqual([{ command: "status" }, { command: "save", file: "/tmp/a b" }, { command: "pause" }]);
    expect(answers).toEqual([
      { ok: true, result: "status" },
      { ok: true, result: "save" },
      { id: 7, ok: true, result: "pause" },
    ]);
  });

  it.each([
    ["fly", /there is no command fly; there are status/],
    ["save", /save wants the name of a file/],
    ["pause now", /pause wants nothing more/],
    ["toString", /no command toString/],
    ["{", /no JSON/],
    ['{"command":1}', /expected string/],
    ['{"command":"status","more":1}', /more/],
    ["quit", /not now/],
  ])("says what is wrong with %s", async (line, message) => {
    const { answers, hungUp } = await converse([`${line}\nstatus\n`]);
    expect(answers).toEqual([
      { ok: false, error: expect.stringMatching(message) as unknown },
      { ok: true, result: "status" },
    ]);
    expect(hungUp).toBe(false);
  });

  it("hangs up on what never becomes a line", async () => {
    const { answers, hungUp } = await converse(["x".repeat(10_000)]);
    expect([answers, hungUp]).toEqual([[{ ok: false, error: "a request is a line" }], true]);
  });

  it("answers each line once, whatever the bytes", async () => {
    const piece = fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.constantFrom("status\n", '{"command":"help"}\n', "\n"));
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 8 }), async (pieces) => {
        const { answers } = await converse(pieces);
        const whole = Buffer.concat(pieces.map((each) => Buffer.from(each)));
        const lines = new TextDecoder().decode(whole).split("\n").slice(0, -1);
        expect(answers.length).toBe(lines.filter((line) => line.trim() !== "").length);
      }),
      { numRuns: 200 },
    );
  });
});
