import { describe, expect, it } from "vitest";
import { deflate } from "../snapshot/compression.ts";
import { zstd } from "./zstd.ts";

describe.each([zstd, deflate])("compression: $name", (compression) => {
  it("brings back what it made smaller", async () => {
    const bytes = Uint8Array.from({ length: 100_000 }, (_, index) => (index >>> 5) & 0xff);
    const small = await compression.compress(bytes);
    expect(small.length).toBeLessThan(bytes.length / 4);
    expect(Buffer.compare(await compression.decompress(small, bytes.length), bytes)).toBe(0);
  });

  it("refuses what becomes too much, and what it did not make", async () => {
    const small = await compression.compress(new Uint8Array(1_000_000));
    await expect(compression.decompress(small, 999_999)).rejects.toThrow(Error);
    await expect(compression.decompress(small.subarray(0, small.length - 3), 1_000_000)).rejects.toThrow(Error);
    await expect(compression.decompress(Uint8Array.of(7, 7, 7, 7, 7, 7), 1_000_000)).rejects.toThrow(Error);
  });
});
