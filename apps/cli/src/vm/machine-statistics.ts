/** What a machine has done, by name. */
import type { Machine } from "@doppel/emulator";

export function machineStatistics({ engine }: Machine): Readonly<Record<string, number>> {
  const { instructions, ...events } = engine.processor.statistics;
  return {
    ...events,
    ...engine.translator.statistics,
    ...engine.translator.translator.statistics,
    ...Object.fromEntries([...instructions].sort((a, b) => b[1] - a[1])),
  };
}
