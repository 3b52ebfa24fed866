/** Saved machines in files: `--save` and `--load`. */
import { createReadStream } from "node:fs";
import { open, rename, rm, stat } from "node:fs/promises";
import { type Machine, SnapshotError } from "@doppel/emulator";
import { deflate, snapshotMemory } from "@doppel/pc-machine";
import { zstd } from "@doppel/pc-machine/node";
import { systemMessage } from "../options.ts";
import { UsageError } from "../usage-error.ts";

const compressions = [zstd, deflate];
const MEBIBYTE = 2 ** 20;

export interface SavedMachine {
  readonly bytes: number;
  readonly seconds: number;
}

/**
 * Saves the machine, which goes on afterwards if it was running. The file is there as a whole or, after an error, as it
 * was before. Rejects with SaveError.
 */
export async function saveMachine(machine: Machine, path: string): Promise<SavedMachine> {
  const partial = `${path}.partial`;
  const startMs = performance.now();
  try {
    const file = await open(partial, "w");
    try {
      await machine.save(async (bytes) => {
        for (let at = 0; at < bytes.length;) at += (await file.write(bytes, at)).bytesWritten;
      }, zstd);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(partial, path);
    const { size } = await stat(path);
    return { bytes: size, seconds: (performance.now() - startMs) / 1000 };
  } catch (error) {
    await rm(partial, { force: true });
    throw new SaveError(`${path}: ${systemMessage(error)}`);
  }
}

/** A machine could not be saved; it is as it was. */
export class SaveError extends Error {
  override name = "SaveError";
}

/** Bytes of RAM of a saved machine. */
export function savedMemory(path: string): Promise<number> {
  return reading(path, (source) => snapshotMemory(source));
}

export async function loadMachine(machine: Machine, path: string): Promise<void> {
  await reading(path, (source) => machine.load(source, compressions));
}

async function reading<T>(path: string, read: (source: AsyncIterable<Uint8Array>) => Promise<T>): Promise<T> {
  const stream = createReadStream(path, { highWaterMark: MEBIBYTE });
  try {
    return await read(stream);
  } catch (error) {
    if (error instanceof SnapshotError) throw new UsageError(`vm: ${path}: ${error.message}`);
    if (error instanceof Error && "code" in error) throw new UsageError(`${path}: ${systemMessage(error)}`);
    throw error;
  } finally {
    stream.destroy();
  }
}
