// What `pnpm tidy` holds the tree to, as functions of paths and texts: each returns the complaints it has.

/** A file of the repository: its path from the root, with forward slashes, and its text. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

/** Longest file, in lines, that is not listed as an exception: past this it is usually two ideas. */
export const maximumLines = 700;

/**
 * Which packages a package may import. One that is not listed may import none: a technique must be usable alone,
 * and meets the others through interfaces of its own. "*" stands for all.
 */
const allowedImports: Readonly<Record<string, readonly string[] | "*">> = {
  "guest-x86": ["dbt-core", "lazy-flags"],
  // The oracle runs the translator as a whole; nothing of it is published.
  "guest-x86/oracle": ["dbt-core", "guard-memory", "trampolines"],
  "linux-user": ["guard-memory"],
  "pc-machine": ["dbt-core", "guest-x86", "mirror-storage"],
  // The simulated pair has mirrored disks; nothing of it is published.
  "ha-checkpoint/testing": ["mirror-storage"],
  emulator: "*",
};

const packageOf = (path: string): string | undefined => /^packages\/([^/]+)\//.exec(path)?.[1];
const isTest = (path: string): boolean => path.endsWith(".test.ts") || /^(apps|packages)\/[^/]+\/test\//.test(path);
const isSource = (path: string): boolean => /\.(ts|mts|mjs|js)$/.test(path) && !/(^|\/)golden\//.test(path);

/** Module names a text imports or re-exports, statically or dynamically. */
export function importsOf(text: string): string[] {
  const pattern = /(?:^|[;}\s])(?:import|export)\s*(?:[\w*{][^"';]*?\sfrom\s*)?\(?\s*["']([^"'\n]+)["']/g;
  return [...withoutComments(text).matchAll(pattern)].map((match) => match[1] ?? "");
}

/** The text with comments blanked; strings stay, so that a `//` inside one is not taken for a comment. */
function withoutComments(text: string): string {
  const token = /"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`|\/\/[^\n]*|\/\*[\s\S]*?\*\//g;
  return text.replace(token, (match) => (match.startsWith("//") || match.startsWith("/*") ? " " : match));
}

/** Arrows between packages point one way, and nobody reaches past another package's exports. */
export function importDirection(files: readonly SourceFile[]): string[] {
  const complaints: string[] = [];
  for (const { path, text } of files) {
    const from = packageOf(path);
    if (!isSource(path)) continue;
    for (const name of importsOf(text)) {
      if (name.startsWith(".")) {
        if (leavesPackage(path, name)) complaints.push(`${path}: reaches into another package by path: "${name}"`);
        continue;
      }
      const to = /^@doppel\/([^/]+)/.exec(name)?.[1];
      if (from === undefined || to === undefined || to === from) continue;
      const part = /\/(oracle|testing)\//.exec(path)?.[1];
      const allowed = allowedImports[`${from}/${part}`] ?? allowedImports[from] ?? [];
      if (allowed !== "*" && !allowed.includes(to)) {
        complaints.push(`${path}: ${from} may not import @doppel/${to}; allowed: ${allowed.join(", ") || "none"}`);
      }
    }
  }
  return complaints;
}

function leavesPackage(path: string, relative: string): boolean {
  const home = /^(apps|packages)\/[^/]+\//.exec(path)?.[0];
  if (home === undefined) return false;
  const target = new URL(relative, `file:///${path}`).pathname.slice(1);
  return /^(apps|packages)\//.test(target) && !target.startsWith(home);
}

/** Outside apps/, bench/, folders named scripts/ or node/, and tests, everything also runs in a browser. */
export function nodeImports(files: readonly SourceFile[]): string[] {
  return files
    .filter(
      ({ path }) => path.startsWith("packages/") && isSource(path) && !isTest(path) && !/\/(node|scripts)\//.test(path),
    )
    .flatMap(({ path, text }) =>
      importsOf(text)
        .filter((name) => name.startsWith("node:"))
        .map((name) => `${path}: imports "${name}" outside a folder named node/`),
    );
}

/** Folders and files are kebab-case; files that a tool or a habit names otherwise are upper case or have a dot. */
export function fileNames(paths: readonly string[]): string[] {
  const kebab = /^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+(-[a-z0-9]+)*)*$/;
  return paths
    .filter((path) => /^(apps|packages|scripts|bench|docs)\//.test(path) && !/(^|\/)golden\//.test(path))
    .filter((path) =>
      path.split("/").some((part) => !kebab.test(part) && !/^[A-Z]+(\.md)?$/.test(part) && !part.startsWith(".")),
    )
    .map((path) => `${path}: file and folder names are kebab-case`);
}

/** No source file grows past the limit; one listed as longer may only shrink, and the list must say so. */
export function fileLengths(files: readonly SourceFile[], exceptions: Readonly<Record<string, number>>): string[] {
  const complaints: string[] = [];
  const lengths = new Map(
    files
      .filter(({ path }) => isSource(path) && !isTest(path) && /^(apps|packages|scripts|bench)\//.test(path))
      .map(({ path, text }) => [path, lineCount(text)]),
  );
  for (const [path, lines] of lengths) {
    const exception = exceptions[path];
    if (exception === undefined) {
      if (lines > maximumLines) complaints.push(`${path}: ${lines} lines, over ${maximumLines}; is it two ideas?`);
    } else if (lines > exception) {
      complaints.push(`${path}: grew from ${exception} to ${lines} lines; a file this long may only shrink`);
    }
  }
  for (const [path, exception] of Object.entries(exceptions)) {
    const lines = lengths.get(path);
    if (lines === undefined)
      complaints.push(`${path}: listed as too long, but there is no such file; run tidy --shrink`);
    else if (lines < exception) {
      complaints.push(`${path}: shrank from ${exception} to ${lines} lines; run tidy --shrink to keep it so`);
    }
  }
  return complaints;
}

/** The exceptions lowered to what the files are now; none is added and none is raised. */
export function shrunkExceptions(
  files: readonly SourceFile[],
  exceptions: Readonly<Record<string, number>>,
): Record<string, number> {
  const lengths = new Map(files.map(({ path, text }) => [path, lineCount(text)]));
  const shrunk: Record<string, number> = {};
  for (const path of Object.keys(exceptions).toSorted()) {
    const lines = Math.min(lengths.get(path) ?? 0, exceptions[path] ?? 0);
    if (lines > maximumLines) shrunk[path] = lines;
  }
  return shrunk;
}

function lineCount(text: string): number {
  return text.split("\n").length - (text.endsWith("\n") ? 1 : 0);
}
