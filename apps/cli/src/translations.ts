/** Where the command line keeps translations from run to run. */
import { homedir } from "node:os";
import { basename, join, resolve } from "node:path";
import type { TranslationCacheOptions } from "@doppel/emulator/node";

type Translations = Omit<TranslationCacheOptions, "program">;

/** A bundle that is named by the hash of all that it consists of, the translator too. Sources are not. */
const BUNDLE = /-[A-Z0-9]{8}\.js$/;

/**
 * What `--translations` says. `file`: the caller's own, by which the translator's version is known; nothing where it is
 * not.
 */
export function translationsIn(directory: string | undefined, file: string): { readonly translations?: Translations } {
  if (!BUNDLE.test(file) || directory === "none") return {};
  const cacheHome = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  const place = directory === undefined ? join(cacheHome, "doppel", "translations") : resolve(directory);
  return { translations: { directory: place, identity: basename(file) } };
}
