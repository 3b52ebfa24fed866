import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { GuestMemory } from "../ports.ts";
import { boot } from "./boot.ts";
import { BootError } from "./boot-error.ts";
import { parseBzImage } from "./bzimage.ts";
import { parseElfImage } from "./elf-image.ts";
import { writeSmbiosTables } from "./smbios.ts";

const MiB = 2 ** 20;

function newMemory(ramBytes: number): GuestMemory & { readonly ram: Uint8Array } {
  const ram = new Uint8Array(ramBytes);
  const fits = (address: number, length: number): boolean => address >= 0 && address + length <= ram.length;
  return {
    ram,
    ramBytes,
    view: (address, length) => (fits(address, length) ? ram.subarray(address, address + length) : undefined),
    write: (address, data) => {
      if (!fits(address, data.length)) return false;
      ram.set(data, address);
      return true;
    },
  };
}

/** A kernel image with a header as Linux 6 has it, and code that is only a pattern. */
function newBzImage(change: (view: DataView) => void = () => {}): Uint8Array {
  const image = new Uint8Array(2 * 512 + 0x4000);
  const view = new DataView(image.buffer);
  view.setUint8(0x1f1, 1);
  view.setUint32(0x1f4, 0x4000 / 16, true);
  view.setUint16(0x1fe, 0xaa55, true);
  view.setUint8(0x201, 0x6a);
  view.setUint32(0x202, 0x53726448, true);
  view.setUint16(0x206, 0x020f, true);
  view.setUint16(0x20e, 0x100, true);
  image.set(new TextEncoder().encode("6.1.0-test\0"), 0x300);
  view.setUint8(0x211, 1);
  view.setUint32(0x22c, 0x7fffffff, true);
  view.setUint32(0x230, 0x200000, true);
  view.setUint8(0x234, 1);
  view.setUint16(0x236, 0x7f, true);
  view.setUint32(0x238, 2047, true);
  view.setBigUint64(0x258, 0x1000000n, true);
  view.setUint32(0x260, 0x2000000, true);
  image.fill(0x90, 1024);
  change(view);
  return image;
}

function newElf(change: (view: DataView) => void = () => {}): Uint8Array {
  const image = new Uint8Array(0x200);
  const view = new DataView(image.buffer);
  image.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, 62, true);
  view.setBigUint64(24, 0xffffffff80200010n, true);
  view.setBigUint64(32, 64n, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, 1, true);
  const fields = [0x100n, 0xffffffff80200000n, 0x200000n, 0x100n, 0x3000n];
  view.setUint32(64, 1, true);
  for (const [index, value] of fields.entries()) view.setBigUint64(72 + 8 * index, value, true);
  image.fill(0xf4, 0x100);
  change(view);
  return image;
}

const failure = (action: () => unknown): string => {
  try {
    action();
  } catch (error) {
    if (error instanceof BootError) return error.failure;
    throw error;
  }
  return "none";
};

describe("boot", () => {
  it("loads a bzImage, and tells it what it needs to know", () => {
    const memory = newMemory(128 * MiB);
    const initrd = new Uint8Array(5000).fill(7);
    const start = boot(memory, { kernel: newBzImage(), initrd, commandLine: "console=ttyS0", acpiRoot: 0xe0000 });
    expect(start).toMatchObject({ rip: 0x1000200, rsi: 0x10000, codeSelector: 0x10, dataSelector: 0x18 });
    const zero = new DataView(memory.ram.buffer, start.rsi, 4096);
    expect(memory.ram[0x1000000]).toBe(0x90);
    expect(zero.getUint32(0x202, true)).toBe(0x53726448);
    expect([zero.getUint8(0x1ef), zero.getUint8(0x210)]).toEqual([0, 0xff]);
    expect(zero.getUint32(0x070, true)).toBe(0xe0000);
    const [address, length] = [zero.getUint32(0x218, true), zero.getUint32(0x21c, true)];
    expect([address % 4096, length]).toEqual([0, 5000]);
    expect(memory.ram.subarray(address, address + length)).toEqual(initrd);
    const line = zero.getUint32(0x228, true);
    expect(new TextDecoder().decode(memory.ram.subarray(line, line + 14))).toBe("console=ttyS0\0");
    const map = Array.from({ length: zero.getUint8(0x1e8) }, (_, index) => {
      const at = 0x2d0 + 20 * index;
      return [zero.getBigUint64(at, true), zero.getBigUint64(at + 8, true), zero.getUint32(at + 16, true)];
    });
    expect(map).toEqual([
      [0n, 0x9fc00n, 1],
      [0x9fc00n, 0x60400n, 2],
      [0x100000n, BigInt(127 * MiB), 1],
    ]);
  });

  it("maps memory one to one, and has flat segments", () => {
    const memory = newMemory(64 * MiB);
    const start = boot(memory, { kernel: newBzImage() });
    const view = new DataView(memory.ram.buffer);
    for (const address of [0, 0x1000200, 0xfee00000]) {
      const pointers = view.getUint32(start.cr3, true) & ~0xfff;
      const directory = view.getUint32(pointers + 8 * Math.floor(address / 2 ** 30), true) & ~0xfff;
      const entry = view.getUint32(directory + 8 * (Math.floor(address / 2 ** 21) & 511), true);
      expect(entry).toBe(Math.floor(address / 2 ** 21) * 2 ** 21 + 0x83);
    }
    expect(view.getBigUint64(start.gdt.base + start.codeSelector, true)).toBe(0x00af9b000000ffffn);
    expect(start.gdt.limit).toBe(31);
    expect(start.rsp).toBeLessThan(start.cr3);
  });

  it("loads lower what does not fit where it wants to be", () => {
    const start = boot(newMemory(40 * MiB), { kernel: newBzImage() });
    expect(start.rip).toBe(0x200200);
  });

  it("loads ELF executables to their physical addresses", () => {
    const memory = newMemory(16 * MiB);
    memory.ram.fill(0xff, 0x200000, 0x210000);
    expect(boot(memory, { kernel: newElf() }).rip).toBe(0x200010);
    expect([...memory.ram.subarray(0x2000fe, 0x200102)]).toEqual([0xf4, 0xf4, 0, 0]);
    expect([memory.ram[0x202fff], memory.ram[0x203000]]).toEqual([0, 0xff]);
    const physical = newElf((view) => view.setBigUint64(24, 0x200020n, true));
    expect(boot(memory, { kernel: physical }).rip).toBe(0x200020);
  });

  it("says what is wrong with a kernel", () => {
    const parse = (change: (view: DataView) => void): string => failure(() => parseBzImage(newBzImage(change)));
    expect(parseBzImage(newBzImage()).kernelVersion).toBe("6.1.0-test");
    expect(failure(() => boot(newMemory(MiB), { kernel: new TextEncoder().encode("#!/bin/sh\n") }))).toBe(
      "not-a-kernel",
    );
    expect(failure(() => boot(newMemory(MiB), { kernel: new Uint8Array(0) }))).toBe("not-a-kernel");
    expect(failure(() => parseBzImage(newBzImage().subarray(0, 0x240)))).toBe("truncated");
    expect(failure(() => parseBzImage(newBzImage().subarray(0, 0x3000)))).toBe("truncated");
    expect(parse((view) => view.setUint16(0x206, 0x0204, true))).toBe("unsupported");
    expect(parse((view) => view.setUint16(0x236, 0, true))).toBe("unsupported");
    expect(parse((view) => view.setUint32(0x230, 3, true))).toBe("not-a-kernel");
    const elf = (change: (view: DataView) => void): string => failure(() => parseElfImage(newElf(change)));
    expect(elf((view) => view.setUint16(18, 183, true))).toBe("unsupported");
    expect(elf((view) => view.setBigUint64(24, 5n, true))).toBe("unsupported");
    expect(elf((view) => view.setUint16(56, 9, true))).toBe("truncated");
    expect(failure(() => parseElfImage(newElf().subarray(0, 0x180)))).toBe("truncated");
  });

  it("says what does not fit", () => {
    const kernel = newBzImage();
    const initrd = new Uint8Array(20 * MiB);
    expect(failure(() => boot(newMemory(16 * MiB), { kernel }))).toBe("too-little-memory");
    expect(failure(() => boot(newMemory(50 * MiB), { kernel, initrd }))).toBe("too-little-memory");
    expect(failure(() => boot(newMemory(MiB), { kernel: newElf() }))).toBe("too-little-memory");
    const memory = newMemory(64 * MiB);
    expect(failure(() => boot(memory, { kernel, commandLine: "x".repeat(2048) }))).toBe("command-line-too-long");
    expect(failure(() => boot(memory, { kernel, commandLine: "a\0b" }))).toBe("bad-command-line");
  });

  it("refuses or boots any header, and does nothing else", () => {
    const memory = newMemory(64 * MiB);
    const damage = fc.array(fc.tuple(fc.nat({ max: 0x1ff }), fc.nat({ max: 255 })), { maxLength: 6 });
    fc.assert(
      fc.property(damage, fc.boolean(), fc.nat({ max: 0x4800 }), (bytes, isElf, length) => {
        const image = isElf ? newElf() : newBzImage();
        // The first half of the ELF file, and the setup header of the other, are where the fields are.
        for (const [offset, value] of bytes) image[isElf ? offset & 0xff : 0x1e0 + (offset & 0x8f)] = value;
        failure(() => boot(memory, { kernel: image.subarray(0, length > 0x4400 ? image.length : length) }));
      }),
    );
  });
});

describe("a Multiboot kernel", () => {
  /** A header at 0x60, and a segment of 16 bytes for 1 MiB. */
  function newMultiboot(change: (view: DataView) => void = () => {}): Uint8Array {
    const image = new Uint8Array(0x100);
    const view = new DataView(image.buffer);
    image.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
    view.setUint16(16, 2, true);
    view.setUint16(18, 3, true);
    view.setUint32(24, 0x10_0004, true);
    view.setUint32(28, 52, true);
    view.setUint16(42, 32, true);
    view.setUint16(44, 1, true);
    [1, 0x80, 0x10_0000, 0x10_0000, 16, 32].forEach((value, index) => view.setUint32(52 + 4 * index, value, true));
    [0x1bad_b002, 0, -0x1bad_b002].forEach((value, index) => view.setInt32(0x60 + 4 * index, value, true));
    image.fill(0x90, 0x80, 0x90);
    change(view);
    return image;
  }

  it("is entered in protected mode, and told of its memory and command line", () => {
    const memory = newMemory(16 * MiB);
    memory.ram.fill(0xff, MiB, MiB + 64);
    const start = boot(memory, { kernel: newMultiboot(), commandLine: "one 2" });
    expect(start).toMatchObject({ mode: "protected", rip: 0x10_0004, rax: 0x2bad_b002, cr3: 0 });
    const view = new DataView(memory.ram.buffer);
    const info = start.rbx ?? 0;
    expect([view.getUint32(info, true), view.getUint32(info + 8, true)]).toEqual([5, 15 * 1024]);
    const line = view.getUint32(info + 16, true);
    expect(new TextDecoder().decode(memory.ram.subarray(line, line + 6))).toBe("one 2\0");
    expect([...memory.ram.subarray(MiB + 14, MiB + 34)]).toEqual([0x90, 0x90, ...new Uint8Array(16), 0xff, 0xff]);
  });

  it.each<readonly [string, (view: DataView) => void]>([
    [
      "requires 0x4",
      (view) => [4, -0x1bad_b006].forEach((value, index) => view.setInt32(0x64 + 4 * index, value, true)),
    ],
    ["no ELF executable for i386", (view) => view.setUint16(18, 62, true)],
    ["beyond its end", (view) => view.setUint16(44, 100, true)],
    ["ends within a segment", (view) => view.setUint32(52 + 16, 0x1000, true)],
    ["segment at 0x1000", (view) => view.setUint32(52 + 12, 0x1000, true)],
  ])("is refused when it %s", (message, change) => {
    expect(() => boot(newMemory(16 * MiB), { kernel: newMultiboot(change) })).toThrow(message);
  });

  it("of any bytes is refused as a kernel, or boots", () => {
    const changes = fc.array(fc.tuple(fc.nat(0xfc), fc.nat()), { maxLength: 4 });
    fc.assert(
      fc.property(changes, (words) => {
        const kernel = newMultiboot((view) => words.forEach(([at, value]) => view.setUint32(at, value, true)));
        try {
          boot(newMemory(16 * MiB), { kernel });
          return true;
        } catch (error) {
          return error instanceof BootError;
        }
      }),
    );
  });
});

it("SMBIOS tables are found from their entry point, and say what the machine is", () => {
  const { ram, ...memory } = newMemory(MiB);
  writeSmbiosTables({ ...memory });
  const view = new DataView(ram.buffer);
  const anchor = 0xf_0000;
  expect(new TextDecoder().decode(ram.subarray(anchor, anchor + 5))).toBe("_SM3_");
  const entry = ram.subarray(anchor, anchor + ram[anchor + 6]);
  expect(entry.reduce((sum, byte) => (sum + byte) & 0xff, 0)).toBe(0);
  const found: [type: number, strings: string[]][] = [];
  let at = Number(view.getBigUint64(anchor + 16, true));
  const end = at + view.getUint32(anchor + 12, true);
  while (at < end) {
    const type = ram[at];
    at += ram[at + 1];
    let stop = at;
    while (ram[stop] !== 0 || ram[stop + 1] !== 0) stop++;
    found.push([type, new TextDecoder().decode(ram.subarray(at, stop)).split("\0")]);
    at = stop + 2;
  }
  expect(at).toBe(end);
  expect(found).toEqual([
    [0, ["doppel", "1.0", "01/01/2026"]],
    [1, ["doppel", "doppel PC", "1.0"]],
    [3, ["doppel", "1.0"]],
    [127, [""]],
  ]);
});
