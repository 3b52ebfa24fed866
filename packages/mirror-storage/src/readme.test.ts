// The example of the README, word for word, and a test that it is.
import { EventEmitter, once } from "node:events";
import { readFile } from "node:fs/promises";
import { expect, it } from "vitest";
import type { BlockDevice } from "./block-device.ts";
import { journalSectors } from "./journal.ts";
import { MemoryDevice } from "./memory-device.ts";
import { Primary } from "./primary.ts";
import { Secondary } from "./secondary.ts";

class Events extends EventEmitter {
  next(kind: string): Promise<unknown> {
    return once(this, kind);
  }
}

function write(device: BlockDevice, sector: number, text: string): Promise<void> {
  const data = new Uint8Array(512);
  new TextEncoder().encodeInto(text, data);
  return new Promise((resolve, reject) => {
    device.write(sector, data, {}, (result) => (result.ok ? resolve() : reject(new Error(result.error.message))));
  });
}

it("S4 the README's example goes back to the checkpoint", async () => {
  const events = new Events();
  // <example>
  const geometry = { sectorSize: 512, sectorCount: 2048 };
  const settings = { name: "my disk", topology: "mirrored", sectorsPerBlock: 8 } as const;
  const bounds = { rollbackBlocks: 1024, writeBufferBlocks: 1024 };

  // Two hosts in one process. Over a network, encodeMessage and MessageReader stand between them.
  const primary: Primary = new Primary({
    ...settings,
    disk: new MemoryDevice(geometry),
    token: 1, // from whoever decides who leads; each takeover has a higher one
    send: (message) => queueMicrotask(() => secondary.receive(message)),
    event: (event) => events.emit(event.kind),
  });
  const ownDisk = new MemoryDevice(geometry);
  const secondary: Secondary = new Secondary({
    ...settings,
    ...bounds,
    disk: ownDisk,
    journal: new MemoryDevice({ sectorSize: 512, sectorCount: journalSectors(2048, 4096, 512) }),
    salt: 0x5eed,
    send: (message) => queueMicrotask(() => primary.receive(message)),
    event: (event) => {
      if (event.kind === "prepared") secondary.commit(event.epoch); // once memory and processors are safe as well
      else events.emit(event.kind);
    },
  });

  secondary.start();
  await events.next("recovered");
  primary.attach();
  await events.next("synchronised"); // the secondary's disk has all blocks
  primary.checkpoint();
  await events.next("committed"); // from here on it can take over

  await write(primary, 0, "as of the checkpoint");
  primary.checkpoint();
  await events.next("committed");
  await write(primary, 0, "after it");

  // The primary's host dies. Nobody has seen what it did since, and nothing of that is left.
  secondary.disconnected();
  secondary.promote(2);
  await events.next("promoted");
  new TextDecoder().decode(ownDisk.bytes.subarray(0, 20)); // "as of the checkpoint"
  // </example>
  expect(new TextDecoder().decode(ownDisk.bytes.subarray(0, 20))).toBe("as of the checkpoint");
});

it("the README shows what is tested here", async () => {
  const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
  const source = await readFile(new URL(import.meta.url), "utf8");
  const example = /\/\/ <example>\n([\s\S]*?) *\/\/ <\/example>/.exec(source)?.[1] ?? "nothing";
  expect(readme).toContain(example.replaceAll(/^ {2}/gm, ""));
});
