/** What is asked of V8 before it compiles anything. */
import { setFlagsFromString } from "node:v8";

/**
 * Branch hints (a proposal for WebAssembly that browsers have switched on by now) keep registers out of memory where only a
 * slow path would need them there. Translated code has no calls that V8 could inline, and the notes it takes for that cost each
 * entry of code that is compiled in haste.
 */
export function setEngineFlags(): void {
  setFlagsFromString("--experimental-wasm-branch-hinting");
  setFlagsFromString("--no-wasm-inlining");
}
