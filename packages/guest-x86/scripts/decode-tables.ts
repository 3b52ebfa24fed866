// Makes src/decode/tables-data.ts from the instruction tables in src/decode/forms/. Run it after changing a row:
//
//   node packages/guest-x86/scripts/decode-tables.ts
import { writeFileSync } from "node:fs";
import { packTables } from "../src/decode/testing/pack-tables.ts";

writeFileSync(new URL("../src/decode/tables-data.ts", import.meta.url), packTables());
