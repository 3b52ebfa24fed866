// What needs Node: disk images in files.
export { HostFile } from "./disk-file.ts";
export type { HostFileOptions } from "./disk-file.ts";
export { openDisk } from "./open-disk.ts";
export type { DiskFormat, DiskOptions, OpenDisk } from "./open-disk.ts";
export { openSharedFolder } from "./shared-folder.ts";
export { zstd } from "./zstd.ts";
