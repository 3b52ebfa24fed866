/** Guest instructions as text, by iced-x86: a disassembler that shares nothing with our decoder. */
import { Decoder, DecoderOptions, Formatter, FormatterSyntax } from "iced-x86";
import type { ImageMemory } from "./image-memory.ts";

const LONGEST_INSTRUCTION = 15;
const BYTES_SHOWN = 8;

/** One line for each address: address, bytes, instruction; a gap where they do not follow each other. */
export function guestListing(
  memory: ImageMemory,
  addresses: readonly number[],
  bits: 32 | 64,
  nameOf: (address: number) => string | undefined,
): string {
  const formatter = new Formatter(FormatterSyntax.Intel);
  formatter.spaceAfterOperandSeparator = true;
  formatter.firstOperandCharIndex = 8;
  formatter.hexPrefix = "0x";
  formatter.hexSuffix = "";
  formatter.uppercaseHex = false;
  formatter.branchLeadingZeros = false;
  formatter.ripRelativeAddresses = false;
  const lines: string[] = [];
  let expected = addresses[0];
  for (const address of addresses) {
    const bytes = memory.read(address, LONGEST_INSTRUCTION);
    const decoder = new Decoder(bits, bytes, DecoderOptions.None);
    decoder.ip = BigInt(address);
    const instruction = decoder.decode();
    if (address !== expected) lines.push("");
    const name = nameOf(address);
    if (name !== undefined) lines.push(`${name}:`);
    const own = [...bytes.subarray(0, instruction.length)].map((byte) => byte.toString(16).padStart(2, "0"));
    const shown = own.length > BYTES_SHOWN ? `${own.slice(0, BYTES_SHOWN).join(" ")} …` : own.join(" ");
    const target = instruction.nearBranchTarget === 0n ? undefined : nameOf(Number(instruction.nearBranchTarget));
    const note = target === undefined ? "" : `  ; ${target}`;
    lines.push(
      `${address.toString(16).padStart(8)}  ${shown.padEnd(3 * BYTES_SHOWN + 2)} ${formatter.format(instruction)}${note}`,
    );
    expected = address + instruction.length;
    instruction.free();
    decoder.free();
  }
  formatter.free();
  return `${lines.join("\n")}\n`;
}
