// Pre-shared keys: one for each two that talk, so that a host which is broken into can pretend to be nobody but itself.
import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { UsageError } from "../usage-error.ts";

const KEY_BYTES = 32;

/** The edge's name among those of the hosts. */
export const EDGE = "edge";

const fileOf = (one: string, other: string): string => `${[one, other].toSorted().join("+")}.key`;

/** Makes the keys of all that have none yet; returns the files made. */
export function makeKeys(folder: string, hosts: readonly string[]): string[] {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const names = [EDGE, ...hosts];
  const made: string[] = [];
  for (const [at, one] of names.entries()) {
    for (const other of names.slice(at + 1)) {
      const file = fileOf(one, other);
      if (readdirSync(folder).includes(file)) continue;
      writeFileSync(join(folder, file), `${randomBytes(KEY_BYTES).toString("hex")}\n`, { mode: 0o600, flag: "wx" });
      made.push(file);
    }
  }
  return made;
}

/** The key that two share. @throws UsageError if it is not here, or is none */
export function keyOf(folder: string, one: string, other: string): Uint8Array {
  const path = join(folder, fileOf(one, other));
  let text: string;
  try {
    text = readFileSync(path, "utf8").trim();
  } catch {
    throw new UsageError(`there is no key ${path}; "doppel pair init" makes it`);
  }
  if (!/^[0-9a-f]{64}$/.test(text)) throw new UsageError(`${path} is no key: 64 hexadecimal digits`);
  return Buffer.from(text, "hex");
}

/** The keys by which whoever calls `own` is known. */
export function keysOf(folder: string, own: string, others: readonly string[]): Map<string, Uint8Array> {
  return new Map(others.map((other) => [other, keyOf(folder, own, other)]));
}
