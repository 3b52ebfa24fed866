// Makes what derives from the instruction tables in src/decode/forms/: tables-data.ts and support.md. Run it after changing
// a row:
//
//   node packages/guest-x86/scripts/decode-tables.ts
import { writeFileSync } from "node:fs";
import { supportTable } from "../src/decode/support-table.ts";
import { packTables } from "../src/decode/testing/pack-tables.ts";

const folder = new URL("../src/decode/", import.meta.url);
writeFileSync(new URL("tables-data.ts", folder), packTables());
writeFileSync(new URL("support.md", folder), supportTable());
