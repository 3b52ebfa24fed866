// One build for every package: an entry point is whatever package.json exports under the `source` condition, or
// names as a command, so a new one needs no second list. JavaScript only; `tsc -p tsconfig.build.json` emits types.
import { readFileSync } from "node:fs";
import type { Options } from "tsup";

interface Manifest {
  bin?: Record<string, string>;
  exports?: Record<string, string | { source?: string }>;
}

const manifest = JSON.parse(readFileSync("package.json", "utf8")) as Manifest;
const exported = Object.values(manifest.exports ?? {}).flatMap((target) =>
  typeof target === "object" && target.source !== undefined ? [target.source] : [],
);
const commands = Object.values(manifest.bin ?? {}).map((built) =>
  built.replace("./dist/", "./src/").replace(/\.js$/, ".ts"),
);

const options: Options = {
  entry: [...exported, ...commands],
  format: "esm",
  // A command is one bundle: to find and read the packages' files one by one would cost it each time it starts.
  noExternal: commands.length > 0 ? [/^@doppel\//] : [],
  target: "es2024",
  platform: "node",
  // Keeps "node:fs" as written: not every runtime or bundler knows a bare "fs".
  removeNodeProtocol: false,
  splitting: true,
  sourcemap: true,
  clean: true,
  dts: false,
  silent: true,
};

export default options;
