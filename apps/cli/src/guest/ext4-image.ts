/**
 * A tree of files as an ext4 image, without root: `mke2fs -d` copies files as the host has them, and `debugfs` then sets
 * owners, modes and times to what the tree says. The same tree gives the same image as far as mke2fs does.
 */
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { FileNode, FileTree } from "./file-tree.ts";
import { FileTreeError } from "./file-tree.ts";
import { runTool } from "./host-tools.ts";

const PACKAGE = "e2fsprogs";
/** What is made now and not in a package; the image's own times too. Any will do that is not 0, which means none. */
const EPOCH_SECONDS = 1;

const fileTypes: Readonly<Record<FileNode["kind"], number>> = {
  directory: 0o040000,
  file: 0o100000,
  link: 0o120000,
  "character-device": 0o020000,
};

export interface ImageOptions {
  readonly path: string;
  readonly bytes: number;
  readonly label: string;
}

/** Writes the image; where the disk is too small for the tree, mke2fs says so. */
export async function writeExt4Image(tree: FileTree, { path, bytes, label }: ImageOptions): Promise<void> {
  const staging = mkdtempSync(join(dirname(path), ".staging-"));
  try {
    const digest = stage(tree, join(staging, "root"));
    const uuid = uuidFrom(digest);
    rmSync(path, { force: true });
    const extended = `root_owner=0:0,hash_seed=${uuid},lazy_itable_init=0,lazy_journal_init=0`;
    const environment = { E2FSPROGS_FAKE_TIME: String(EPOCH_SECONDS), SOURCE_DATE_EPOCH: String(EPOCH_SECONDS) };
    const image = ["-q", "-F", "-t", "ext4", "-m", "0", "-L", label, "-U", uuid, "-E", extended];
    const size = `${Math.ceil(bytes / 1024)}k`;
    await runTool("mke2fs", [...image, "-d", join(staging, "root"), path, size], { package: PACKAGE, environment });
    const commands = join(staging, "commands");
    writeFileSync(commands, metadataCommands(tree));
    await runTool("debugfs", ["-w", "-f", commands, path], { package: PACKAGE, environment });
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

/** Puts the tree's files where mke2fs finds them, all of them readable. Gives a digest of everything in the tree. */
function stage(tree: FileTree, root: string): string {
  const hash = createHash("sha256");
  mkdirSync(root);
  for (const [path, node] of tree.entries()) {
    const place = join(root, path);
    const { kind, mode, uid, gid, modified } = node;
    hash.update(`${path}\0${kind} ${mode} ${uid} ${gid} ${modified}\0`);
    if (kind === "directory") mkdirSync(place, { mode: 0o700 });
    else if (kind === "link") {
      symlinkSync(node.target, place);
      hash.update(`${node.target}\0`);
    } else if (kind === "file") {
      writeFileSync(place, node.data, { mode: 0o600 });
      utimesSync(place, EPOCH_SECONDS, EPOCH_SECONDS);
      hash.update(node.data);
    } else {
      throw new FileTreeError(`${path}: devices belong to devtmpfs`);
    }
  }
  return hash.digest("hex");
}

/** Version 8: a UUID of one's own making (RFC 9562, 5.8). */
function uuidFrom(digest: string): string {
  const digits = `${digest.slice(0, 12)}8${digest.slice(13, 16)}8${digest.slice(17, 32)}`;
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** What debugfs is to do: every inode belongs to whom the tree says, whoever ran mke2fs. */
function metadataCommands(tree: FileTree): string {
  const lines: string[] = [];
  const set = (path: string, fields: Readonly<Record<string, string | number>>): void => {
    for (const [field, value] of Object.entries(fields)) lines.push(`set_inode_field "${path}" ${field} ${value}`);
  };
  const times = { atime: `@${EPOCH_SECONDS}`, ctime: `@${EPOCH_SECONDS}` };
  for (const path of ["/", "/lost+found"]) set(path, { ...times, mtime: `@${EPOCH_SECONDS}` });
  for (const [path, node] of tree.entries()) {
    if (/["\n\\]/.test(path)) throw new FileTreeError(`${path}: debugfs cannot be given such a name`);
    set(`/${path}`, {
      mode: `0${(fileTypes[node.kind] | node.mode).toString(8)}`,
      uid: node.uid,
      gid: node.gid,
      ...times,
      mtime: `@${Math.max(EPOCH_SECONDS, node.modified)}`,
    });
  }
  lines.push("set_inode_field / mode 040755", "");
  return lines.join("\n");
}
