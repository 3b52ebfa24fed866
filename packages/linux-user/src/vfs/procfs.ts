/** /proc (proc(5)): its tree. The texts of processes are in proc-process.ts, those of the system in proc-system.ts. */
import { EACCES, ENOENT, ESRCH } from "../kernel/errno.ts";
import type { Process, Task } from "../kernel/task.ts";
import type { FileTable } from "../fd/file-table.ts";
import { failed, S_IFDIR, S_IFLNK, S_IFREG, type Failure } from "./constants.ts";
import type { Caller, Inode, MagicTarget } from "./inode.ts";
import { mountInfoText, mountsText } from "./mount-text.ts";
import type { MountTable } from "./mount.ts";
import {
  contextOfProcess,
  descriptorInfo,
  joinStrings,
  limitsText,
  mainTask,
  mapsText,
  smapsText,
  statLine,
  statmLine,
  statusText,
} from "./proc-process.ts";
import { systemFiles, type SystemDescription } from "./proc-system.ts";
import {
  fixedProvider,
  link,
  SyntheticDirectory,
  SyntheticFilesystem,
  textFile,
  type Builder,
  type DirectoryProvider,
  type Ownership,
} from "./synthetic.ts";
import { pathOfDirectory, type FilesystemContext } from "./walk.ts";

const PROC_MAGIC = 0x9fa0;

function ownerOf(process: Process): Ownership {
  const credentials = mainTask(process)?.credentials;
  return { uid: credentials?.euid ?? 0, gid: credentials?.egid ?? 0 };
}

function rootOf(caller: Caller): Inode {
  return (caller.filesystem as FilesystemContext).root;
}

class ProcTree {
  readonly #mounts: MountTable;
  readonly #top: DirectoryProvider;

  constructor(mounts: MountTable, system: SystemDescription) {
    this.#mounts = mounts;
    this.#top = fixedProvider({
      ...systemFiles(system),
      self: link({ target: (caller) => String(caller.process.pid) }),
      "thread-self": link({ target: (caller) => `${caller.process.pid}/task/${caller.tid}` }),
      mounts: link({ target: () => "self/mounts" }),
      net: link({ target: () => "self/net" }),
    });
  }

  get root(): DirectoryProvider {
    const top = this.#top;
    return {
      volatile: true,
      list: (caller) => this.#listRoot(caller),
      lookup: (name, caller) => {
        const fixed = top.lookup(name, caller);
        if (fixed !== undefined || !/^[1-9]\d*$/.test(name)) return fixed;
        const process = caller.kernel.processes.get(Number(name)) ?? caller.kernel.tasks.get(Number(name))?.process;
        return process === undefined ? undefined : (place) => this.#processDirectory(process, place);
      },
    };
  }

  *#listRoot(caller: Caller): Iterable<readonly [string, number]> {
    yield* this.#top.list(caller);
    for (const pid of caller.kernel.processes.keys()) yield [String(pid), S_IFDIR];
  }

  #processDirectory(process: Process, place: ConstructorParameters<typeof SyntheticDirectory>[0]): SyntheticDirectory {
    const owner = ownerOf(process);
    const tasks: Builder = (at) => new SyntheticDirectory(at, this.#taskList(process, owner));
    const children = { ...this.#common(process, () => mainTask(process), owner), task: tasks };
    return new SyntheticDirectory(place, this.#living(process, fixedProvider(children), owner));
  }

  /** Names of a process vanish with it, even from a directory that somebody stands in. */
  #living(process: Process, provider: DirectoryProvider, owner: Ownership): DirectoryProvider {
    const gone = (): boolean => process.kernel.processes.get(process.pid) !== process;
    return {
      owner,
      list: (caller) => (gone() ? [] : provider.list(caller)),
      lookup: (name, caller) => (gone() ? undefined : provider.lookup(name, caller)),
    };
  }

  #taskList(process: Process, owner: Ownership): DirectoryProvider {
    return {
      owner,
      volatile: true,
      *list() {
        for (const tid of process.tasks.keys()) yield [String(tid), S_IFDIR];
      },
      lookup: (name) => {
        const task = process.tasks.get(Number(name));
        if (task === undefined) return undefined;
        const children = fixedProvider(this.#common(process, () => task, owner));
        return (place) => new SyntheticDirectory(place, { ...children, owner });
      },
    };
  }

  /** What /proc/PID and /proc/PID/task/TID both have. */
  #common(process: Process, task: () => Task | undefined, owner: Ownership): Record<string, Builder> {
    const text = (read: (caller: Caller) => string | Uint8Array | Failure, mode = 0o444): Builder =>
      textFile({ read, mode, owner });
    return {
      stat: text(() => statLine(process, task())),
      status: text(() => statusText(process, task())),
      statm: text(() => statmLine(process)),
      maps: text(() => mapsText(process)),
      smaps: text(() => smapsText(process)),
      cmdline: text(() => joinStrings(process.commandLine)),
      environ: text(() => joinStrings(process.environment), 0o400),
      auxv: text(() => process.auxiliaryVector, 0o400),
      limits: text(() => limitsText(process)),
      comm: this.#comm(task, owner),
      cgroup: text(() => "0::/\n"),
      wchan: text(() => "0"),
      io: text(
        () => "rchar: 0\nwchar: 0\nsyscr: 0\nsyscw: 0\nread_bytes: 0\nwrite_bytes: 0\ncancelled_write_bytes: 0\n",
        0o400,
      ),
      oom_score: text(() => "0\n"),
      oom_score_adj: this.#remembered("0\n", owner),
      oom_adj: this.#remembered("0\n", owner),
      loginuid: this.#remembered("4294967295", owner),
      sessionid: text(() => "4294967295"),
      personality: text(() => "00000000\n", 0o400),
      mounts: text((caller) => mountsText(this.#mounts, rootOf(caller))),
      mountinfo: text((caller) => mountInfoText(this.#mounts, rootOf(caller))),
      uid_map: text(() => "         0          0 4294967295\n"),
      gid_map: text(() => "         0          0 4294967295\n"),
      setgroups: text(() => "allow\n"),
      exe: this.#place(process, "exe", owner),
      cwd: this.#place(process, "cwd", owner),
      root: this.#place(process, "root", owner),
      fd: (at) => new SyntheticDirectory(at, this.#descriptors(task, owner)),
      fdinfo: (at) => new SyntheticDirectory(at, this.#descriptorInfos(task, owner)),
      net: (at) => new SyntheticDirectory(at, fixedProvider(networkFiles)),
    };
  }

  #comm(task: () => Task | undefined, owner: Ownership): Builder {
    return textFile({
      owner,
      read: () => `${task()?.name ?? ""}\n`,
      write: (value) => {
        const target = task();
        if (target === undefined) return -ESRCH;
        target.name = value.replace(/\n$/, "").slice(0, 15);
        return 0;
      },
    });
  }

  #remembered(initial: string, owner: Ownership): Builder {
    let current = initial;
    return textFile({
      owner,
      read: () => current,
      write: (value) => {
        current = value;
        return 0;
      },
    });
  }

  #place(process: Process, what: "exe" | "cwd" | "root", owner: Ownership): Builder {
    if (what === "exe") return link({ owner, target: () => process.executablePath || -ENOENT });
    const inodeOf = (): Inode | Failure => contextOfProcess(process)?.[what] ?? -ENOENT;
    return link({
      owner,
      target: (caller) => {
        const inode = inodeOf();
        return failed(inode) ? inode : (pathOfDirectory(inode, rootOf(caller)) ?? "/");
      },
      magic: () => {
        const inode = inodeOf();
        return failed(inode) ? inode : { inode, directory: inode, name: "." };
      },
    });
  }

  #descriptors(task: () => Task | undefined, owner: Ownership): DirectoryProvider {
    const files = (): FileTable | undefined => task()?.files as FileTable | undefined;
    return {
      owner,
      mode: 0o500,
      *list() {
        for (const fd of files()?.descriptors() ?? []) yield [String(fd), S_IFLNK];
      },
      lookup: (name) => {
        const fd = descriptorNumber(name);
        if (files()?.get(fd) === undefined) return undefined;
        return link({
          owner,
          target: (caller) => files()?.get(fd)?.describe(rootOf(caller)) ?? -ENOENT,
          magic: () => magicOf(files(), fd),
        });
      },
    };
  }

  #descriptorInfos(task: () => Task | undefined, owner: Ownership): DirectoryProvider {
    return {
      owner,
      mode: 0o500,
      *list() {
        for (const fd of (task()?.files as FileTable | undefined)?.descriptors() ?? []) yield [String(fd), S_IFREG];
      },
      lookup: (name) => {
        const fd = descriptorNumber(name);
        const file = (task()?.files as FileTable | undefined)?.get(fd);
        if (file === undefined) return undefined;
        return textFile({
          owner,
          read: () => {
            const current = task();
            if (current === undefined) return -ESRCH;
            const { filesystems } = this.#mounts;
            const mountId = file.inode === undefined ? 0 : filesystems.indexOf(file.inode.filesystem) + 1;
            return descriptorInfo(current, fd, mountId);
          },
        });
      },
    };
  }
}

function descriptorNumber(name: string): number {
  return /^(0|[1-9]\d*)$/.test(name) ? Number(name) : -1;
}

function magicOf(files: FileTable | undefined, fd: number): MagicTarget | Failure {
  const file = files?.get(fd);
  if (file === undefined) return -ENOENT;
  if (file.inode === undefined) return -EACCES;
  return { inode: file.inode, directory: file.directory, name: file.name, file };
}

const socketTable =
  "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
const networkFiles: Readonly<Record<string, Builder>> = {
  dev: textFile({
    read: () =>
      "Inter-|   Receive                                                |  Transmit\n" +
      " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n" +
      "    lo:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0\n",
  }),
  tcp: textFile({ read: () => socketTable }),
  tcp6: textFile({ read: () => socketTable }),
  udp: textFile({ read: () => socketTable }),
  udp6: textFile({ read: () => socketTable }),
  unix: textFile({ read: () => "Num       RefCount Protocol Flags    Type St Inode Path\n" }),
  route: textFile({
    read: () => "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n",
  }),
  if_inet6: textFile({ read: () => "00000000000000000000000000000001 01 80 10 80       lo\n" }),
};

export function makeProcfs(mounts: MountTable, system: SystemDescription, nowNs: bigint): SyntheticFilesystem {
  return new SyntheticFilesystem("proc", PROC_MAGIC, nowNs, new ProcTree(mounts, system).root);
}
