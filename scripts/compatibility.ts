// Writes docs/compatibility.md from the tables that the code itself uses: `pnpm compatibility`.

import { writeFileSync } from "node:fs";
import { compatibilityText } from "./compatibility-text.ts";

writeFileSync(new URL("../docs/compatibility.md", import.meta.url), compatibilityText());
