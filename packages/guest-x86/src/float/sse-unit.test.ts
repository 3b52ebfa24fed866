import { describe, expect, it } from "vitest";
import { NEEDS_CC, nativeProgram } from "./native/node/processor.ts";
import { compareSse, SSE_CASES } from "./native/node/sse-cases.ts";

describe.skipIf(nativeProgram() === undefined)(`SSE against the processor (${NEEDS_CC})`, () => {
  // Neighbours in the table differ in a predicate or an immediate: one process runs a name's whole family.
  const families = Map.groupBy(SSE_CASES, (item) => item.name.split(" ")[0]);
  it.each([...families])("%s", (_name, items) => {
    expect(compareSse(items, Math.ceil(4000 / items.length), 1, 1)).toEqual([]);
  });
});
