import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { Machine, type MachineEnd } from "./machine.ts";
import { type Tiers, tiers } from "./testing/tiers.ts";
import { elfProgram } from "./testing/elf-program.ts";

const guests = new URL("../../../guests/", import.meta.url);
const bareMetal = readFileSync(new URL("../../../guests/bin/machine/checks", import.meta.url));
const MEBIBYTE = 2 ** 20;

/** Runs a kernel to its end; what it printed. */
async function run(
  kernel: Uint8Array,
  options: { readonly commandLine?: string; readonly translator?: Tiers } = {},
): Promise<{ end: MachineEnd; output: string }> {
  const output: number[] = [];
  const machine = new Machine({
    ramBytes: 32 * MEBIBYTE,
    kernel,
    ...options,
    serial: { read: () => -1, write: (byte) => output.push(byte) > 0 },
    endOnReset: true,
  });
  const end = await machine.run();
  return { end, output: String.fromCharCode(...output) };
}

describe("a whole machine", () => {
  it.each([["by default", {}] as const, ...tiers.map(([name, translator]) => [name, { translator }] as const)])(
    "passes the bare-metal checks: %s",
    async (_name, tier) => {
      const { end, output } = await run(bareMetal, tier);
      expect(output.split("\n").filter((line) => /^(?:FAIL|SOME)|found/.test(line))).toEqual([]);
      expect(output).toMatch(/^ALL PASSED/m);
      expect(end).toBe("reset");
    },
  );

  it.each(["fib 20", "nbody 2000", "qsort 5000", "sha256 100001"])(
    "computes %s without an operating system, in 32-bit mode, what the processor does",
    async (line) => {
      const [name, size] = line.split(" ");
      const { output } = await run(readFileSync(new URL(`bin/machine/kernels/${name}`, guests)), {
        commandLine: `kernel ${size}`,
      });
      const expected = JSON.parse(readFileSync(new URL("expected.json", guests), "utf8")) as Record<
        string,
        { stdout: string }
      >;
      expect(output).toBe(`begin\n${expected[name].stdout}end\n`);
    },
  );

  it("says where a triple fault happened", async () => {
    // lidt of an empty table, ud2
    const code = [0x0f, 0x01, 0x1c, 0x25, 0x20, 0x00, 0x10, 0x00, 0x0f, 0x0b, ...Array.from({ length: 40 }, () => 0)];
    await expect(run(elfProgram(code))).rejects.toThrow(/triple fault: exception 13 .*RIP 100008/);
  });
});
