/** `--stats`: the statistics as a table for people. */
import type { EmulatorStatistics } from "@doppel/emulator";

const KIBIBYTE = 1024;
const MEBIBYTE = 2 ** 20;
/** System calls named one by one; the rest are one line. */
const PROCESSES_SHOWN = 20;
const CALLS_SHOWN = 8;

type Row = readonly [name: string, value: string, note?: string];

function integer(value: number): string {
  return value.toLocaleString("en-US");
}

function milliseconds(value: number): string {
  return `${value.toFixed(1)} ms`;
}

function size(bytes: number): string {
  return bytes < MEBIBYTE ? `${Math.ceil(bytes / KIBIBYTE)} KiB` : `${integer(Math.round(bytes / MEBIBYTE))} MiB`;
}

function percent(part: number, whole: number): string {
  return whole === 0 ? "" : `${((100 * part) / whole).toFixed(0)} %`;
}

function callRows({ byName, total }: EmulatorStatistics["systemCalls"]): Row[] {
  const calls = Object.entries(byName);
  const shown = calls.slice(0, CALLS_SHOWN).map(([name, count]): Row => [`  ${name}`, integer(count)]);
  const rest = calls.slice(CALLS_SHOWN);
  const others = rest.reduce((sum, [, count]) => sum + count, 0);
  return [
    ["system calls", integer(total)],
    ...shown,
    ...(rest.length === 0 ? [] : [[`  ${rest.length} others`, integer(others)] as Row]),
  ];
}

function bindingRows(bindings: EmulatorStatistics["bindings"]): Row[] {
  const calls = Object.entries(bindings).sort(([, left], [, right]) => right.calls - left.calls);
  if (calls.length === 0) return [];
  const total = calls.reduce((sum, [, { calls: count }]) => sum + count, 0);
  return [
    ["native calls", integer(total)],
    ...calls.map(([name, { calls: count, declined, callbacks }]): Row => {
      const notes = [
        ...(declined > 0 ? [`${integer(declined)} left to the guest`] : []),
        ...(callbacks > 0 ? [`${integer(callbacks)} calls of guest functions`] : []),
      ];
      return [`  ${name}`, integer(count), notes.join(", ")];
    }),
  ];
}

/** What each of several processes had of the translations that all share. */
function processRows(processes: EmulatorStatistics["codeUse"]): Row[] {
  if (processes.length < 2) return [];
  return processes
    .slice(0, PROCESSES_SHOWN)
    .map(({ pid, program, linked, traps, translated, ready }): Row => [
      `  ${pid} ${program.slice(program.lastIndexOf("/") + 1)}`,
      integer(linked),
      `slots, ${integer(traps)} traps; ${integer(translated)} fragments translated, ${integer(ready)} found ready`,
    ]);
}

function timeRows(timeMs: EmulatorStatistics["timeMs"]): Row[] {
  const stages: readonly Row[] = (
    [
      ["decode and lift", timeMs.decodeAndLift],
      ["emit", timeMs.emit],
      ["compile", timeMs.compile],
      ["instantiate", timeMs.instantiate],
      ["run", timeMs.run],
      ["system calls", timeMs.systemCalls],
      ["other", timeMs.other],
    ] as const
  ).map(([name, value]): Row => [`  ${name}`, milliseconds(value), percent(value, timeMs.total)]);
  return [["time", milliseconds(timeMs.total)], ...stages];
}

export function statisticsTable(statistics: EmulatorStatistics): string {
  const { translation, slots, flags, guards, tlb, memory, inUse, processes } = statistics;
  const rows: readonly Row[] = [
    [
      "regions threaded",
      integer(translation.threadedRegions),
      `${integer(translation.threadedBytes)} bytes of records`,
    ],
    ["  kept", integer(translation.keptRegions), "of them were made before"],
    ["  compiled", integer(translation.regions), `${integer(translation.hotRegions)} of them hot`],
    ["guest instructions", integer(translation.guestInstructions), "translated"],
    ["modules", integer(translation.modules), `${integer(translation.wasmBytes)} bytes of WebAssembly`],
    ["  kept", integer(translation.keptModules), "beside them, compiled in earlier runs"],
    ["slots linked", integer(slots.linked), `${integer(slots.resolves)} resolves`],
    ["flags recorded", integer(flags.recorded), "places in translated code"],
    ["  fused", integer(flags.fused)],
    ["  materialised", integer(flags.materialised), `${integer(flags.resolved)} times by the helper`],
    ["writes to code", integer(guards.faults + guards.unprotected), `${integer(guards.discards)} regions discarded`],
    [
      "TLB misses",
      integer(tlb.loadMisses + tlb.storeMisses),
      `${integer(tlb.loadMisses)} loads, ${integer(tlb.storeMisses)} stores`,
    ],
    ...bindingRows(statistics.bindings),
    ["processes", integer(processes)],
    ...processRows(statistics.codeUse),
    ...callRows(statistics.systemCalls),
    ...timeRows(statistics.timeMs),
    ["memory", size(memory.residentPeakBytes), `largest process, of ${size(memory.guestBytes)}`],
    [
      "  in use at the end",
      size(inUse.guestPages * 4 * KIBIBYTE),
      `${integer(inUse.fragments)} fragments in ${integer(inUse.modules)} modules, ${integer(inUse.slots)} slots`,
    ],
    ...(memory.hostPeakBytes === undefined ? [] : [["  of the host", size(memory.hostPeakBytes), "at most"] as Row]),
  ];
  const nameWidth = Math.max(...rows.map(([name]) => name.length));
  const valueWidth = Math.max(...rows.map(([, value]) => value.length));
  return rows
    .map(([name, value, note = ""]) => `${name.padEnd(nameWidth)}  ${value.padStart(valueWidth)}  ${note}`.trimEnd())
    .map((line) => `${line}\n`)
    .join("");
}
