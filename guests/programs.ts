// The guest programs: where each one's source is, and a short run of it that a test can compare.

export interface GuestProgram {
  readonly name: string;
  readonly source: string;
  readonly bits: 64 | 32;
  /** A quick run: arguments and standard input. Its output and status are in expected.json. */
  readonly args: readonly string[];
  readonly stdin: string;
}

const program = (
  name: string,
  { bits = 64, args = [], stdin = "", folder = "src" }: Partial<GuestProgram & { folder: string }> = {},
): GuestProgram => ({ name, source: `${folder}/${name}.c`, bits, args, stdin });

const kernel = (name: string, size: number): GuestProgram => program(name, { folder: "kernels", args: [String(size)] });

export const programs: readonly GuestProgram[] = [
  program("hello"),
  program("hello32", { bits: 32 }),
  program("sum"),
  program("flags"),
  program("fault"),
  program("fork"),
  program("threads"),
  program("selfmod", { args: ["500"] }),
  program("echo", { args: ["one", "two words", ""] }),
  program("purgeable", { args: ["3"] }),
  program("cat", { stdin: "a line\nand another\n" }),

  // The size argument scales a kernel's work linearly, but for fib (exponential) and matmul and mandelbrot (its powers).
  kernel("aes", 10_000),
  kernel("chase", 50_000),
  kernel("fib", 20),
  kernel("hash64", 200_000),
  kernel("interpreter", 10_000),
  kernel("mandelbrot", 40),
  kernel("matmul", 30),
  kernel("mixed", 100),
  kernel("nbody", 2_000),
  kernel("qsort", 5_000),
  kernel("search", 50_000),
  kernel("sha256", 100_001),
  kernel("sieve", 100_000),
  kernel("table", 100_000),
];

/** A program for the bare machine: what it prints on the first serial port before it resets the machine. */
export interface MachineProgram {
  readonly name: string;
  readonly sources: readonly string[];
  readonly prints: RegExp;
  /** The code it is entered at. */
  readonly start: string;
  readonly linkerScript?: string;
  /** For the compiler, after those that all have. */
  readonly flags?: readonly string[];
}

export const machinePrograms: readonly MachineProgram[] = [
  {
    name: "busy",
    start: "machine/start.S",
    sources: ["machine/busy.c"],
    prints: /^hash 9c8e2c0d4e6cbfb4 average 00000007d667505b interrupted\n$/,
  },
  {
    name: "checks",
    start: "machine/checks-start.S",
    sources: ["machine/checks.c"],
    linkerScript: "machine/checks.ld",
    flags: ["-O1", "-std=gnu2x", "-mgeneral-regs-only", "-Wl,--no-warn-rwx-segments"],
    prints: /^bare-metal checks\n(?:PASS .*\n)+ALL PASSED .*\n$/,
  },
  {
    name: "store",
    start: "machine/start.S",
    sources: ["store", "records", "tcp", "network", "virtio", "bytes"].map((part) => `machine/store/${part}.c`),
    prints: /^store: there is no disk that can be read\n$/,
  },
];

/** Kernels that also run on a bare 32-bit machine, started by a Multiboot loader. Others divide numbers of 64 bits. */
export const machineKernels: readonly GuestProgram[] = programs.filter(
  ({ source, name }) => source.startsWith("kernels/") && !["chase", "search"].includes(name),
);

/** What a program printed and how it ended. */
export interface GuestRun {
  readonly stdout: string;
  readonly status: number;
}
