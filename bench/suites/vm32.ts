/** `vm32`: computations of `kernels` on a bare 32-bit machine: no operating system, no paging, no interrupts. */
import { join } from "node:path";
import type { Suite } from "../task.ts";

const binaries = join(import.meta.dirname, "..", "..", "guests", "bin", "machine", "kernels");
const MEMORY_MIB = 64;

/** A second or two of ours, so that compiling, of which both do much at first, does not decide. */
const sizes: Readonly<Record<string, number>> = {
  aes: 4_000_000,
  fib: 38,
  hash64: 80_000_000,
  interpreter: 8_000_000,
  mandelbrot: 1_400,
  matmul: 640,
  mixed: 48_000,
  nbody: 800_000,
  qsort: 2_400_000,
  sha256: 24_000_000,
  sieve: 48_000_000,
  table: 60_000_000,
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
