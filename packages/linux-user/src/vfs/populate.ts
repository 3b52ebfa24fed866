/** Files that are there before the first process: into a guest whose root is in memory. */
import { ENOTDIR } from "../kernel/errno.ts";
import type { Task } from "../kernel/task.ts";
import { RegularFile } from "../fd/regular-file.ts";
import { fromText } from "./byte-string.ts";
import { failed, type Failure, O_RDWR } from "./constants.ts";
import type { GuestFilesystem } from "./guest-filesystem.ts";
import { childOf } from "./walk.ts";

/** Whoever puts the files there may do so anywhere. */
const installer = {
  credentials: { ruid: 0, euid: 0, suid: 0, fsuid: 0, rgid: 0, egid: 0, sgid: 0, fsgid: 0, groups: [] },
} as unknown as Task;

/**
 * Writes a new file, and makes the directories on the way to it. The kernel must be connected: a file of a tmpfs lives
 * in its page cache. Gives -ENOMEM where guest memory has no room for it.
 */
export function putFile(
  filesystem: GuestFilesystem,
  path: string,
  bytes: Uint8Array,
  mode: number = 0o755,
): 0 | Failure {
  const names = fromText(path)
    .split("/")
    .filter((name) => name !== "");
  const last = names.pop();
  if (last === undefined) return -ENOTDIR;
  let directory = filesystem.mounts.root.root;
  for (const name of names) {
    directory.makeDirectory(name, 0o755, installer);
    const next = childOf(directory, name, installer);
    if (failed(next)) return next;
    directory = next;
  }
  const inode = directory.create(last, mode, installer);
  if (failed(inode)) return inode;
  const file = inode.open(O_RDWR, installer);
  if (failed(file)) return file;
  try {
    if (!(file instanceof RegularFile)) return -ENOTDIR;
    for (let done = 0; done < bytes.length;) {
      const count = file.content.write(bytes.subarray(done), done);
      if (failed(count)) return count;
      done += count;
    }
    return 0;
  } finally {
    file.release();
  }
}
