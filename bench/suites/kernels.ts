/** `kernels`: our own computations from guests/kernels, each about a third of a second natively: steady state decides. */
import { join } from "node:path";
import type { Suite } from "../task.ts";

const binaries = join(import.meta.dirname, "..", "..", "guests", "bin");

/** Arguments of the programs. */
export const kernelSizes: Readonly<Record<string, number>> = {
  aes: 3_000_000,
  chase: 4_000_000,
  fib: 39,
  hash64: 150_000_000,
  interpreter: 8_000_000,
  mandelbrot: 1_400,
  matmul: 800,
  mixed: 60_000,
  nbody: 5_000_000,
  qsort: 3_000_000,
  search: 20_000_000,
  sha256: 80_000_000,
  sieve: 50_000_000,
  table: 100_000_000,
};

export const kernels: Suite = {
  name: "kernels",
  title: "Computations of our own: static, `gcc -O2`",
  tasks: Object.entries(kernelSizes).map(([name, size]) => ({
    name,
    command: () => [join(binaries, name), String(size)],
  })),
};
