/** Puts a guest's file systems together: root, /proc, /sys, /dev and what the user mounts. */
import type { Kernel, Task } from "../kernel/task.ts";
import type { PageCache, PageSource } from "../kernel/memory.ts";
import { FifoTable } from "../fd/pipe.ts";
import type { HostNetwork } from "../net/host-network.ts";
import { LoopbackNetwork } from "../net/loopback.ts";
import { GuestNetwork } from "../net/network.ts";
import { fromText } from "./byte-string.ts";
import { failed, type Failure } from "./constants.ts";
import { makeDevfs, noTerminals, type TerminalDevices } from "./devfs.ts";
import { GuestFilesystem } from "./guest-filesystem.ts";
import type { HostClock, HostFilesystem as HostPort } from "./host.ts";
import { HostSources } from "./host-content.ts";
import { HostFilesystem } from "./host-filesystem.ts";
import type { Filesystem } from "./inode.ts";
import { MountTable } from "./mount.ts";
import { DEFAULT_SYSTEM, sysTree, type SystemDescription } from "./proc-system.ts";
import { makeProcfs } from "./procfs.ts";
import { fixedProvider, SyntheticFilesystem } from "./synthetic.ts";
import { Tmpfs, type TmpfsOptions } from "./tmpfs.ts";

export interface MountRequest {
  /** A path of the host. */
  readonly host: string;
  /** Where it appears; absolute. */
  readonly guest: string;
  readonly readOnly?: boolean;
}

export interface AssembleOptions {
  readonly host: HostPort;
  readonly clock: HostClock;
  /** A host directory, "/" to pass the host through; undefined for the sandbox: an empty tmpfs. */
  readonly root: string | undefined;
  readonly rootReadOnly?: boolean;
  readonly mounts?: readonly MountRequest[];
  readonly terminals?: TerminalDevices;
  readonly system?: SystemDescription;
  /** The network; by default one that ends at the emulator. */
  readonly network?: HostNetwork;
}

/** The kernel makes its page cache after the file system: until `connect`, nothing can be cached. */
class LatePageCache implements PageCache {
  target: PageCache | undefined = undefined;

  get #cache(): PageCache {
    if (this.target === undefined) throw new Error("the file system is used before it was connected to a kernel");
    return this.target;
  }

  write(source: PageSource, offset: number, bytes: Uint8Array): number {
    return this.#cache.write(source, offset, bytes);
  }

  read(source: PageSource, offset: number, into: Uint8Array): void {
    this.#cache.read(source, offset, into);
  }

  isCached(source: PageSource): boolean {
    return this.#cache.isCached(source);
  }

  flush(source: PageSource): void {
    this.#cache.flush(source);
  }

  truncate(source: PageSource, sizeBytes: number): void {
    this.#cache.truncate(source, sizeBytes);
  }

  forget(source: PageSource): void {
    this.#cache.forget(source);
  }
}

/** A host path that a mount names does not exist or cannot be read. */
export class MountError extends Error {
  readonly path: string;
  readonly errno: number;

  constructor(path: string, failure: Failure, reason: string) {
    super(`cannot mount ${path}: ${reason}`);
    this.name = "MountError";
    this.path = path;
    this.errno = -failure;
  }
}

export interface AssembledFilesystem {
  readonly filesystem: GuestFilesystem;
  /** The page-cache identities of host files; inherited descriptors share them. */
  readonly sources: HostSources;
  /** Must be called with the kernel before its first process runs. */
  connect(kernel: Kernel): void;
}

/** A caller for the mounts made before there is a process: root, who may do everything. */
const mounter = {
  credentials: { ruid: 0, euid: 0, suid: 0, fsuid: 0, rgid: 0, egid: 0, sgid: 0, fsgid: 0, groups: [] },
} as unknown as Task;

/** Throws {@link MountError} for a host path that is not there. */
export function assembleFilesystem(options: AssembleOptions): AssembledFilesystem {
  const { host, clock } = options;
  const system = options.system ?? DEFAULT_SYSTEM;
  const pageCache = new LatePageCache();
  const sources = new HostSources(pageCache);
  const fifos = new FifoTable();
  const nowNs = (): bigint => clock.realtimeNs();
  const openFifo: NonNullable<TmpfsOptions["openFifo"]> = (inode, flags) => fifos.open(inode, flags);
  const nowMs = (): number => Number(clock.monotonicNs() / 1000n) / 1000;
  const tmpfs = (mode: number): TmpfsOptions => ({ pageCache, nowNs, openFifo, mode });
  const hostMount = (path: string, readOnly: boolean): Filesystem => {
    const real = host.realPath(fromText(path));
    if (failed(real)) throw new MountError(path, real, "no such file or directory, or no permission");
    return new HostFilesystem(host, real, { readOnly, nowMs, sources, openFifo });
  };
  const root =
    options.root === undefined ? new Tmpfs(tmpfs(0o755)) : hostMount(options.root, options.rootReadOnly ?? false);
  const mounts = new MountTable(root, tmpfs(0o755));
  const network = options.network ?? new LoopbackNetwork((callback) => void setTimeout(callback, 0));
  const bootNs = nowNs();
  const { dev, pts } = makeDevfs(options.terminals ?? noTerminals, bootNs);
  mounts.mount("/proc", makeProcfs(mounts, system, bootNs), mounter);
  mounts.mount(
    "/sys",
    new SyntheticFilesystem("sysfs", 0x62656572, bootNs, fixedProvider(sysTree(system.cpuCount))),
    mounter,
  );
  mounts.mount("/dev", dev, mounter);
  mounts.mount("/dev/pts", pts, mounter);
  mounts.mount("/dev/shm", new Tmpfs(tmpfs(0o1777)), mounter);
  if (options.root === undefined) mounts.mount("/tmp", new Tmpfs(tmpfs(0o1777)), mounter);
  for (const request of options.mounts ?? []) {
    const filesystem = hostMount(request.host, request.readOnly ?? false);
    const result = mounts.mount(fromText(request.guest), filesystem, mounter);
    if (failed(result)) throw new MountError(request.guest, result, "the place in the guest is not a directory");
  }
  const filesystem = new GuestFilesystem({ mounts, pageCache, nowNs, network: new GuestNetwork(network) });
  return {
    filesystem,
    sources,
    connect: (kernel) => {
      pageCache.target = kernel.pageCache;
    },
  };
}
