/** A disk over another one that only takes the differences: what `snapshot=on` makes of a disk. */

import type { BlockDevice } from "@doppel/mirror-storage";
import type { DiskFile } from "./disk-file.ts";
import { createQcow2 } from "./qcow2/create.ts";
import { Qcow2Disk } from "./qcow2/image.ts";

/**
 * Writes go to `file`, an empty one that is thrown away with the disk; `base` is only read. Closing closes `file`, and not
 * the base.
 */
export async function overlayDisk(base: BlockDevice, file: DiskFile): Promise<Qcow2Disk> {
  const size = Math.ceil((base.geometry.sectorCount * base.geometry.sectorSize) / 512) * 512;
  await createQcow2(file, { size, lazyRefcounts: true, backing: { name: "base", format: "raw" } });
  return Qcow2Disk.open(file, {
    openBacking: () => Promise.resolve({ disk: base, close: () => Promise.resolve() }),
  });
}
