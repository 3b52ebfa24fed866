/** A Linux program on this host: files, terminal, network, clock and randomness through Node, everything else emulated. */
import { getPriority } from "node:os";
import { keepModules } from "@doppel/dbt-core";
import { encodeStrings, isLoadFailure, type LoadFailure, type MountRequest, spawnProgram } from "@doppel/linux-user";
import { nodeGuestHost } from "@doppel/linux-user/node";
import { createEmulator, type EmulatorOptions, type RunningProgram } from "../emulator.ts";
import { systemDescription } from "../system-description.ts";
import { inheritedLimits } from "./inherited-limits.ts";
import { nodeHost } from "./node-host.ts";
import { TranslationCache, type TranslationCacheOptions } from "./translation-cache.ts";

export interface ProgramOptions extends EmulatorOptions {
  /** Guest path of the program. */
  readonly path: string;
  /** argv, with its name first; default: the path alone. */
  readonly commandLine?: readonly string[];
  /** `NAME=value` each; default: none. */
  readonly environment?: readonly string[];
  /** Guest path of the current directory; default: the host's own where the root is passed through, else `/`. */
  readonly cwd?: string;
  /** Host directory that is the guest's root, default `/`; null for an empty root in memory. */
  readonly root?: string | null;
  /** Host directories elsewhere in the guest. */
  readonly mounts?: readonly MountRequest[];
  /** False: sockets reach other processes of the guest only. Default true. */
  readonly network?: boolean;
  /**
   * Where translations are kept for later runs of the program, and what differs whenever the translator does. Not with
   * `bindings` of one's own.
   */
  readonly translations?: Omit<TranslationCacheOptions, "program">;
}

const ENOENT = 2;
const KIBIBYTE = 1024;

/**
 * Loads the program with this process's standard streams; it runs until `finished`. A failure says why it cannot run.
 * Throws `MountError` for a directory of the host that is not there, and what `createEmulator` throws.
 */
export function startProgram(options: ProgramOptions): RunningProgram | LoadFailure {
  const root = options.root === undefined ? "/" : (options.root ?? undefined);
  const host = nodeGuestHost({
    root,
    mounts: options.mounts ?? [],
    network: options.network ?? true,
    clock: { realtimeNs: () => nodeHost.realtimeNs(), monotonicNs: () => process.hrtime.bigint() },
    system: systemDescription(options.cpu),
  });
  const { translations } = options;
  const cache =
    translations === undefined || options.bindings !== undefined
      ? undefined
      : new TranslationCache({ ...translations, program: options.path });
  const emulator = createEmulator(nodeHost, host.filesystem, {
    firstPid: process.pid,
    ...(cache === undefined ? {} : { archive: cache.archive, modules: cache.modules }),
    ...options,
  });
  const { kernel } = emulator;
  const uid = process.getuid?.() ?? 0;
  const gid = process.getgid?.() ?? 0;
  const groups = process.getgroups?.() ?? [];
  const credentials = {
    ruid: uid,
    euid: uid,
    suid: uid,
    fsuid: uid,
    rgid: gid,
    egid: gid,
    sgid: gid,
    fsgid: gid,
    groups,
  };
  const cwd = options.cwd ?? (root === "/" ? process.cwd() : "/");
  const start = host.start(kernel, { cwd, umask: process.umask(), credentials });
  if (typeof start === "number") return { errno: ENOENT, reason: `the guest has no directory ${cwd} to start in` };
  const limits = root === undefined ? undefined : inheritedLimits();
  const spawned = spawnProgram(kernel, {
    path: options.path,
    commandLine: encodeStrings(options.commandLine ?? [options.path]),
    environment: encodeStrings(options.environment ?? []),
    files: start.files,
    filesystem: start.context,
    credentials,
    nice: getPriority(),
    ...(limits === undefined ? {} : { limits }),
  });
  if (isLoadFailure(spawned)) {
    void host.finish();
    return spawned;
  }
  host.attachConsole(spawned.process);
  const finished = Promise.all([spawned.exited, kernel.run()]).then(async ([status]) => {
    await host.finish();
    if (cache !== undefined) {
      keepModules(emulator.engine.translator);
      cache.save();
    }
    return status;
  });
  return {
    ...emulator,
    finished,
    statistics: () => {
      const statistics = emulator.statistics();
      const hostPeakBytes = process.resourceUsage().maxRSS * KIBIBYTE;
      return { ...statistics, memory: { ...statistics.memory, hostPeakBytes } };
    },
  };
}
