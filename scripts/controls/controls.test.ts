import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { controls } from "./controls.ts";

it.each(controls.map((control) => [control.name, control] as const))(
  "%s: there is one such place in the source",
  (_name, { file, text }) => {
    expect(readFileSync(join(import.meta.dirname, "../..", file), "utf8").split(text)).toHaveLength(2);
  },
);
