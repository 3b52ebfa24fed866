/** `vm32`: computations of `kernels` on a bare 32-bit machine: no operating system, no paging, no interrupts. */
import { join } from "node:path";
import type { Suite } from "../task.ts";

const binaries = join(import.meta.dirname, "..", "..", "guests", "bin", "machine", "kernels");
const MEMORY_MIB = 64;

/** About a tenth of a second natively. */
const sizes: Readonly<Record<string, number>> = {
  aes: 1_000_000,
  fib: 34,
  hash64: 20_000_000,
  interpreter: 2_000_000,
  mandelbrot: 700,
  matmul: 400,
  mixed: 8_000,
  nbody: 1_000_000,
  qsort: 800_000,
  sha256: 20_000_000,
  sieve: 12_000_000,
  table: 20_000_000,
};

export const vm32: Suite = {
  name: "vm32",
  title: "Computations on a bare 32-bit machine",
  tasks: [],
  machines: Object.entries(sizes).map(([name, size]) => ({
    name,
    guest: () => ({ bits: 32, kernel: join(binaries, name), commandLine: String(size), memoryMiB: MEMORY_MIB }),
    laps: [{ name, begins: /begin$/, ends: /^end$/ }],
  })),
};
