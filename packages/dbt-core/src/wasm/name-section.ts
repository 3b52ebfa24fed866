/**
 * The `name` section (core specification, appendix 7.4): what V8 calls a module and its functions in profiles and stack
 * traces. Names are cut down to ASCII.
 */
import type { ByteWriter } from "./byte-writer.ts";

/** What modules are called in profiles; those of regions only if a profile is being taken. */
export const ModuleName = { regions: "regions", support: "support", threaded: "threaded" } as const;

const SUBSECTION = { module: 0, functions: 1 } as const;
const CUSTOM_SECTION = 0;

/** The section, with its own header. `functions`: pairs of a function's index and its name, by ascending index. */
export function writeNameSection(
  out: ByteWriter,
  scratch: ByteWriter,
  module: (typeof ModuleName)[keyof typeof ModuleName],
  functions: readonly (readonly [number, string])[],
): void {
  const names = functions.map(([index, name]) => [index, ascii(name)] as const);
  out.u8(CUSTOM_SECTION);
  out.sized(scratch, (writer) => {
    writer.name("name");
    writer.u8(SUBSECTION.module);
    writer.u32(nameBytes(module));
    writer.name(module);
    if (names.length === 0) return;
    writer.u8(SUBSECTION.functions);
    let bytes = lengthBytes(names.length);
    for (const [index, name] of names) bytes += lengthBytes(index) + nameBytes(name);
    writer.u32(bytes);
    writer.u32(names.length);
    for (const [index, name] of names) {
      writer.u32(index);
      writer.name(name);
    }
  });
}

const ascii = (text: string): string => text.replaceAll(/[^ -~]/g, "?");
/** Of an unsigned LEB128. */
const lengthBytes = (value: number): number => Math.max(1, Math.ceil((32 - Math.clz32(value)) / 7));
const nameBytes = (text: string): number => lengthBytes(text.length) + text.length;
