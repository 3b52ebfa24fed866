/** Descriptors 0, 1 and 2 of the first process, from what the host's own are. */
import type { Task } from "../kernel/task.ts";
import { failed, O_ACCMODE, O_APPEND, O_NOCTTY, O_RDONLY, O_RDWR } from "../vfs/constants.ts";
import { HostContent, type HostSources } from "../vfs/host-content.ts";
import type { HostStream } from "../vfs/host.ts";
import { openPath } from "../vfs/open.ts";
import type { FilesystemContext } from "../vfs/walk.ts";
import { FileTable } from "./file-table.ts";
import { HostStreamFile, InheritedFile } from "./host-stream.ts";
import type { OpenFile } from "./open-file.ts";

export interface StandardStreamOptions {
  readonly streams: readonly HostStream[];
  readonly sources: HostSources;
  readonly context: FilesystemContext;
  /** Somebody to open /dev/pts/0 as; it need not be a real task yet. */
  readonly opener: Task;
}

const LIMIT = 1024;

function inheritedFile(stream: HostStream, fd: number, sources: HostSources): OpenFile {
  const flags = stream.flags & (O_ACCMODE | O_APPEND);
  const name = `/proc/self/fd/${fd}`;
  if (stream.kind !== "file" || stream.file === undefined) return new HostStreamFile(stream, flags, name);
  const access = flags & O_ACCMODE;
  const content = new HostContent(sources, stream.file, name, access !== 1, access !== O_RDONLY);
  return new InheritedFile(stream, flags, name, content, sources.pageCache);
}

/**
 * A table with the inherited descriptors. The terminals among them are one description, as a login shell's are.
 * A descriptor that the parent closed stays closed.
 */
export function standardStreams(options: StandardStreamOptions): FileTable {
  const { streams, sources, context, opener } = options;
  const table = new FileTable();
  let terminal: OpenFile | undefined;
  for (const [fd, stream] of streams.entries()) {
    if (stream.kind === "closed") continue;
    let file: OpenFile;
    if (stream.kind === "terminal") {
      terminal ??= openConsole(context, opener);
      if (terminal === undefined) continue;
      file = terminal;
      file.retain();
    } else {
      file = inheritedFile(stream, fd, sources);
    }
    table.install(file, { closeOnExec: false, from: fd, limit: LIMIT });
  }
  terminal?.release();
  return table;
}

function openConsole(context: FilesystemContext, task: Task): OpenFile | undefined {
  const file = openPath({ context, start: context.root, path: "/dev/pts/0", flags: O_RDWR | O_NOCTTY, mode: 0, task });
  return failed(file) ? undefined : file;
}
