/**
 * The machine code of WebAssembly modules, through what V8 has for its own tests: the serializer that browsers keep compiled
 * modules with, which Node gives no other access to.
 *
 * V8 takes back what it gave out in the same version, with the same flags, on a processor with the same features, and says no to
 * all else. It does not check the code itself: whoever keeps it sees to it that it comes back as it was.
 */
import { setFlagsFromString } from "node:v8";
import { runInThisContext } from "node:vm";
import type { CodeCodec } from "@doppel/dbt-core";

/** Those of which it is known what these functions take: anything else ends the process. */
const KNOWN_VERSIONS: readonly RegExp[] = [/^13\.6\./];

/**
 * An option of Node's, not of V8's, that V8 does not look for when it takes code back: with it there is nothing behind a memory's
 * end that would catch code which was made to rely on that.
 */
const NO_TRAP_HANDLER = /disable-wasm-trap-handler/;

/** Undefined where V8 is of a version that is not known, or may be given code that it cannot run safely. */
export function machineCode(): CodeCodec | undefined {
  const nodeOptions = [...process.execArgv, process.env["NODE_OPTIONS"] ?? ""];
  if (nodeOptions.some((option) => NO_TRAP_HANDLER.test(option))) return undefined;
  if (!KNOWN_VERSIONS.some((known) => known.test(process.versions.v8))) return undefined;
  const serialize = native("SerializeWasmModule(a)") as (module: WebAssembly.Module) => ArrayBuffer;
  const deserialize = native("DeserializeWasmModule(a, b)") as (
    code: ArrayBuffer,
    module: Uint8Array,
  ) => WebAssembly.Module | undefined;
  const isOptimized = native("IsTurboFanFunction(a)") as (entry: CallableFunction) => boolean;
  return {
    // Without any optimised code there is nothing to serialize, which V8 takes for an error of its own.
    encode: (module, entry) => (isOptimized(entry()) ? new Uint8Array(serialize(module)) : undefined),
    decode: (code, module) => deserialize(code.buffer, module),
  };
}

type Native = (...given: readonly unknown[]) => unknown;

/** One of V8's functions for tests. */
function native(call: string): Native {
  let parsed = parse(call);
  return (...given) => {
    try {
      return parsed(...given);
    } catch (error) {
      // V8 forgets the code of functions that have not been called for long, and parses them again.
      if (!(error instanceof SyntaxError)) throw error;
      parsed = parse(call);
      return parsed(...given);
    }
  };
}

/** V8 is to know the syntax for no longer than this takes: what it has cached goes by its flags. */
function parse(call: string): Native {
  setFlagsFromString("--allow-natives-syntax");
  try {
    const made = runInThisContext(`(function (a, b) { if (arguments.length > 0) return %${call}; })`) as Native;
    // Which is when it is parsed in full.
    made();
    return made;
  } finally {
    setFlagsFromString("--no-allow-natives-syntax");
  }
}
