import { expect, it } from "vitest";
import { TestMemory } from "../virtio/testing/driver.ts";
import { clearFreePages } from "./free-pages.ts";

it("released pages are cleared, and nothing beside them", () => {
  const memory = new TestMemory(1 << 18);
  memory.bytes.fill(7, 4096);
  clearFreePages(memory).release(8192, 1 << 17);
  expect(memory.bytes.subarray(8192, 8192 + (1 << 17)).every((byte) => byte === 0)).toBe(true);
  expect([memory.bytes[8191], memory.bytes[8192 + (1 << 17)]]).toEqual([7, 7]);
});

it("pages that nobody has touched are not written to", () => {
  const memory = new TestMemory(1 << 18);
  const written: number[] = [];
  const watched = {
    ramBytes: memory.ramBytes,
    view: (address: number, length: number) => memory.view(address, length),
    write: (address: number) => {
      written.push(address);
      return true;
    },
  };
  clearFreePages(watched).release(0, 1 << 18);
  expect(written).toEqual([]);
});
