// The guest programs of this repository through the command line. They need nothing from the machine: what each prints
// natively is recorded, so that this also runs where they could not run natively.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { type GuestRun, programs } from "../../../guests/programs.ts";
import { repository, runGuest } from "./harness/run.ts";

const guests = join(repository, "guests");
const expected = JSON.parse(readFileSync(join(guests, "expected.json"), "utf8")) as Record<string, GuestRun>;

describe("guest programs under doppel run", () => {
  it.each(programs)("$name", ({ name, args, stdin }) => {
    const { stdout, stderr, status } = runGuest({
      command: [join(guests, "bin", name), ...args],
      stdin,
      env: { GUEST: "yes" },
    });
    const visible =
      name === "echo"
        ? stdout
            .split("\n")
            .filter((line) => /^\d|^GUEST/.test(line))
            .join("\n") + "\n"
        : stdout;
    expect({ stdout: visible, status, stderr }).toEqual({ ...expected[name], stderr: "" });
  });

  it("the launcher", () => {
    const result = spawnSync("./doppel", ["run", "guests/bin/hello"], { cwd: repository, encoding: "utf8" });
    expect(result).toMatchObject({ stdout: "Hello from an x86-64 program\n", stderr: "", status: 0 });
  });
});
