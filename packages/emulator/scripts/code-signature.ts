/**
 * The signature of a function in an ELF file, to be written into a binding:
 *
 *   node --conditions=source packages/emulator/scripts/code-signature.ts FILE OFFSET SIZE
 *
 * OFFSET and SIZE are bytes, in the file; a symbol's are what `readelf -sW` says, less its section's address and plus its
 * offset. For a stripped file a disassembler shows where the function ends.
 */
import { readFileSync } from "node:fs";
import { decode, Flow, Instruction, OperandKind } from "@doppel/guest-x86";
import { signatureOf } from "@doppel/native-binding";

/** The register number that decoded operands have for it. */
const RIP = 16;
const [path = "", offsetText = "", sizeText = ""] = process.argv.slice(2);
const offset = Number(offsetText);
const size = Number(sizeText);
const code = new Uint8Array(readFileSync(path)).subarray(offset, offset + size);
const view = new DataView(code.buffer, code.byteOffset, code.length);
const instruction = new Instruction();
const relocated: number[] = [];

for (let at = 0; at < code.length;) {
  const length = decode(code, at, code.length, 64, instruction);
  if (length <= 0) throw new Error(`no instruction at ${at}`);
  const next = at + length;
  const isDirect = instruction.o0.kind === OperandKind.relative && instruction.flow !== Flow.next;
  const target = next + instruction.target;
  if (isDirect && (target < 0 || target >= code.length)) relocated.push(next - 4);
  // RIP-relative: the displacement is somewhere behind the opcode.
  const { o0, o1, o2, base } = instruction;
  if (base === RIP && [o0, o1, o2].some(({ kind }) => kind === OperandKind.mem)) {
    let place = next - 4;
    while (place > at && view.getInt32(place, true) !== instruction.displacement) place--;
    relocated.push(place);
  }
  at = next;
}

console.log(JSON.stringify(signatureOf(code, relocated)));
