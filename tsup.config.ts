// One build for every package: an entry point is whatever package.json exports under the `source` condition, so a
// new subpath export needs no second list. JavaScript only; `tsc -p tsconfig.build.json` emits the types.
import { readFileSync } from "node:fs";
import type { Options } from "tsup";

interface Manifest {
  exports?: Record<string, string | { source?: string }>;
  doppel?: { entries?: string[] };
}

const manifest = JSON.parse(readFileSync("package.json", "utf8")) as Manifest;
const exported = Object.values(manifest.exports ?? {}).flatMap((target) =>
  typeof target === "object" && target.source !== undefined ? [target.source] : [],
);

const options: Options = {
  entry: [...exported, ...(manifest.doppel?.entries ?? [])],
  format: "esm",
  target: "es2024",
  platform: "neutral",
  splitting: true,
  sourcemap: true,
  // The type declarations share dist/ and are written beside this build, so this build must not empty the folder.
  clean: false,
  dts: false,
};

export default options;
