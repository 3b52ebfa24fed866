/** What a benchmark ran on: enough to compare, nothing that names the machine. */
import { cpus, release, totalmem, type } from "node:os";

export interface Host {
  readonly processor: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly node: string;
}

export function host(): Host {
  const processors = cpus();
  return {
    processor: processors[0]?.model.trim() ?? "unknown",
    cores: processors.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: `${type()} ${release().replace(/[^0-9.].*$/, "")}`,
    node: process.version,
  };
}
