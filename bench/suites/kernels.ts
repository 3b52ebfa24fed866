/**
 * `kernels`: our own computations from guests/kernels, most about a second natively: steady state decides, and starting, which
 * has a suite of its own, is a fifth of our time at most.
 */
import { join } from "node:path";
import type { Suite } from "../task.ts";

const binaries = join(import.meta.dirname, "..", "..", "guests", "bin");

interface KernelSize {
  readonly second: number;
  /** For where they run one after the other in a machine that has started. */
  readonly third: number;
}

/** Arguments of the programs with which they take about so much of a second natively. */
export const kernelSizes: Readonly<Record<string, KernelSize>> = {
  aes: { second: 9_000_000, third: 3_000_000 },
  chase: { second: 60_000_000, third: 20_000_000 },
  fib: { second: 42, third: 39 },
  hash64: { second: 450_000_000, third: 150_000_000 },
  interpreter: { second: 24_000_000, third: 8_000_000 },
  mandelbrot: { second: 2_400, third: 1_400 },
  matmul: { second: 1_400, third: 1_000 },
  mixed: { second: 180_000, third: 60_000 },
  nbody: { second: 15_000_000, third: 5_000_000 },
  qsort: { second: 9_000_000, third: 3_000_000 },
  search: { second: 60_000_000, third: 20_000_000 },
  sha256: { second: 240_000_000, third: 80_000_000 },
  sieve: { second: 140_000_000, third: 50_000_000 },
  table: { second: 300_000_000, third: 100_000_000 },
};

export const kernels: Suite = {
  name: "kernels",
  title:
    "Computations of our own: static, `gcc -O2` (doppel: from the third run on, with the translations of those before)",
  tasks: Object.entries(kernelSizes).map(([name, { second }]) => ({
    name,
    command: () => [join(binaries, name), String(second)],
  })),
};
