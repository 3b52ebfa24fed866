import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { compatibilityText } from "./compatibility-text.ts";

describe("docs/compatibility.md", () => {
  it("is what the tables say (pnpm compatibility writes it)", () => {
    expect(readFileSync(new URL("../docs/compatibility.md", import.meta.url), "utf8")).toBe(compatibilityText());
  });

  it("has a row for what a program needs first", () => {
    const text = compatibilityText();
    expect(text).toMatch(/^\| execve \| 59 \| 11 \| /m);
    expect(text).toMatch(/^\| sse4\.2 \| yes \| \d+ \| .*pcmpistri.* \|/m);
  });
});
