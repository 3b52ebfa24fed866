// The first line of an interpreter script (execve(2), "Interpreter scripts").

export interface ScriptLine {
  /** Byte strings. */
  readonly interpreter: string;
  /** Everything after the interpreter, as one argument, or null. */
  readonly argument: string | null;
}

/** Parses `#!interpreter [argument]` from the first 256 bytes of a file; null when there is no interpreter. */
export function parseScript(head: Uint8Array): ScriptLine | null {
  const newline = head.indexOf(0x0a);
  const end = newline < 0 ? head.length : newline;
  let line = String.fromCharCode(...head.subarray(2, end));
  const nul = line.indexOf("\0");
  if (nul >= 0) line = line.slice(0, nul);
  line = line.replace(/^[ \t]+|[ \t]+$/gu, "");
  if (line === "") return null;
  const space = line.search(/[ \t]/u);
  // Without its newline the line was cut: a name that may be incomplete is not one.
  if (newline < 0 && space < 0 && head.length >= 256) return null;
  if (space < 0) return { interpreter: line, argument: null };
  return { interpreter: line.slice(0, space), argument: line.slice(space).replace(/^[ \t]+/u, "") };
}
