/**
 * Writes cpio archives in the "newc" format that the Linux kernel takes as initial root file system
 * (Documentation/driver-api/early-userspace/buffer-format.rst).
 */
import type { FileNode, FileTree } from "./file-tree.ts";

const ALIGNMENT = 4;
/** The kernel wants nothing of the end but zeros up to a round size, which lets archives be joined. */
const END_ALIGNMENT = 512;

const fileTypes: Readonly<Record<FileNode["kind"], number>> = {
  directory: 0o040000,
  file: 0o100000,
  link: 0o120000,
  "character-device": 0o020000,
};

/** The tree as an archive; the same tree always gives the same bytes. */
export function writeCpio(tree: FileTree): Uint8Array {
  const parts: Uint8Array[] = [];
  let length = 0;
  const append = (bytes: Uint8Array, alignment: number): void => {
    const padding = -(length + bytes.length) & (alignment - 1);
    parts.push(bytes, new Uint8Array(padding));
    length += bytes.length + padding;
  };
  for (const [index, [path, node]] of tree.entries().entries()) {
    const data =
      node.kind === "file"
        ? node.data
        : node.kind === "link"
          ? new TextEncoder().encode(node.target)
          : new Uint8Array(0);
    append(header(index + 1, path, node, data.length), ALIGNMENT);
    append(data, ALIGNMENT);
  }
  const end = { kind: "file", data: new Uint8Array(0), mode: 0, uid: 0, gid: 0, modified: 0 } as const;
  append(header(0, "TRAILER!!!", end, 0), END_ALIGNMENT);
  const archive = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    archive.set(part, offset);
    offset += part.length;
  }
  return archive;
}

function header(inode: number, path: string, node: FileNode, dataLength: number): Uint8Array {
  const name = new TextEncoder().encode(`${path}\0`);
  const [major, minor] = node.kind === "character-device" ? [node.major, node.minor] : [0, 0];
  const fields = [
    inode,
    path === "TRAILER!!!" ? 0 : fileTypes[node.kind] | node.mode,
    node.uid,
    node.gid,
    node.kind === "directory" ? 2 : 1,
    node.modified,
    dataLength,
    0,
    0,
    major,
    minor,
    name.length,
    0,
  ];
  const digits = `070701${fields.map((field) => field.toString(16).padStart(8, "0").toUpperCase()).join("")}`;
  const bytes = new Uint8Array(digits.length + name.length);
  bytes.set(new TextEncoder().encode(digits));
  bytes.set(name, digits.length);
  return bytes;
}
