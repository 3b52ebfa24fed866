// Switches off the mechanism that DOPPEL_CONTROL names, as its source is loaded for a test.
import { join } from "node:path";
import type { Plugin } from "vitest/config";
import { controls } from "./controls.ts";

const root = join(import.meta.dirname, "../..");

export function controlPlugin(name: string): Plugin {
  const control = controls.find((candidate) => candidate.name === name);
  if (control === undefined) throw new Error(`there is no control "${name}"`);
  const file = join(root, control.file);
  return {
    name: "doppel-control",
    enforce: "pre",
    transform(code, id) {
      if (id.split("?")[0] !== file) return undefined;
      if (code.split(control.text).length !== 2) throw new Error(`${control.file} does not have once: ${control.text}`);
      return code.replace(control.text, () => control.instead);
    },
  };
}
