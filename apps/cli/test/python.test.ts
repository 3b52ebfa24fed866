// CPython's own test modules, as Debian packages them. Each guest run is compared with the native one by the number
// of tests that ran and were skipped.
import { describe, expect, it } from "vitest";
import type { Command } from "./harness/run.ts";
import { need } from "./harness/requirements.ts";
import { runBoth, runGuest } from "./harness/run.ts";
import type { Outcome } from "./harness/outcome.ts";

const python = "/usr/bin/python3";
/** Any file of Debian's package libpython3.11-testsuite. */
const testSuite = "/usr/lib/python3.11/test/test_json/__init__.py";
const TIMEOUT_MS = 900_000;

/** Runs test modules, with their temporary files in the test's own directory. */
const suite = (modules: readonly string[], options: readonly string[] = []): Command => ({
  command: [python, "-m", "test", "-v", ...options, ...modules],
  ignoreFiles: /./,
  timeoutMs: TIMEOUT_MS,
});

/** `Ran 53 tests`, `OK (skipped=1)`, one pair for each module, and the verdict. */
function summary({ stdout, stderr, status }: Outcome): string[] {
  const text = `${stdout}\n${stderr}`;
  const lines = text.match(
    /^(Ran \d+ tests?|OK|FAILED|FAIL: .*|ERROR: .*)( \(.*\))?$|^Ran \d+ tests?|^== Tests result: .*/gm,
  );
  return [...(lines ?? [text.slice(-2000)]), `status ${status}`];
}

/** A quarter of an hour more: DOPPEL_TEST_EVERYTHING=1 npm test -- apps/cli/test/python.test.ts */
const everything = process.env["DOPPEL_TEST_EVERYTHING"] === "1";
const selected = everything
  ? [
      ["test_json", "test_struct", "test_math", "test_re", "test_float", "test_ctypes"],
      ["test_threading"],
      ["test_subprocess"],
    ]
  : [["test_struct", "test_math"]];

describe("python3's own tests", () => {
  it("start: a program on the command line", { timeout: TIMEOUT_MS }, (context) => {
    need(context, python);
    const { native, guest } = runBoth({
      command: [
        python,
        "-c",
        "import json, re, sys, math; print(json.dumps({'v': sys.version, 'pi': math.pi}), re.sub('a', 'b', 'banana'))",
      ],
    });
    expect(guest).toEqual(native);
  });

  it.for(selected)("%s", { timeout: 2 * TIMEOUT_MS }, (modules, context) => {
    need(context, python, testSuite);
    const { native, guest } = runBoth(suite(modules));
    expect(summary(native)).toContain("== Tests result: SUCCESS ==");
    expect(summary(guest)).toEqual(summary(native));
  });

  it.runIf(everything)("test_socket", { timeout: TIMEOUT_MS }, (context) => {
    need(context, python, testSuite);
    // Not compared: what runs natively depends on the protocols, interfaces and name servers of the machine.
    expect(summary(runGuest(suite(["test_socket"])))).toContain("== Tests result: SUCCESS ==");
  });
});
