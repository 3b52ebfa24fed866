/** Where the functions that have twins are found. */
import type { LibrarySymbol } from "../native-function.ts";

/**
 * A function of the GNU C library. `_IO_stdin_used` is in the start code of every program that is linked with it, also
 * statically; names of the C standard are the library's there (C17 7.1.3).
 */
export function glibc(name: string, version?: string): LibrarySymbol {
  return {
    library: "libc.so.6",
    name,
    staticMarkers: ["_IO_stdin_used"],
    ...(version === undefined ? {} : { version }),
  };
}

/** A function of zlib; a program that contains all the markers contains zlib. */
export function zlib(name: string): LibrarySymbol {
  return { library: "libz.so.1", name, staticMarkers: ["zlibVersion", "zError", "crc32_combine"] };
}
