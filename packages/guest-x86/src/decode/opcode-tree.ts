// From an opcode to a form: a table by opcode map and byte, whose entry is either a form or a small decision tree over what
// surrounds the opcode. The tree is derived from the constraints of the rows that share the opcode.
//
// An entry is 0 (undefined), a form number, or `firstNode` + the offset of a node in `nodes`. A node is its dimension, then one entry
// per value:
//
//   | dimension | entry for value 0 | entry for value 1 | …
import {
  FormBit,
  formB,
  formBits,
  formCount,
  formL,
  formMap,
  formMods,
  formModes,
  formOpcode,
  formOperandSizes,
  formPrefixes,
  formRegs,
  formRms,
  formW,
} from "./form-table.ts";
import { firstNode, mapCount } from "./notation.ts";

const dimensionMasks: readonly Uint8Array[] = [
  formModes,
  formPrefixes,
  formMods,
  formRegs,
  formRms,
  formW,
  formB,
  formOperandSizes,
  formL,
];
const dimensionSizes: readonly number[] = [2, 4, 2, 8, 8, 2, 2, 3, 2];
const legacyDimensions = 8;

export const nodes: Uint16Array = new Uint16Array(8192);
let nodeEnd = 0;

/** Entry per opcode: `opcodeEntries[map << 8 | opcode]`. */
export const opcodeEntries: Uint16Array = new Uint16Array(mapCount << 8);
/** 1 where a ModRM byte follows the opcode. */
export const opcodeHasModrm: Uint8Array = new Uint8Array(mapCount << 8);
/** Pairs of forms that match the same bytes though neither is marked `rest`; a mistake in the rows (tests check it is empty). */
export const ambiguousForms: number[] = [];

function build(rows: number[], from: number): number {
  if (rows.length === 0) return 0;
  const first = rows[0];
  for (let dimension = from; dimension < (formBits[first] & FormBit.vex ? 9 : legacyDimensions); dimension++) {
    const masks = dimensionMasks[dimension];
    const size = dimensionSizes[dimension];
    const full = (1 << size) - 1;
    let constrained = false;
    for (let i = 0; i < rows.length; i++) if (masks[rows[i]] !== full) constrained = true;
    if (!constrained) continue;
    const node = nodeEnd;
    nodeEnd += size + 1;
    nodes[node] = dimension;
    let same = true;
    for (let value = 0; value < size; value++) {
      const matching: number[] = [];
      for (let i = 0; i < rows.length; i++) {
        const row = rows[i];
        if ((masks[row] >> value) & 1) matching.push(row);
      }
      nodes[node + 1 + value] = build(matching, dimension + 1);
      if (nodes[node + 1 + value] !== nodes[node + 1]) same = false;
    }
    if (same) {
      nodeEnd = node;
      return nodes[node + 1];
    }
    return firstNode + node;
  }
  let chosen = first;
  for (let i = 1; i < rows.length; i++) {
    const row = rows[i];
    if (formBits[chosen] & FormBit.rest) chosen = row;
    else if (!(formBits[row] & FormBit.rest)) ambiguousForms.push(chosen, row);
  }
  return chosen;
}

const rowsByOpcode: (number[] | undefined)[] = Array.from({ length: mapCount << 8 });
for (let form = 1; form < formCount; form++) {
  const bits = formBits[form];
  const opcode = (formMap[form] << 8) | formOpcode[form];
  const count = bits & FormBit.opcodeRegister ? 8 : bits & FormBit.opcodeCondition ? 16 : 1;
  for (let i = 0; i < count; i++) {
    const rows = rowsByOpcode[opcode + i];
    if (rows === undefined) rowsByOpcode[opcode + i] = [form];
    else rows.push(form);
    if (bits & FormBit.modrm) opcodeHasModrm[opcode + i] = 1;
  }
}
for (let opcode = 0; opcode < rowsByOpcode.length; opcode++) {
  const rows = rowsByOpcode[opcode];
  if (rows !== undefined) opcodeEntries[opcode] = build(rows, 0);
}

/** Length of `nodes` in use. */
export const nodeCount: number = nodeEnd;
