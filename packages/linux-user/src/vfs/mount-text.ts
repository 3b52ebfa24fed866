/** The mount table as /proc/PID/mounts and mountinfo show it. */
import { failed } from "./constants.ts";
import type { Filesystem, Inode } from "./inode.ts";
import type { MountTable } from "./mount.ts";

/** Spaces and the like are octal in these files (fstab(5)). */
function escape(text: string): string {
  return text.replace(/[ \t\n\\]/g, (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, "0")}`);
}

function options(filesystem: Filesystem): string {
  return filesystem.readOnly ? "ro,relatime" : "rw,relatime";
}

/** A host directory has no type that programs know; ext4 is what they expect of a disk. */
function shownType(filesystem: Filesystem): string {
  return filesystem.name === "hostfs" ? "ext4" : filesystem.name;
}

function shownSource(filesystem: Filesystem): string {
  return filesystem.name === "hostfs" ? "hostfs" : filesystem.source;
}

export function mountsText(mounts: MountTable, root: Inode): string {
  let text = "";
  for (const filesystem of mounts.filesystems) {
    const path = mounts.pathOf(filesystem, root);
    if (path === undefined) continue;
    text += `${escape(shownSource(filesystem))} ${escape(path)} ${shownType(filesystem)} ${options(filesystem)} 0 0\n`;
  }
  return text;
}

export function mountInfoText(mounts: MountTable, root: Inode): string {
  let text = "";
  for (const [index, filesystem] of mounts.filesystems.entries()) {
    const path = mounts.pathOf(filesystem, root);
    if (path === undefined) continue;
    const status = filesystem.root.status();
    const device = failed(status) ? 0 : Number(status.dev);
    const parent = index === 0 ? 0 : 1;
    const id = `${index + 1} ${parent} ${(device >> 8) & 0xfff}:${device & 0xff}`;
    const shown = `${shownType(filesystem)} ${escape(shownSource(filesystem))}`;
    text += `${id} / ${escape(path)} ${options(filesystem)} - ${shown} ${filesystem.readOnly ? "ro" : "rw"}\n`;
  }
  return text;
}
