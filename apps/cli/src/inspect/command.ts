/** `doppel inspect`: a region of a program as guest instructions, as IR and as WebAssembly, without running anything. */
import { readFileSync } from "node:fs";
import { ElfError, type ElfImage, type ElfSymbol, inspectX86Region, readElf } from "@doppel/emulator/inspect";
import { parseOptions, systemMessage } from "../options.ts";
import { print } from "../output.ts";
import { UsageError } from "../usage-error.ts";
import { guestListing } from "./guest-listing.ts";
import { ImageMemory } from "./image-memory.ts";

const USAGE = `usage: doppel inspect PROGRAM --function NAME | --at ADDRESS [--guest] [--ir] [--wasm] [--cold]
       doppel inspect --guards PROGRAM [ARG…]

Shows the region that begins there: what the translator makes one WebAssembly function of.

  --function NAME   where the program's symbol table has this function
  --at ADDRESS      at this address of the file, in hexadecimal with or without 0x
  --guest           the guest's instructions
  --ir              the intermediate representation
  --wasm            the WebAssembly
                    (all three, when none is named)
  --cold            as the code is translated in haste, the first time it runs
  --guards          runs the program, then says which pages of code were written to, under which policy they
                    came out, and what it cost
`;

const EXIT_CANNOT_READ = 1;
/** As many names as help when there is none like the one given. */
const SUGGESTIONS = 5;

export async function run(args: readonly string[]): Promise<number> {
  if (args[0] === "--guards") {
    const { inspectGuards } = await import("./guards.ts");
    return await inspectGuards(args.slice(1));
  }
  const { values, positionals } = parseOptions("inspect", args, {
    function: { type: "string" },
    at: { type: "string" },
    guest: { type: "boolean" },
    ir: { type: "boolean" },
    wasm: { type: "boolean" },
    cold: { type: "boolean" },
    help: { type: "boolean" },
  });
  if (values.help === true) {
    print(USAGE);
    return 0;
  }
  const [path, ...more] = positionals;
  if (path === undefined || more.length > 0)
    throw new UsageError("inspect needs one program; doppel inspect --help says more");
  if ((values.function === undefined) === (values.at === undefined)) {
    throw new UsageError("inspect needs either --function NAME or --at ADDRESS");
  }
  const image = readImage(path);
  const address =
    values.at === undefined ? functionNamed(image, path, values.function!).address : parseAddress(values.at);
  const memory = new ImageMemory(image);
  const region = inspectX86Region({
    mode: image.mode,
    address,
    memory: memory.bytes,
    fetch: memory.fetch,
    tier: values.cold === true ? "cold" : "hot",
  });
  if (region === undefined) throw new UsageError(`${path} has no code at 0x${address.toString(16)}`, EXIT_CANNOT_READ);

  const names = new Map(image.functions.map(({ name, address: at }) => [at, name]));
  const everything = values.guest !== true && values.ir !== true && values.wasm !== true;
  const { counts } = region;
  const name = names.get(address);
  const out = [
    `region at 0x${address.toString(16)}${name === undefined ? "" : ` (${name})`}: ` +
      `${counted(counts.guestInstructions, "guest instruction")} in ${counted(counts.blocks, "block")}; ` +
      `${counts.wasmInstructions} WebAssembly instructions, ${counts.wasmBytes} bytes; ` +
      `${counted(counts.tlbChecks, "TLB check")}, ${counted(counts.reloads, "reload")}, ${counted(counts.spills, "spill")}, ` +
      `${counted(counts.helperCalls, "helper call")}; ` +
      `flags recorded at ${counts.flags.recorded}, fused at ${counts.flags.fused}, materialised at ${counted(counts.flags.materialised, "place")}\n`,
  ];
  if (everything || values.guest === true) {
    const addresses = region.instructionOffsets.map((offset) => address + offset);
    out.push(
      "guest",
      guestListing(memory, addresses, image.mode === "x86-64" ? 64 : 32, (at) => names.get(at)),
    );
  }
  if (everything || values.ir === true) out.push("ir", region.ir);
  if (everything || values.wasm === true) out.push("wasm", region.wasm);
  print(out.join("\n"));
  return 0;
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

function readImage(path: string): ElfImage {
  try {
    return readElf(readFileSync(path));
  } catch (error) {
    if (error instanceof ElfError) throw new UsageError(`${path}: ${error.message}`, EXIT_CANNOT_READ);
    throw new UsageError(`${path}: ${systemMessage(error)}`, EXIT_CANNOT_READ);
  }
}

function functionNamed(image: ElfImage, path: string, name: string): ElfSymbol {
  const exact = image.functions.find((symbol) => symbol.name === name);
  if (exact !== undefined) return exact;
  if (image.functions.length === 0)
    throw new UsageError(`${path} has no symbols; use --at ADDRESS (its entry is 0x${image.entry.toString(16)})`);
  const variants = image.functions.filter(
    (symbol) => symbol.name.startsWith(`${name}.`) || symbol.name.startsWith(`${name}@`),
  );
  if (variants.length === 1) return variants[0];
  const alike = [...new Set(image.functions.map((symbol) => symbol.name))].filter(
    (other) => other.includes(name) || name.includes(other),
  );
  const hint =
    alike.length === 0
      ? ""
      : `; there are ${alike.slice(0, SUGGESTIONS).join(", ")}${alike.length > SUGGESTIONS ? ", …" : ""}`;
  throw new UsageError(`${path} has no function ${name}${hint}`);
}

function parseAddress(text: string): number {
  const address = /^(0x)?[0-9a-f]{1,12}$/i.test(text) ? Number.parseInt(text.replace(/^0x/i, ""), 16) : Number.NaN;
  if (Number.isNaN(address)) throw new UsageError(`--at ${text}: give an address in hexadecimal, up to 48 bits`);
  return address;
}
