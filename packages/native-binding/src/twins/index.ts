/** The twins there are. */
import type { NativeFunction } from "../native-function.ts";
import { checksumFunctions } from "./checksum-functions.ts";
import { inflateFunctions } from "./inflate-fast.ts";
import { memoryFunctions } from "./memory-functions.ts";
import { sortFunctions } from "./sort-functions.ts";
import { stringFunctions } from "./string-functions.ts";

export const twins: readonly NativeFunction[] = [
  ...memoryFunctions,
  ...stringFunctions,
  ...sortFunctions,
  ...checksumFunctions,
  ...inflateFunctions,
];

export { defaultBindPoints } from "./string-functions.ts";

/** Those that made programs faster wherever they were measured (docs/native-bindings.md). */
export const defaultTwins: readonly string[] = [
  "memcpy",
  "memmove",
  "mempcpy",
  "memset",
  "memchr",
  "memcmp",
  "strlen",
  "strnlen",
  "strchr",
  "strchrnul",
  "strcmp",
  "strncmp",
  "crc32",
  "crc32_z",
  "adler32",
  "adler32_z",
  "inflate_fast",
];
