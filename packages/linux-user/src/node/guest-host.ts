/**
 * Everything a kernel needs of this host about files, terminals and sockets, put together: what `doppel run` uses.
 *
 *   const host = nodeGuestHost({ root: "/", mounts: [] });
 *   const kernel = new LinuxKernel({ filesystem: host.filesystem, … });
 *   const start = host.start(kernel, { cwd, umask, credentials });
 *   const { process } = spawnProgram(kernel, { files: start.files, filesystem: start.context, … });
 *   host.attachConsole(process);
 *   … await kernel.run(); await host.finish();
 */
import type { Credentials, Kernel, Process, Task } from "../kernel/task.ts";
import type { FileTable } from "../fd/file-table.ts";
import { standardStreams } from "../fd/stdio.ts";
import { makeConsole } from "../fd/tty/console.ts";
import { TerminalTable } from "../fd/tty/devices.ts";
import type { Terminal } from "../fd/tty/terminal.ts";
import { LoopbackNetwork } from "../net/loopback.ts";
import { assembleFilesystem, type MountRequest } from "../vfs/assemble.ts";
import type { Failure } from "../vfs/constants.ts";
import { failed } from "../vfs/constants.ts";
import type { GuestFilesystem } from "../vfs/guest-filesystem.ts";
import type { HostClock, HostStream, HostTerminal } from "../vfs/host.ts";
import type { SystemDescription } from "../vfs/proc-system.ts";
import type { FilesystemContext } from "../vfs/walk.ts";
import { NodeFilesystem } from "./filesystem.ts";
import { NodeNetwork } from "./network.ts";
import { forwardSignals } from "./signals.ts";
import { nodeStream } from "./streams.ts";
import { nodeTerminal } from "./terminal.ts";

export interface NodeGuestHostOptions {
  /** A host directory, "/" to pass the host through; undefined for an empty root. */
  readonly root: string | undefined;
  readonly mounts?: readonly MountRequest[];
  /** False: sockets reach other guests only. Default true. */
  readonly network?: boolean;
  readonly clock: HostClock;
  /** What /proc says of the machine; the same as CPUID and uname. */
  readonly system?: SystemDescription;
}

export interface StartOptions {
  /** Guest path. */
  readonly cwd: string;
  readonly umask: number;
  readonly credentials: Credentials;
}

export interface GuestStart {
  readonly files: FileTable;
  readonly context: FilesystemContext;
}

export interface NodeGuestHost {
  readonly filesystem: GuestFilesystem;
  /** The terminal that the emulator was started from, if it has one. */
  readonly console: Terminal | undefined;
  /** Connects the kernel and makes descriptors 0 to 2; -errno when `cwd` is not there. */
  start(kernel: Kernel, options: StartOptions): GuestStart | Failure;
  /**
   * Makes the console the controlling terminal of the first process, a session leader, and passes the host's signals
   * on to it.
   */
  attachConsole(process: Process): void;
  /** After the last process: sends what sockets still hold, gives the terminal back, stops listening. */
  finish(): Promise<void>;
}

/** Throws `MountError` when a path of the host that is named is not there. */
export function nodeGuestHost(options: NodeGuestHostOptions): NodeGuestHost {
  const streams: HostStream[] = [];
  const terminals = new TerminalTable();
  const host: HostTerminal | undefined = nodeTerminal();
  if (host !== undefined) terminals.console = makeConsole(host);
  for (let fd = 0; fd < 3; fd++) streams.push(nodeStream(fd));
  const network =
    options.network === false ? new LoopbackNetwork((callback) => setImmediate(callback)) : new NodeNetwork();
  const assembled = assembleFilesystem({
    host: new NodeFilesystem(),
    clock: options.clock,
    root: options.root,
    mounts: options.mounts ?? [],
    terminals,
    network,
    ...(options.system === undefined ? {} : { system: options.system }),
  });
  let stopForwarding = (): void => {};
  return {
    filesystem: assembled.filesystem,
    console: terminals.console,
    start: (kernel, { cwd, umask, credentials }) => {
      assembled.connect(kernel);
      const opener = { kernel, credentials } as unknown as Task;
      const context = assembled.filesystem.initialContext(cwd, umask, opener);
      if (failed(context)) return context;
      return { context, files: standardStreams({ streams, sources: assembled.sources, context, opener }) };
    },
    attachConsole: (process) => {
      const task = process.tasks.values().next().value;
      if (task !== undefined) terminals.console?.attach(task, false);
      stopForwarding = forwardSignals(process, terminals.console);
    },
    finish: async () => {
      stopForwarding();
      await network.drain();
      for (const stream of streams) stream.close();
      host?.close();
      host?.release();
    },
  };
}
