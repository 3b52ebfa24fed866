import { describe, expect, it } from "vitest";
import { doppel } from "./testing/doppel.ts";

describe("doppel doctor", () => {
  const { stdout, stderr, status } = doppel("doctor");

  it("says one line for each thing, and that programs can run where these tests do", () => {
    expect(stderr).toBe("");
    expect(status).toBe(0);
    const lines = stdout.trimEnd().split("\n");
    expect(lines.pop()).toBe("Programs can run here.");
    for (const line of lines) expect(line).toMatch(/^(ok {5}|LACKS {2}|without) \S/);
  });

  it("looks at Node, WebAssembly, memory and tools", () => {
    for (const what of [
      "Node",
      "wasm SIMD",
      "wasm tail calls",
      "wasm tables",
      "guest memory",
      "memory",
      "cc",
      "qemu-x86_64",
      "busybox",
    ]) {
      expect(stdout).toMatch(new RegExp(`^(ok|LACKS|without) +${what}  `, "m"));
    }
  });

  it("takes no arguments", () => {
    expect(doppel("doctor", "now")).toMatchObject({ status: 2, stderr: "doppel: doctor takes no arguments\n" });
  });
});
