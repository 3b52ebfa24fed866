/** Servers at addresses that an option names. */
import { once } from "node:events";
import { lstatSync, rmSync } from "node:fs";
import { connect, type Server } from "node:net";
import type { StreamAddress } from "@doppel/emulator/node";

/** Listens; a socket of the file system that nobody answers at any more gives way. Returns where, for people. */
export async function listen(server: Server, address: StreamAddress): Promise<string> {
  if ("path" in address) await removeStale(address.path);
  server.listen(address);
  await once(server, "listening");
  const bound = server.address();
  return typeof bound === "object" && bound !== null ? `port ${bound.port}` : String(bound);
}

async function removeStale(path: string): Promise<void> {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return;
  const probe = connect(path);
  const isAnswered = await new Promise<boolean>((resolve) => {
    probe.once("connect", () => resolve(true)).once("error", () => resolve(false));
  });
  probe.destroy();
  if (!isAnswered) rmSync(path, { force: true });
}
