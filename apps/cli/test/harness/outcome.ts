/** What running a command came to, and how two of them differ. */
import { createHash } from "node:crypto";
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";

export interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  /** As a shell's `$?`: 128 + n for a program killed by signal n. */
  readonly status: number;
  /** A line for each file below the working directory: path, kind, mode, contents. */
  readonly files: readonly string[];
}

/** The status a shell would show. */
export function shellStatus(code: number | null, signal: NodeJS.Signals | null): number {
  return code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
}

/** Bytes that are not text come out as one character each, and so compare alike. */
export function textOf(bytes: Buffer): string {
  const text = bytes.toString("utf8");
  return text.includes("\ufffd") ? bytes.toString("latin1") : text;
}

const SHORT_FILE_BYTES = 200;

/** Describes every file below `directory` but those whose path matches `ignore`. */
export function describeFiles(directory: string, ignore?: RegExp): string[] {
  const lines: string[] = [];
  const visit = (relative: string): void => {
    for (const name of readdirSync(join(directory, relative)).toSorted()) {
      const path = relative === "" ? name : `${relative}/${name}`;
      if (ignore?.test(path) === true) continue;
      const full = join(directory, path);
      const status = lstatSync(full);
      const mode = (status.mode & 0o7777).toString(8);
      if (status.isDirectory()) {
        lines.push(`${path}/ ${mode}`);
        visit(path);
      } else if (status.isSymbolicLink()) lines.push(`${path} -> ${readlinkSync(full)}`);
      else if (status.isFile()) lines.push(`${path} ${mode} ${contents(readFileSync(full))}`);
      else lines.push(`${path} ${mode} special`);
    }
  };
  visit("");
  return lines;
}

function contents(bytes: Buffer): string {
  if (bytes.length <= SHORT_FILE_BYTES) return JSON.stringify(textOf(bytes));
  return `${bytes.length} bytes, SHA-256 ${createHash("sha256").update(bytes).digest("hex").slice(0, 16)}`;
}

/** What a reader needs to see of how the guest's outcome differs; empty when it does not. */
export function differences(native: Outcome, guest: Outcome): string[] {
  const found: string[] = [];
  if (native.status !== guest.status) found.push(`status: natively ${native.status}, in the guest ${guest.status}`);
  found.push(...lineDifferences("stdout", native.stdout.split("\n"), guest.stdout.split("\n")));
  found.push(...lineDifferences("stderr", native.stderr.split("\n"), guest.stderr.split("\n")));
  found.push(...lineDifferences("files", native.files, guest.files));
  return found;
}

const SHOWN_LINES = 6;
const SHOWN_CHARACTERS = 400;

/** The lines from the first that differs. */
function lineDifferences(what: string, native: readonly string[], guest: readonly string[]): string[] {
  const length = Math.max(native.length, guest.length);
  for (let first = 0; first < length; first++) {
    if (native[first] === guest[first]) continue;
    const excerpt = (lines: readonly string[]): string =>
      lines
        .slice(first, first + SHOWN_LINES)
        .map((line) => (line.length > SHOWN_CHARACTERS ? `${line.slice(0, SHOWN_CHARACTERS)}…` : line))
        .join("\n      ");
    return [
      `${what}, line ${first + 1} of ${native.length}:\n  natively:\n      ${excerpt(native)}\n  in the guest (${guest.length} lines):\n      ${excerpt(guest)}`,
    ];
  }
  return [];
}
