/** Values for operands in memory and in the instruction itself. */
import type { Form } from "../src/decode/index.ts";
import type { CaseBuilder } from "./case-builder.ts";
import { writeDouble, writeExtended, writeInteger, writeSingle, writeVector } from "./random.ts";

/** A value of the operand's kind in memory. */
export function fillOperand(builder: CaseBuilder, form: Form, bytes: number): void {
  const { random, target } = builder;
  const content = new Uint8Array(Math.max(16, (Math.min(bytes, 512) + 7) & ~7));
  const view = new DataView(content.buffer);
  const floating = /^(x87|sse-move|sse-arith)$/.test(form.family) && !form.mnemonic.startsWith("fi");
  if (bytes === 0 || random.oneIn(16)) return;
  if (bytes === 10) writeExtended(random, view, 0);
  else if (bytes === 16) writeVector(random, view, 0);
  else if (floating && bytes === 4) writeSingle(random, view, 0);
  else if (floating && bytes === 8) writeDouble(random, view, 0);
  else for (let i = 0; i < content.length; i += 8) writeInteger(random, view, i);
  builder.patch(target, content.subarray(0, bytes));
}

/** An immediate at a boundary. */
export function biasImmediate(builder: CaseBuilder): void {
  const { random, encoding } = builder;
  const bits = 8 * encoding.immediateBytes;
  const sign = bits >= 32 ? 0x8000_0000 | 0 : 1 << (bits - 1);
  builder.setImmediate(random.pick([0, 1, -1, 2, 8, 16, 31, 32, 63, 127, 128, sign, sign - 1, 255]) | 0);
}
