// `pnpm tidy`: the rules no other tool checks. With --shrink, lowers the listed lengths of long files first.

import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileLengths, fileNames, importDirection, nodeImports, shrunkExceptions } from "./rules.ts";

const root = join(import.meta.dirname, "../..");
const exceptionsFile = join(import.meta.dirname, "long-files.json");

const listed = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
  cwd: root,
  encoding: "utf8",
});
const paths = listed.split("\n").filter((path) => path !== "" && existsSync(join(root, path)));
const files = paths
  .filter((path) => /\.(ts|mts|mjs|js)$/.test(path))
  .map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }));

let exceptions = JSON.parse(readFileSync(exceptionsFile, "utf8")) as Record<string, number>;
if (process.argv.includes("--shrink")) {
  exceptions = shrunkExceptions(files, exceptions);
  writeFileSync(exceptionsFile, `${JSON.stringify(exceptions, null, 2)}\n`);
}

const complaints = [
  ...importDirection(files),
  ...nodeImports(files),
  ...fileNames(paths),
  ...fileLengths(files, exceptions),
];
for (const complaint of complaints) console.error(complaint);
console.log(`tidy: ${files.length} files, ${complaints.length} complaints`);
process.exitCode = complaints.length === 0 ? 0 : 1;
