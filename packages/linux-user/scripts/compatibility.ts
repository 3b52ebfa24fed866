// Writes docs/compatibility.md.

import { writeFileSync } from "node:fs";
import { allSyscalls } from "../src/syscalls/all-syscalls.ts";
import { compatibilityDocument } from "../src/syscalls/compatibility.ts";

writeFileSync(new URL("../../../docs/compatibility.md", import.meta.url), compatibilityDocument(allSyscalls));
