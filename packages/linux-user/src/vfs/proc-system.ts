/** What /proc says of the system as a whole, and /proc/sys. */
import { KERNEL_RELEASE, KERNEL_VERSION } from "../kernel/release.ts";
import type { Caller } from "./inode.ts";
import { fixedDirectory, textFile, type Builder } from "./synthetic.ts";

/** What the machine is said to be; the same answers as CPUID and uname(2). */
export interface SystemDescription {
  /** uname's release, such as "6.1.0". */
  readonly release: string;
  /** uname's version. */
  readonly version: string;
  readonly cpuCount: number;
  /** Fields of /proc/cpuinfo of each processor, in order: "model name", "flags" and so on. */
  readonly cpuFields: Readonly<Record<string, string>>;
}

export const DEFAULT_SYSTEM: SystemDescription = {
  release: KERNEL_RELEASE,
  version: KERNEL_VERSION,
  cpuCount: 1,
  cpuFields: {
    vendor_id: "GenuineIntel",
    "cpu family": "6",
    model: "60",
    "model name": "doppel x86-64",
    stepping: "0",
  },
};

function kib(bytes: number): string {
  return `${String(Math.floor(bytes / 1024)).padStart(8)} kB`;
}

function memoryInfo(caller: Caller): string {
  const { totalBytes, freeBytes, cachedBytes } = caller.kernel.memoryTotals();
  const rows: [string, number][] = [
    ["MemTotal", totalBytes],
    ["MemFree", freeBytes],
    ["MemAvailable", freeBytes + cachedBytes],
    ["Buffers", 0],
    ["Cached", cachedBytes],
    ["SwapCached", 0],
    ["Active", totalBytes - freeBytes],
    ["Inactive", 0],
    ["SwapTotal", 0],
    ["SwapFree", 0],
    ["Dirty", 0],
    ["Writeback", 0],
    ["AnonPages", totalBytes - freeBytes - cachedBytes],
    ["Mapped", cachedBytes],
    ["Shmem", 0],
    ["Slab", 0],
    ["PageTables", 0],
    ["CommitLimit", totalBytes],
    ["Committed_AS", totalBytes - freeBytes],
    ["VmallocTotal", 0],
    ["VmallocUsed", 0],
    ["HugePages_Total", 0],
  ];
  return rows.map(([name, bytes]) => `${`${name}:`.padEnd(16)}${kib(Math.max(0, bytes))}\n`).join("");
}

function cpuInfo(system: SystemDescription): string {
  let text = "";
  for (let index = 0; index < system.cpuCount; index++) {
    const fields = { processor: String(index), ...system.cpuFields };
    for (const [name, content] of Object.entries(fields))
      text += `${name.padEnd(name.length > 7 ? 15 : 8)}\t: ${content}\n`.replace(/ +\t/, "\t");
    text += "\n";
  }
  return text;
}

function uptime(caller: Caller): string {
  const { clock, bootNs } = caller.kernel;
  const seconds = ((clock.monotonicNs() - bootNs) / 1e9).toFixed(2);
  return `${seconds} ${seconds}\n`;
}

function systemStat(system: SystemDescription, caller: Caller): string {
  const { kernel } = caller;
  let user = 0;
  let privileged = 0;
  for (const process of kernel.processes.values()) {
    user += process.userNs;
    privileged += process.systemNs;
  }
  const times = `${Math.floor(user / 1e7)} 0 ${Math.floor(privileged / 1e7)} 0 0 0 0 0 0 0`;
  const boot = kernel.clock.realtime().seconds - Math.floor((kernel.clock.monotonicNs() - kernel.bootNs) / 1e9);
  let text = `cpu  ${times}\n`;
  for (let index = 0; index < system.cpuCount; index++) text += `cpu${index} ${times}\n`;
  return `${text}intr 0\nctxt 0\nbtime ${boot}\nprocesses ${kernel.processes.size}\nprocs_running 1\nprocs_blocked 0\n`;
}

function loadAverage(caller: Caller): string {
  const { kernel } = caller;
  const loads = kernel.loadAverages().map((load) => load.toFixed(2));
  return `${loads.join(" ")} 1/${kernel.tasks.size} ${caller.tid}\n`;
}

function uuid(caller: Caller): string {
  const bytes = new Uint8Array(16);
  caller.kernel.randomBytes(bytes);
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}\n`;
}

/** A constant, as /proc/sys has them. */
function value(content: string | number): Builder {
  return textFile({ read: () => `${content}\n` });
}

/** A setting that remembers what root writes and means nothing here. */
function setting(initial: string | number): Builder {
  let current = `${initial}\n`;
  return textFile({
    read: () => current,
    write: (text) => {
      current = text.endsWith("\n") ? text : `${text}\n`;
      return 0;
    },
  });
}

function kernelSettings(system: SystemDescription): Builder {
  let bootId: string | undefined;
  return fixedDirectory({
    ostype: value("Linux"),
    osrelease: value(system.release),
    version: value(system.version),
    hostname: textFile({ read: (caller) => `${caller.kernel.hostname}\n` }),
    domainname: value("(none)"),
    pid_max: setting(4194304),
    "threads-max": setting(127000),
    ngroups_max: value(65536),
    cap_last_cap: value(40),
    core_pattern: setting("core"),
    core_uses_pid: setting(0),
    overflowuid: setting(65534),
    overflowgid: setting(65534),
    randomize_va_space: setting(2),
    shmmax: setting("18446744073692774399"),
    shmall: setting("18446744073692774399"),
    shmmni: setting(4096),
    msgmax: setting(8192),
    msgmnb: setting(16384),
    msgmni: setting(32000),
    sem: setting("32000\t1024000000\t500\t32000"),
    perf_event_paranoid: setting(2),
    sched_child_runs_first: setting(0),
    tainted: value(0),
    random: fixedDirectory({
      boot_id: textFile({ read: (caller) => (bootId ??= uuid(caller)) }),
      uuid: textFile({ read: uuid }),
      entropy_avail: value(256),
      poolsize: value(256),
    }),
    yama: fixedDirectory({ ptrace_scope: setting(0) }),
    seccomp: fixedDirectory({ actions_avail: value("kill_process kill_thread trap errno trace log allow") }),
  });
}

function settings(system: SystemDescription): Builder {
  return fixedDirectory({
    kernel: kernelSettings(system),
    vm: fixedDirectory({
      overcommit_memory: setting(0),
      overcommit_ratio: setting(50),
      max_map_count: setting(65530),
      mmap_min_addr: setting(65536),
      swappiness: setting(60),
      nr_hugepages: setting(0),
    }),
    fs: fixedDirectory({
      "file-max": setting("9223372036854775807"),
      "file-nr": value("1024\t0\t9223372036854775807"),
      nr_open: setting(1048576),
      "pipe-max-size": setting(1048576),
      "pipe-user-pages-soft": setting(16384),
      "aio-max-nr": setting(65536),
      protected_symlinks: setting(1),
      protected_hardlinks: setting(1),
      epoll: fixedDirectory({ max_user_watches: setting(1000000) }),
      inotify: fixedDirectory({
        max_user_watches: setting(65536),
        max_user_instances: setting(128),
        max_queued_events: setting(16384),
      }),
    }),
    net: fixedDirectory({
      core: fixedDirectory({
        somaxconn: setting(4096),
        rmem_max: setting(212992),
        wmem_max: setting(212992),
        rmem_default: setting(212992),
        wmem_default: setting(212992),
      }),
      ipv4: fixedDirectory({
        ip_local_port_range: setting("32768\t60999"),
        tcp_fin_timeout: setting(60),
        tcp_keepalive_time: setting(7200),
        tcp_max_syn_backlog: setting(512),
        ip_forward: setting(0),
        tcp_rmem: setting("4096\t131072\t6291456"),
        tcp_wmem: setting("4096\t16384\t4194304"),
        ip_unprivileged_port_start: setting(1024),
      }),
      ipv6: fixedDirectory({ conf: fixedDirectory({ all: fixedDirectory({ disable_ipv6: setting(0) }) }) }),
      unix: fixedDirectory({ max_dgram_qlen: setting(512) }),
    }),
  });
}

const FILESYSTEMS =
  "nodev\tsysfs\nnodev\ttmpfs\nnodev\tproc\nnodev\tdevtmpfs\nnodev\tpipefs\nnodev\tsockfs\nnodev\tdevpts\n\text4\n";

export function systemFiles(system: SystemDescription): Record<string, Builder> {
  return {
    cpuinfo: textFile({ read: () => cpuInfo(system) }),
    meminfo: textFile({ read: memoryInfo }),
    stat: textFile({ read: (caller) => systemStat(system, caller) }),
    uptime: textFile({ read: uptime }),
    loadavg: textFile({ read: loadAverage }),
    version: textFile({ read: () => `Linux version ${system.release} (doppel@localhost) (gcc) ${system.version}\n` }),
    filesystems: textFile({ read: () => FILESYSTEMS }),
    cmdline: textFile({ read: () => "BOOT_IMAGE=doppel\n" }),
    devices: textFile({
      read: () => "Character devices:\n  1 mem\n  5 /dev/tty\n  5 /dev/ptmx\n136 pts\n\nBlock devices:\n",
    }),
    modules: textFile({ read: () => "" }),
    partitions: textFile({ read: () => "major minor  #blocks  name\n\n" }),
    diskstats: textFile({ read: () => "" }),
    swaps: textFile({ read: () => "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n" }),
    interrupts: textFile({ read: () => "           CPU0       \n" }),
    vmstat: textFile({ read: () => "pgfault 0\npgmajfault 0\n" }),
    cgroups: textFile({ read: () => "#subsys_name\thierarchy\tnum_cgroups\tenabled\n" }),
    sys: settings(system),
  };
}

/** /sys: processors and the loopback interface, which is what programs look for. */
export function sysTree(cpuCount: number): Record<string, Builder> {
  const range = cpuCount === 1 ? "0" : `0-${cpuCount - 1}`;
  const cpus: Record<string, Builder> = {
    online: value(range),
    possible: value(range),
    present: value(range),
    offline: value(""),
    kernel_max: value(8191),
  };
  for (let index = 0; index < cpuCount; index++) {
    cpus[`cpu${index}`] = fixedDirectory({
      online: value(1),
      topology: fixedDirectory({
        core_id: value(index),
        physical_package_id: value(0),
        thread_siblings_list: value(index),
        core_siblings_list: value(range),
      }),
    });
  }
  return {
    devices: fixedDirectory({
      system: fixedDirectory({
        cpu: fixedDirectory(cpus),
        node: fixedDirectory({
          online: value(0),
          possible: value(0),
          node0: fixedDirectory({ cpulist: value(range) }),
        }),
      }),
    }),
    class: fixedDirectory({
      net: fixedDirectory({
        lo: fixedDirectory({
          address: value("00:00:00:00:00:00"),
          mtu: value(65536),
          ifindex: value(1),
          flags: value("0x9"),
          operstate: value("unknown"),
          type: value(772),
        }),
      }),
    }),
    block: fixedDirectory({}),
    bus: fixedDirectory({}),
    fs: fixedDirectory({ cgroup: fixedDirectory({}) }),
    kernel: fixedDirectory({
      mm: fixedDirectory({
        transparent_hugepage: fixedDirectory({
          enabled: value("always madvise [never]"),
          hpage_pmd_size: value(2097152),
        }),
      }),
    }),
    module: fixedDirectory({}),
  };
}
