/**
 * The default composition: an engine, a kernel on it, and what both need of their host. Runs wherever JavaScript does;
 * `node/program.ts` is the same with Node's files, terminal and network.
 *
 * ```text
 *   createEmulator ──> UserEngine   translator, guest memory, code heap, soft TLBs
 *                └──> LinuxKernel   processes, files, signals ──observed by──> hooks
 * ```
 */
import type { ModuleArchive, UnitArchive } from "@doppel/dbt-core";
import {
  allSyscalls,
  assembleFilesystem,
  encodeStrings,
  FileTable,
  type GuestFilesystem,
  isLoadFailure,
  type KernelObserver,
  LinuxKernel,
  type LoadFailure,
  openInherited,
  putFile,
  spawnProgram,
  type SyscallDefinition,
} from "@doppel/linux-user";
import { type BindPoint, defaultBindPoints, type NativeFunction, selectBindings, twins } from "@doppel/native-binding";
import { type EmulatorHost, portableHost } from "./host.ts";
import type { GuestProfile } from "./profile/guest-profile.ts";
import { combineObservers, UsageObserver } from "./observers.ts";
import { collectStatistics, type EmulatorStatistics } from "./statistics.ts";
import { inputStream, outputStream } from "./streams.ts";
import { systemDescription } from "./system-description.ts";
import { type GuardChoice, UserEngine } from "./user-engine.ts";

const MEBIBYTE = 2 ** 20;
const DEFAULT_MEMORY_BYTES: number = 1024 * MEBIBYTE;

export interface EmulatorOptions {
  /** Guest-physical memory, 16 MiB to 4 GiB; default 1 GiB. Reserved, not used, until the guest touches it. */
  readonly memoryBytes?: number;
  /** How writes to translated code are noticed; default: each page's own choice of policy, by granule. */
  readonly guards?: GuardChoice;
  /** The processor that CPUID describes: a name from `cpuidLevels`. */
  readonly cpu?: string;
  /**
   * Process id of the first program; default 2. Where guests share files with each other or with their host, a number
   * that nobody else has keeps files named after process ids apart.
   */
  readonly firstPid?: number;
  /** Notes what a profile of the host's needs to be one of the guest. */
  readonly profile?: GuestProfile;
  /** Told of system calls, signals and ends of processes. */
  readonly hooks?: readonly KernelObserver[];
  /** Native twins of guest functions; default: those of `twins` that are worth it everywhere (`selectBindings`). */
  readonly bindings?: readonly NativeFunction[];
  /** Guest functions that stand in for native ones that twins call. */
  readonly bindPoints?: readonly BindPoint[];
  /** Told when a twin fails, which is its own fault and not the guest's; the guest gets SIGILL. */
  readonly bindingFailed?: (binding: string, error: unknown) => void;
  /**
   * Translations of earlier runs, which this run adds its own to. They must be by the same version of this program, and
   * without other `bindings`.
   */
  readonly archive?: UnitArchive;
  readonly modules?: ModuleArchive;
  /** The table of system calls, to change or add rows of; default `allSyscalls`. */
  readonly syscalls?: readonly SyscallDefinition[];
}

export interface Emulator {
  readonly engine: UserEngine;
  readonly kernel: LinuxKernel;
  statistics(): EmulatorStatistics;
}

/** An engine and a kernel, without a process yet. Throws `UnknownCpuError`, or RangeError for memory it cannot get. */
export function createEmulator(
  host: EmulatorHost,
  filesystem: GuestFilesystem,
  options: EmulatorOptions = {},
): Emulator {
  const startedMs = performance.now();
  const monotonicNs = (): number => host.monotonicNs();
  const words = new Uint32Array(64);
  let unused = 0;
  const random = (): number => {
    if (unused === 0) {
      host.randomBytes(new Uint8Array(words.buffer));
      unused = words.length;
    }
    return words[--unused];
  };
  const { memoryBytes = DEFAULT_MEMORY_BYTES, cpu, hooks = [], syscalls = allSyscalls } = options;
  const { profile } = options;
  const { bindings, bindPoints = defaultBindPoints, bindingFailed } = options;
  const functions = bindings ?? selectBindings(undefined, twins);
  const engine = new UserEngine({
    memoryBytes,
    monotonicNs,
    random,
    ...(cpu === undefined ? {} : { cpu }),
    ...(options.guards === undefined ? {} : { guards: options.guards }),
    ...(options.archive === undefined ? {} : { archive: options.archive }),
    ...(options.modules === undefined ? {} : { modules: options.modules }),
    ...(profile === undefined ? {} : { codeName: (...code) => profile.codeName(...code) }),
    native: {
      functions,
      bindPoints,
      whenHot: bindings === undefined,
      ...(bindingFailed === undefined ? {} : { failed: bindingFailed }),
    },
  });
  const usage = new UsageObserver();
  const kernel = new LinuxKernel({
    engine,
    filesystem,
    clock: {
      monotonicNs,
      realtime: () => {
        const now = host.realtimeNs();
        return { seconds: Number(now / 1_000_000_000n), nanoseconds: Number(now % 1_000_000_000n) };
      },
    },
    host: host.loop,
    randomBytes: (into) => host.randomBytes(into),
    syscalls,
    ...(options.firstPid === undefined ? {} : { firstPid: options.firstPid }),
    observer: combineObservers([usage, ...(profile === undefined ? [] : [profile.timeline]), ...hooks]),
  });
  return { engine, kernel, statistics: () => collectStatistics({ engine, kernel, usage, startedMs }) };
}

export interface MemoryProgramOptions extends EmulatorOptions {
  /** Files of the guest, by absolute path, all of them executable. Nothing else of a host is visible. */
  readonly files: Readonly<Record<string, Uint8Array>>;
  /** The program's path, and its arguments. */
  readonly command: readonly [string, ...string[]];
  /** `NAME=value` each. */
  readonly environment?: readonly string[];
  readonly stdin?: Uint8Array;
  readonly stdout?: (bytes: Uint8Array) => void;
  readonly stderr?: (bytes: Uint8Array) => void;
  readonly host?: EmulatorHost;
}

export interface RunningProgram extends Emulator {
  /** When the last process has ended: the first one's wait status, its exit code << 8 or the signal that ended it. */
  readonly finished: Promise<number>;
}

const root = { ruid: 0, euid: 0, suid: 0, fsuid: 0, rgid: 0, egid: 0, sgid: 0, fsgid: 0, groups: [] };
const ENOMEM = 12;

/** Runs a program from files in memory, sealed off from the host. A failure says why there is nothing to run. */
export function startInMemory(options: MemoryProgramOptions): RunningProgram | LoadFailure {
  const host = options.host ?? portableHost;
  const nowhere = {} as Parameters<typeof assembleFilesystem>[0]["host"];
  const clock = { realtimeNs: () => host.realtimeNs(), monotonicNs: () => BigInt(Math.round(host.monotonicNs())) };
  const assembled = assembleFilesystem({
    host: nowhere,
    clock,
    root: undefined,
    system: systemDescription(options.cpu),
  });
  const { filesystem } = assembled;
  const emulator = createEmulator(host, filesystem, options);
  const { kernel } = emulator;
  assembled.connect(kernel);
  for (const [path, bytes] of Object.entries(options.files)) {
    if (putFile(filesystem, path, bytes) < 0) return { errno: ENOMEM, reason: `${path} does not fit into the guest` };
  }
  const ignore = (): void => {};
  const streams = [
    inputStream(options.stdin ?? Uint8Array.of()),
    outputStream(options.stdout ?? ignore),
    outputStream(options.stderr ?? ignore),
  ];
  const files = new FileTable();
  streams.forEach((stream, fd) =>
    files.install(openInherited(stream, fd)!, { closeOnExec: false, from: fd, limit: 1024 }),
  );
  const context = filesystem.initialContext("/", 0o022, { credentials: root } as never);
  if (typeof context === "number") throw new Error("a guest has a root directory");
  const spawned = spawnProgram(kernel, {
    path: options.command[0],
    commandLine: encodeStrings(options.command),
    environment: encodeStrings(options.environment ?? []),
    files,
    filesystem: context,
    credentials: root,
  });
  if (isLoadFailure(spawned)) return spawned;
  return { ...emulator, finished: Promise.all([spawned.exited, kernel.run()]).then(([status]) => status) };
}
