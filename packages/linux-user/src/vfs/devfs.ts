/** /dev: the devices that programs expect everywhere, our own terminals, and nothing of the host's. */
import { EINVAL, ENOSPC, ENOTTY, ENXIO } from "../kernel/errno.ts";
import type { Task } from "../kernel/task.ts";
import type { SyscallResult } from "../kernel/wait.ts";
import { OpenFile } from "../fd/open-file.ts";
import type { Transfer } from "../fd/transfer.ts";
import { makeDevice, S_IFCHR, type Failure } from "./constants.ts";
import type { Caller, Inode } from "./inode.ts";
import {
  device,
  fixedDirectory,
  fixedProvider,
  link,
  SyntheticFilesystem,
  type Builder,
  type DirectoryProvider,
} from "./synthetic.ts";

/** Terminals, as /dev shows them; `fd/tty` implements it. */
export interface TerminalDevices {
  /** /dev/tty: the controlling terminal of the caller, ENXIO without one. */
  openControlling(flags: number, caller: Caller): OpenFile | Failure;
  /** /dev/ptmx: a new pair. */
  openMaster(flags: number, caller: Caller): OpenFile | Failure;
  /** /dev/pts/N. */
  openSlave(index: number, flags: number, caller: Caller): OpenFile | Failure;
  /** /dev/console: the terminal the emulator was started from. */
  openConsole(flags: number, caller: Caller): OpenFile | Failure;
  /** Where /dev/pts is, so that a slave opened by its master alone has its inode. */
  mounted?(pts: SyntheticFilesystem): void;
  slaves(): number[];
  ownerOf(index: number): { uid: number; gid: number };
}

/** Most that one call fills, so that a huge read of /dev/zero stays interruptible. */
const FILL_BYTES = 1 << 20;

abstract class DeviceFile extends OpenFile {
  override get seekable(): boolean {
    return true;
  }

  override seek(): number {
    return 0;
  }

  override readAt(into: Transfer, _offset: number, task?: Task): number {
    return task === undefined ? -EINVAL : this.read(into, task);
  }

  override writeAt(from: Transfer, _offset: number, task?: Task): number {
    return task === undefined ? -EINVAL : this.write(from, task);
  }

  override write(from: Transfer, _task: Task): number {
    return from.remaining;
  }

  override ioctl(_task: Task, _request: number, _argument: number): SyscallResult {
    return -ENOTTY;
  }
}

class NullFile extends DeviceFile {
  override read(): number {
    return 0;
  }
}

class ZeroFile extends DeviceFile {
  readonly #full: boolean;

  constructor(flags: number, full: boolean) {
    super(flags);
    this.#full = full;
  }

  override read(into: Transfer): number {
    let done = 0;
    for (const piece of into.next(FILL_BYTES)) {
      piece.fill(0);
      done += piece.length;
    }
    return done;
  }

  override write(from: Transfer): number {
    return this.#full ? -ENOSPC : from.remaining;
  }

  override mappable(): "anonymous" {
    return "anonymous";
  }
}

class RandomFile extends DeviceFile {
  override read(into: Transfer, task: Task): number {
    let done = 0;
    for (const piece of into.next(FILL_BYTES)) {
      task.kernel.randomBytes(piece);
      done += piece.length;
    }
    return done;
  }

  override ioctl(task: Task, request: number, argument: number): SyscallResult {
    const RNDGETENTCNT = 0x80045200;
    if (request !== RNDGETENTCNT) return super.ioctl(task, request, argument);
    task.memory.writeU32(argument, 256);
    return 0;
  }
}

type Opener = (flags: number, caller: Caller, inode: Inode) => OpenFile | Failure;

function character(major: number, minor: number, mode: number, open: Opener): Builder {
  return device(S_IFCHR, makeDevice(major, minor), mode, open);
}

function place(file: OpenFile, inode: Inode): OpenFile {
  file.inode = inode;
  return file;
}

const memoryDevices: Readonly<Record<string, Builder>> = {
  null: character(1, 3, 0o666, (flags, _caller, inode) => place(new NullFile(flags), inode)),
  zero: character(1, 5, 0o666, (flags, _caller, inode) => place(new ZeroFile(flags, false), inode)),
  full: character(1, 7, 0o666, (flags, _caller, inode) => place(new ZeroFile(flags, true), inode)),
  random: character(1, 8, 0o666, (flags, _caller, inode) => place(new RandomFile(flags), inode)),
  urandom: character(1, 9, 0o666, (flags, _caller, inode) => place(new RandomFile(flags), inode)),
};

const links: Readonly<Record<string, Builder>> = {
  fd: link({ target: () => "/proc/self/fd" }),
  stdin: link({ target: () => "/proc/self/fd/0" }),
  stdout: link({ target: () => "/proc/self/fd/1" }),
  stderr: link({ target: () => "/proc/self/fd/2" }),
  core: link({ target: () => "/proc/kcore" }),
};

/** /dev/pts: a slave for every pair. */
function slaves(terminals: TerminalDevices): DirectoryProvider {
  const build =
    (index: number): Builder =>
    (at) => {
      const made = character(136 + (index >> 8), index & 255, 0o620, (flags, caller) =>
        terminals.openSlave(index, flags, caller),
      )(at);
      Object.assign(made, { owner: terminals.ownerOf(index) });
      return made;
    };
  return {
    mode: 0o755,
    *list() {
      for (const index of terminals.slaves()) yield [String(index), S_IFCHR];
      yield ["ptmx", S_IFCHR];
    },
    lookup(name) {
      if (name === "ptmx") return character(5, 2, 0o666, (flags, caller) => terminals.openMaster(flags, caller));
      const index = /^\d+$/.test(name) ? Number(name) : -1;
      return terminals.slaves().includes(index) ? build(index) : undefined;
    },
  };
}

/** The file systems of /dev and /dev/pts. */
export function makeDevfs(
  terminals: TerminalDevices,
  nowNs: bigint,
): { dev: SyntheticFilesystem; pts: SyntheticFilesystem } {
  const pts = new SyntheticFilesystem("devpts", 0x1cd1, nowNs, slaves(terminals));
  terminals.mounted?.(pts);
  const dev = new SyntheticFilesystem(
    "devtmpfs",
    0x01021994,
    nowNs,
    fixedProvider(
      {
        ...memoryDevices,
        ...links,
        tty: character(5, 0, 0o666, (flags, caller) => terminals.openControlling(flags, caller)),
        console: character(5, 1, 0o600, (flags, caller) => terminals.openConsole(flags, caller)),
        ptmx: character(5, 2, 0o666, (flags, caller) => terminals.openMaster(flags, caller)),
        pts: fixedDirectory({}, 0o755),
        shm: fixedDirectory({}, 0o755),
        mqueue: fixedDirectory({}, 0o755),
      },
      0o755,
    ),
  );
  return { dev, pts };
}

/** A host without terminals. */
export const noTerminals: TerminalDevices = {
  openControlling: () => -ENXIO,
  openMaster: () => -ENXIO,
  openSlave: () => -ENXIO,
  openConsole: () => -ENXIO,
  slaves: () => [],
  ownerOf: () => ({ uid: 0, gid: 0 }),
};
