/** Disassembly through iced-x86, which shares nothing with our decoder. */
import { Decoder, DecoderOptions, Formatter, FormatterSyntax } from "iced-x86";

export function disassemble(code: Uint8Array, mode: number, address: number): string {
  const decoder = new Decoder(mode, code, DecoderOptions.None);
  const formatter = new Formatter(FormatterSyntax.Intel);
  decoder.ip = BigInt(address);
  const lines: string[] = [];
  while (decoder.canDecode) {
    const instruction = decoder.decode();
    lines.push(formatter.format(instruction));
    instruction.free();
  }
  decoder.free();
  formatter.free();
  return lines.join("\n");
}
