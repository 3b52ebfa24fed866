// Where a service listens, as options and configurations say it.
import type { NbdAddress } from "@doppel/mirror-storage/node";
import { UsageError } from "../usage-error.ts";

/** @throws UsageError if it is none */
export function addressOf(text: string): NbdAddress {
  if (text.includes("/")) return { path: text };
  const match = /^(?:(.+):)?(\d+)$/.exec(text);
  const port = Number(match?.[2] ?? Infinity);
  if (port > 65_535) throw new UsageError(`${text}: no address; HOST:PORT, PORT, or the path of a socket`);
  return { host: (match?.[1] ?? "127.0.0.1").replace(/^\[(.*)\]$/, "$1"), port };
}
