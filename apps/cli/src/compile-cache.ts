/** Node's cache of compiled JavaScript, without which each start parses and compiles all that it uses of this program. */
import { enableCompileCache } from "node:module";
import { isAbsolute, join } from "node:path";

/**
 * Keeps it in the user's cache directory (XDG Base Directory Specification): Node's own choice is a place that others may
 * write to. NODE_COMPILE_CACHE and NODE_DISABLE_COMPILE_CACHE are obeyed; without a home, or room, nothing is cached.
 */
export function cacheCompiledCode(environment: Readonly<Record<string, string | undefined>>): void {
  const directory = cacheDirectory(environment);
  if (directory !== undefined) enableCompileCache(directory);
}

/** Where compiled code is kept, or undefined where there is no place for it. */
export function cacheDirectory({
  NODE_COMPILE_CACHE: chosen,
  XDG_CACHE_HOME: caches,
  HOME: home,
}: Readonly<Record<string, string | undefined>>): string | undefined {
  if (chosen !== undefined && chosen !== "") return chosen;
  const isUsable = (path: string | undefined): path is string => path !== undefined && isAbsolute(path);
  if (isUsable(caches)) return join(caches, "doppel", "compiled");
  return isUsable(home) ? join(home, ".cache", "doppel", "compiled") : undefined;
}
