/** Opens disk images by name. */

import { constants, inflateRaw, zstdDecompress } from "node:zlib";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, isAbsolute, join, resolve } from "node:path";
import type { BlockDevice } from "@doppel/mirror-storage";
import { DiskImageError } from "../disk/disk-file.ts";
import { overlayDisk } from "../disk/overlay.ts";
import { Qcow2Disk } from "../disk/qcow2/image.ts";
import type { BackingDisk, Decompress } from "../disk/qcow2/image.ts";
import { RawDisk } from "../disk/raw.ts";
import { HostFile } from "./disk-file.ts";

export type DiskFormat = "raw" | "qcow2";

export interface DiskOptions {
  readonly format: DiskFormat;
  readonly readOnly?: boolean;
  /** Keeps what is written in a temporary file, which is gone with the disk. */
  readonly snapshot?: boolean;
}

/** A disk, and the files behind it. */
export interface OpenDisk {
  readonly disk: BlockDevice;
  readonly close: () => Promise<void>;
}

/** Longest chain of images, each based on the next. */
const maximumDepth = 32;

/**
 * Opens an image.
 *
 * @throws DiskImageError, DiskFileError, or what `fs.open` rejects with
 */
export async function openDisk(path: string, options: DiskOptions): Promise<OpenDisk> {
  if (options.snapshot !== true) return openImage(path, options.format, options.readOnly === true, 0);
  const base = await openImage(path, options.format, true, 0);
  try {
    const overlay = await overlayDisk(base.disk, await temporaryFile());
    return {
      disk: overlay,
      close: async () => {
        await overlay.close();
        await base.close();
      },
    };
  } catch (error) {
    await base.close();
    throw error;
  }
}

async function openImage(path: string, format: DiskFormat, readOnly: boolean, depth: number): Promise<OpenDisk> {
  if (depth > maximumDepth) throw new DiskImageError("unsupported", "too many images, each based on the next");
  const file = await HostFile.open(path, { readOnly });
  if (format === "raw") {
    const disk = new RawDisk(file);
    return { disk, close: () => disk.close() };
  }
  const openBacking = (name: string, backingFormat: string): Promise<BackingDisk> => {
    if (backingFormat !== "raw" && backingFormat !== "qcow2") {
      throw new DiskImageError("unsupported", `the image below is of format "${backingFormat}"`);
    }
    // QEMU takes what is before a colon for a protocol.
    if (/^[^/]*:/.test(name)) throw new DiskImageError("unsupported", `the image below is "${name}", which is no file`);
    const below = isAbsolute(name) ? name : resolve(dirname(path), name);
    return openImage(below, backingFormat, true, depth + 1);
  };
  const disk = await Qcow2Disk.open(file, { readOnly, decompress, openBacking });
  return { disk, close: () => disk.close() };
}

/** A file without a name: it is gone when it is closed. */
async function temporaryFile(): Promise<HostFile> {
  const folder = await mkdtemp(join(tmpdir(), "doppel-"));
  try {
    return await HostFile.open(join(folder, "overlay"), { create: true });
  } finally {
    await rm(folder, { recursive: true });
  }
}

const decompress: Decompress = (data, method, length) =>
  new Promise((fulfil, reject) => {
    const settle = (error: Error | null, result: Uint8Array): void => {
      if (error === null) fulfil(result);
      else reject(error);
    };
    // Something else follows the data, up to the end of its last sector; what it expands to is bounded here.
    if (method === "deflate") {
      inflateRaw(data, { maxOutputLength: length, finishFlush: constants.Z_SYNC_FLUSH }, settle);
    } else {
      // A buffer that the frame does not fill is what ends the decoding before it comes to what follows.
      zstdDecompress(data, { maxOutputLength: length, chunkSize: length + 1 }, settle);
    }
  });
