import { describe, expect, test } from "vitest";
import { Flow } from "../port-frontend.ts";
import { CALLEE_INSTRUCTIONS, DEEPEST, type DecodedCode, Inlining } from "./inlining.ts";

/** Instructions of one byte, from place 0 on: flow and, of jumps, branches and calls, the target. */
function code(...instructions: readonly (readonly [flow: number, target?: number])[]): DecodedCode {
  return {
    isDecoded: (place) => place >= 0 && place < instructions.length,
    lengthAt: () => 1,
    flowAt: (place) => instructions[place][0],
    targetAt: (place) => instructions[place][1] ?? -1,
  };
}

const straight = (count: number): (readonly [number])[] => Array.from({ length: count }, () => [Flow.next] as const);

describe("functions that are inlined", () => {
  test("are small, decoded all through, and return", () => {
    const sizeOf = (...body: readonly (readonly [number, number?])[]): number => {
      const inlining = new Inlining(code(...body));
      inlining.begin(1000);
      return inlining.sizeOf(0);
    };
    expect(sizeOf([Flow.next], [Flow.return])).toBe(2);
    expect(sizeOf([Flow.branch, 3], [Flow.next], [Flow.return], [Flow.jump, 1])).toBe(4);
    expect(sizeOf([Flow.call, 7], [Flow.return])).toBe(2);
    expect(sizeOf(...straight(CALLEE_INSTRUCTIONS - 1), [Flow.return])).toBe(CALLEE_INSTRUCTIONS);
    expect(sizeOf(...straight(CALLEE_INSTRUCTIONS), [Flow.return])).toBe(0);
    expect(sizeOf([Flow.next], [Flow.jump, 0])).toBe(0);
    expect(sizeOf([Flow.branch, 9], [Flow.return])).toBe(0);
    expect(sizeOf([Flow.branch, 2], [Flow.return], [Flow.indirectJump])).toBe(0);
    expect(sizeOf([Flow.service], [Flow.return])).toBe(0);
  });

  test("go as deep in one another as is worth it, and add no more than they may", () => {
    const inlining = new Inlining(code([Flow.next], [Flow.call, 0], [Flow.return]));
    inlining.begin(3 * DEEPEST + 2);
    const first = inlining.inline(0, 0, 10);
    expect(inlining.copy(first)).toMatchObject({ caller: 0, returnPlace: 10 });
    let innermost = first;
    for (let depth = 1; depth < DEEPEST; depth++) {
      const next = inlining.inline(innermost, 0, 2);
      expect(inlining.copy(next)).toMatchObject({ caller: innermost, returnPlace: 2 });
      innermost = next;
    }
    expect(inlining.inline(innermost, 0, 2)).toBe(0);
    expect(inlining.inline(0, 0, 20)).toBe(0);
    inlining.begin(3);
    expect(inlining.inline(0, 0, 20)).toBe(1);
  });
});
