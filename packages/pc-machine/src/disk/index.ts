export { DiskFileError, DiskImageError, MemoryFile } from "./disk-file.ts";
export type { DiskFile } from "./disk-file.ts";
export { overlayDisk } from "./overlay.ts";
export { createQcow2 } from "./qcow2/create.ts";
export type { NewImage } from "./qcow2/create.ts";
export { Qcow2Disk } from "./qcow2/image.ts";
export type { BackingDisk, Decompress, Qcow2Options } from "./qcow2/image.ts";
export { RawDisk } from "./raw.ts";
