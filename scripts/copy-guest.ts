// The guest that `doppel pair` runs by default goes with the command line: run in apps/cli, after its build.
import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";

mkdirSync("dist/guests", { recursive: true });
copyFileSync(join(import.meta.dirname, "../guests/bin/machine/store"), "dist/guests/store");
