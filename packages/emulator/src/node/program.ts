/** A Linux program on this host: files, terminal, clock and randomness through Node, everything else emulated. */
import { randomFillSync } from "node:crypto";
import {
  assembleFilesystem, coreSyscalls, encodeStrings, fileSyscalls, FileTable, type HostLoop, isLoadFailure, type KernelObserver,
  LinuxKernel, type LoadFailure, type MountRequest, openInherited, spawnProgram,
} from "@doppel/linux-user";
import { NodeFilesystem, nodeStream } from "@doppel/linux-user/node";
import { UserEngine } from "../user-engine.ts";
import { inheritedLimits } from "./inherited-limits.ts";

export interface ProgramOptions {
  /** Guest path of the program. */
  readonly path: string;
  /** argv, with its name first. */
  readonly commandLine: readonly string[];
  /** `NAME=value` each. */
  readonly environment: readonly string[];
  /** Guest path of the current directory. */
  readonly cwd: string;
  /** Host directory that is the guest's root; undefined for an empty one. */
  readonly root: string | undefined;
  readonly mounts: readonly MountRequest[];
  readonly memoryBytes: number;
  readonly observer?: KernelObserver;
}

export interface RunningProgram {
  readonly engine: UserEngine;
  readonly kernel: LinuxKernel;
  /** The wait status: exit code << 8, or the signal. */
  readonly finished: Promise<number>;
}

const hostLoop: HostLoop = {
  defer: (callback) => void setImmediate(callback),
  after: (delayNs, callback) => {
    // Node's longest timer; whoever waits longer is woken early and waits again.
    const timer = setTimeout(callback, Math.min(delayNs / 1e6, 0x7fffffff));
    return () => clearTimeout(timer);
  },
};

const STARTED_NS: bigint = process.hrtime.bigint();
const monotonicNs = (): number => Number(process.hrtime.bigint() - STARTED_NS);
const realtimeOffsetNs: bigint = BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)) * 1000n - process.hrtime.bigint();
const realtimeNs = (): bigint => process.hrtime.bigint() + realtimeOffsetNs;

/** Loads the program; it runs until `finished`. */
export function startProgram(options: ProgramOptions): RunningProgram | LoadFailure {
  const words = new Uint32Array(64);
  let unused = 0;
  const engine = new UserEngine({
    memoryBytes: options.memoryBytes,
    monotonicNs,
    random: () => {
      if (unused === 0) unused = randomFillSync(words).length;
      return words[--unused]!;
    },
  });
  const { filesystem, connect } = assembleFilesystem({
    host: new NodeFilesystem(),
    clock: { realtimeNs, monotonicNs: () => process.hrtime.bigint() },
    root: options.root,
    mounts: options.mounts,
  });
  const kernel = new LinuxKernel({
    engine,
    filesystem,
    clock: {
      monotonicNs,
      realtime: () => {
        const now = realtimeNs();
        return { seconds: Number(now / 1_000_000_000n), nanoseconds: Number(now % 1_000_000_000n) };
      },
    },
    host: hostLoop,
    randomBytes: (into) => void randomFillSync(into),
    syscalls: [...coreSyscalls, ...fileSyscalls],
    ...(options.observer === undefined ? {} : { observer: options.observer }),
  });
  connect(kernel);
  const files = new FileTable();
  for (let fd = 0; fd < 3; fd++) {
    const file = openInherited(nodeStream(fd), fd);
    if (file !== undefined) files.install(file, { closeOnExec: false, from: fd, limit: 1024 });
  }
  const uid = process.getuid?.() ?? 0;
  const gid = process.getgid?.() ?? 0;
  const credentials = {
    ruid: uid, euid: uid, suid: uid, fsuid: uid, rgid: gid, egid: gid, sgid: gid, fsgid: gid, groups: process.getgroups?.() ?? [],
  };
  const context = filesystem.initialContext(options.cwd, process.umask(), { credentials } as never);
  if (typeof context === "number") throw new Error(`the guest's current directory ${options.cwd} does not exist`);
  const limits = options.root === undefined ? undefined : inheritedLimits();
  const spawned = spawnProgram(kernel, {
    path: options.path,
    commandLine: encodeStrings(options.commandLine),
    environment: encodeStrings(options.environment),
    files,
    filesystem: context,
    credentials,
    ...(limits === undefined ? {} : { limits }),
  });
  if (isLoadFailure(spawned)) return spawned;
  return { engine, kernel, finished: Promise.all([spawned.exited, kernel.run()]).then(([status]) => status) };
}
