/** /proc/PID: what a process shows of itself (proc(5)), as text. Pure functions of the kernel's interfaces. */
import type { SignalSet } from "../kernel/signal-info.ts";
import type { MappingDescription, Process, Task } from "../kernel/task.ts";
import type { FileTable } from "../fd/file-table.ts";
import { deviceMajor, deviceMinor } from "./constants.ts";
import type { FilesystemContext } from "./walk.ts";

/** USER_HZ: ticks per second in these files. */
const TICKS_NS = 10_000_000;
const PAGE_BYTES = 4096;

function stateLetter(process: Process, task: Task | undefined): string {
  if (process.state === "zombie") return "Z";
  if (process.state === "dead") return "X";
  if (process.state === "stopped" || task?.state === "stopped") return "T";
  return task?.state === "blocked" ? "S" : "R";
}

const STATE_NAMES: Readonly<Record<string, string>> = {
  R: "R (running)",
  S: "S (sleeping)",
  T: "T (stopped)",
  Z: "Z (zombie)",
  X: "X (dead)",
};

export function mainTask(process: Process): Task | undefined {
  return process.tasks.get(process.pid) ?? process.tasks.values().next().value;
}

function ticks(ns: number): number {
  return Math.floor(ns / TICKS_NS);
}

/** /proc/PID/stat: 52 fields on a line. */
export function statLine(process: Process, task: Task | undefined): string {
  const { kernel, group, session } = process;
  const usage = process.memoryUsage();
  const { terminal } = session;
  const id = task?.tid ?? process.pid;
  const fields = [
    id,
    `(${task?.name ?? ""})`,
    stateLetter(process, task),
    process.parent?.pid ?? 0,
    group.id,
    session.id,
    terminal === null ? 0 : 136 << 8,
    terminal === null ? -1 : terminal.foregroundGroup,
    4194304,
    0,
    0,
    0,
    0,
    ticks(process.userNs),
    ticks(process.systemNs),
    0,
    0,
    20,
    0,
    process.tasks.size,
    0,
    ticks(process.startNs - kernel.bootNs),
    usage.virtualBytes,
    Math.floor(usage.residentBytes / PAGE_BYTES),
    "18446744073709551615",
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    17,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
  ];
  return `${fields.join(" ")}\n`;
}

function kib(bytes: number): string {
  return `${String(Math.floor(bytes / 1024)).padStart(8)} kB`;
}

function signalMask(mask: SignalSet | undefined): string {
  if (mask === undefined) return "0".repeat(16);
  return (mask.hi >>> 0).toString(16).padStart(8, "0") + (mask.lo >>> 0).toString(16).padStart(8, "0");
}

/** /proc/PID/status. */
export function statusText(process: Process, task: Task | undefined): string {
  const usage = process.memoryUsage();
  const credentials = task?.credentials;
  const letter = stateLetter(process, task);
  const umask = (task?.filesystem.umask ?? 0).toString(8).padStart(4, "0");
  const capabilities = credentials?.euid === 0 ? "000001ffffffffff" : "0000000000000000";
  const files = task?.files as FileTable | undefined;
  const none = "0".repeat(16);
  const { ignored, caught } = process.signalDispositions();
  const lines: [string, string | number][] = [
    ["Name", task?.name ?? ""],
    ["Umask", umask],
    ["State", STATE_NAMES[letter] ?? letter],
    ["Tgid", process.pid],
    ["Ngid", 0],
    ["Pid", task?.tid ?? process.pid],
    ["PPid", process.parent?.pid ?? 0],
    ["TracerPid", 0],
  ];
  if (credentials !== undefined) {
    const { ruid, euid, suid, fsuid, rgid, egid, sgid, fsgid, groups } = credentials;
    lines.push(["Uid", [ruid, euid, suid, fsuid].join("\t")], ["Gid", [rgid, egid, sgid, fsgid].join("\t")]);
    lines.push(["FDSize", Math.max(64, files?.descriptors().length ?? 0)], ["Groups", `${groups.join(" ")} `]);
  }
  if (letter !== "Z") {
    lines.push(
      ["VmPeak", kib(usage.peakVirtualBytes)],
      ["VmSize", kib(usage.virtualBytes)],
      ["VmLck", kib(0)],
      ["VmPin", kib(0)],
      ["VmHWM", kib(usage.peakResidentBytes)],
      ["VmRSS", kib(usage.residentBytes)],
      ["RssAnon", kib(Math.max(0, usage.residentBytes - usage.sharedBytes))],
      ["RssFile", kib(usage.sharedBytes)],
      ["RssShmem", kib(0)],
      ["VmData", kib(usage.dataBytes)],
      ["VmStk", kib(usage.stackBytes)],
      ["VmExe", kib(usage.textBytes)],
      ["VmLib", kib(0)],
      ["VmPTE", kib(0)],
      ["VmSwap", kib(0)],
    );
  }
  lines.push(
    ["Threads", process.tasks.size],
    ["SigQ", "0/15000"],
    ["SigPnd", none],
    ["ShdPnd", signalMask(process.sharedPending)],
    ["SigBlk", signalMask(task?.signalMask)],
    ["SigIgn", signalMask(ignored)],
    ["SigCgt", signalMask(caught)],
    ["CapInh", none],
    ["CapPrm", capabilities],
    ["CapEff", capabilities],
    ["CapBnd", "000001ffffffffff"],
    ["CapAmb", none],
    ["NoNewPrivs", 0],
    ["Seccomp", 0],
    ["Cpus_allowed", 1],
    ["Cpus_allowed_list", 0],
    ["Mems_allowed", 1],
    ["Mems_allowed_list", 0],
    ["voluntary_ctxt_switches", 0],
    ["nonvoluntary_ctxt_switches", 0],
  );
  return lines.map(([name, value]) => `${name}:\t${value}\n`).join("");
}

/** /proc/PID/statm, in pages. */
export function statmLine(process: Process): string {
  const usage = process.memoryUsage();
  const pages = [usage.virtualBytes, usage.residentBytes, usage.sharedBytes, usage.textBytes, 0, usage.dataBytes, 0];
  return `${pages.map((bytes) => Math.floor(bytes / PAGE_BYTES)).join(" ")}\n`;
}

function mapsLine(mapping: MappingDescription): string {
  const hex = (value: number, width: number): string => value.toString(16).padStart(width, "0");
  const rights =
    (mapping.readable ? "r" : "-") +
    (mapping.writable ? "w" : "-") +
    (mapping.executable ? "x" : "-") +
    (mapping.shared ? "s" : "p");
  const device = `${hex(deviceMajor(mapping.device), 2)}:${hex(deviceMinor(mapping.device), 2)}`;
  const start = `${hex(mapping.start, 8)}-${hex(mapping.end, 8)} ${rights} ${hex(mapping.fileOffset, 8)} ${device} `;
  const text = `${start}${mapping.inode} `;
  return mapping.name === "" ? `${text}\n` : `${text.padEnd(73)}${mapping.name}\n`;
}

export function mapsText(process: Process): string {
  return process.mappings().map(mapsLine).join("");
}

export function smapsText(process: Process): string {
  return process
    .mappings()
    .map((mapping) => {
      const rss = kib(mapping.residentBytes);
      const sizes = [
        ["Size", kib(mapping.end - mapping.start)],
        ["KernelPageSize", kib(PAGE_BYTES)],
        ["MMUPageSize", kib(PAGE_BYTES)],
        ["Rss", rss],
        ["Pss", rss],
        ["Shared_Clean", kib(0)],
        ["Shared_Dirty", kib(0)],
        ["Private_Clean", kib(0)],
        ["Private_Dirty", rss],
        ["Referenced", rss],
        ["Anonymous", mapping.name === "" ? rss : kib(0)],
        ["Swap", kib(0)],
        ["SwapPss", kib(0)],
        ["Locked", kib(0)],
      ];
      return mapsLine(mapping) + sizes.map(([name, value]) => `${`${name}:`.padEnd(16)}${value}\n`).join("");
    })
    .join("");
}

const LIMIT_NAMES: readonly (readonly [string, string])[] = [
  ["Max cpu time", "seconds"],
  ["Max file size", "bytes"],
  ["Max data size", "bytes"],
  ["Max stack size", "bytes"],
  ["Max core file size", "bytes"],
  ["Max resident set", "bytes"],
  ["Max processes", "processes"],
  ["Max open files", "files"],
  ["Max locked memory", "bytes"],
  ["Max address space", "bytes"],
  ["Max file locks", "locks"],
  ["Max pending signals", "signals"],
  ["Max msgqueue size", "bytes"],
  ["Max nice priority", ""],
  ["Max realtime priority", ""],
  ["Max realtime timeout", "us"],
];

/** /proc/PID/limits. */
export function limitsText(process: Process): string {
  const show = (value: number): string => (value === Infinity ? "unlimited" : String(value));
  const head = `${"Limit".padEnd(26)}${"Soft Limit".padEnd(21)}${"Hard Limit".padEnd(21)}Units     \n`;
  return LIMIT_NAMES.reduce((text, [name, unit], index) => {
    const { soft, hard } = process.limit(index);
    return `${text}${name.padEnd(26)}${show(soft).padEnd(21)}${show(hard).padEnd(21)}${unit.padEnd(10)}\n`;
  }, head);
}

/** Arguments or environment: strings with their NULs. */
export function joinStrings(strings: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(strings.reduce((sum, item) => sum + item.length + 1, 0));
  let at = 0;
  for (const item of strings) {
    bytes.set(item, at);
    at += item.length + 1;
  }
  return bytes;
}

/** /proc/PID/fdinfo/N. */
export function descriptorInfo(task: Task, fd: number, mountId: number): string {
  const files = task.files as FileTable;
  const file = files.get(fd);
  if (file === undefined) return "";
  const flags = file.flags | (files.isCloseOnExec(fd) ? 0o2000000 : 0) | (file.seekable ? 0o100000 : 0);
  return `pos:\t${file.offset}\nflags:\t0${(flags >>> 0).toString(8)}\nmnt_id:\t${mountId}\n${file.describeDetails()}`;
}

export function contextOfProcess(process: Process): FilesystemContext | undefined {
  return mainTask(process)?.filesystem as FilesystemContext | undefined;
}
