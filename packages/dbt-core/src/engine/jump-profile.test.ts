import { expect, test } from "vitest";
import { JumpProfile, JumpRing } from "./jump-profile.ts";
import type { MemoryPort } from "./ports.ts";

const BLOCK = 4096;

function profile(blocks: number): { readonly profile: JumpProfile; readonly view: DataView } {
  const view = new DataView(new ArrayBuffer((blocks + 1) * BLOCK));
  let left = blocks;
  const memory = { view, allocateBlock: () => (left === 0 ? 0 : left-- * BLOCK) };
  return { profile: new JumpProfile(memory as unknown as MemoryPort), view };
}

/** As translated code does. */
function note(view: DataView, site: number, target: number): void {
  const next = (view.getInt32(site, true) + JumpRing.step) & JumpRing.mask;
  view.setInt32(site, next, true);
  view.setInt32(site + JumpRing.first + next, target | 0, true);
}

test("the last 64 targets of a jump, as distances, frequent ones first", () => {
  const { profile: jumps, view } = profile(1);
  const address = 0x7fff_ffff_f000 + 0x20;
  const site = jumps.site(3, 0x20);
  expect(jumps.site(3, 0x20)).toBe(site);
  for (let round = 0; round < 40; round++) note(view, site, address + 0x100);
  for (let round = 0; round < 24; round++) note(view, site, address - 0x40);
  expect(jumps.distances(3, 0x20, address)).toEqual([0x100, -0x40]);
  expect(jumps.usual(3, 0x20, address)).toBe(0x100);
  for (let round = 0; round < 8; round++) note(view, site, address + 0x2000);
  expect(jumps.distances(3, 0x20, address)).toEqual([0x100, -0x40, 0x2000]);
  expect(jumps.usual(3, 0x20, address)).toBeUndefined();
});

test("a jump that was never noted went nowhere", () => {
  const { profile: jumps } = profile(1);
  jumps.site(3, 0x20);
  expect([jumps.distances(3, 0x20, 0x1020), jumps.distances(4, 0, 0), jumps.usual(4, 0, 0)]).toEqual([
    [],
    [],
    undefined,
  ]);
});

test("without memory there are no sites, and none of two jumps share one", () => {
  const { profile: jumps } = profile(2);
  const sites = Array.from({ length: 40 }, (_, offset) => jumps.site(1, offset));
  const given = sites.filter((site) => site !== 0);
  expect(given).toHaveLength(30);
  expect(new Set(given).size).toBe(30);
});
