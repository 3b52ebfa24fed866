// The arbiter's record in a file: replaced whole, and on the medium before anybody is told.
import { mkdir, open, readFile, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { decodeLeadership, encodeLeadership } from "../failover/arbiter.ts";
import type { Leadership } from "../failover/arbiter.ts";

export class FileRegister {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** The record; undefined if none was ever saved. Rejects if what is there is no record: to guess would be to fork. */
  async load(): Promise<Leadership | undefined> {
    const bytes = await readFile(this.#path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return undefined;
      throw error;
    });
    if (bytes === undefined) return undefined;
    const record = decodeLeadership(bytes);
    if (record === undefined) throw new Error(`${this.#path} is damaged: it holds no record of who leads`);
    return record;
  }

  async save(record: Leadership): Promise<void> {
    const folder = dirname(this.#path);
    await mkdir(folder, { recursive: true });
    const temporary = `${this.#path}.new`;
    const file = await open(temporary, "w", 0o600);
    try {
      await file.writeFile(encodeLeadership(record));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, this.#path);
    // The name is durable when its directory is.
    const directory = await open(folder, "r");
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  }
}
