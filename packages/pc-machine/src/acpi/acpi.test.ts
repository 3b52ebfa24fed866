import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { GuestMemory } from "../ports.ts";
import { buffer, eisaId, integer, named, packageOf, scope, window } from "./aml.ts";
import {
  configurationDescription,
  differentiatedDescription,
  firmwareControl,
  fixedDescription,
  multipleApicDescription,
  writeAcpiTables,
} from "./tables.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const sum = (bytes: Uint8Array): number => bytes.reduce((total, byte) => (total + byte) & 0xff, 0);

describe("AML", () => {
  it("encodes terms as the grammar has them", () => {
    expect([0, 1, 2, 0xff, 0x100, 0x12345678].map((value) => hex(integer(value)))).toEqual([
      "00",
      "01",
      "0a02",
      "0aff",
      "0b0001",
      "0c78563412",
    ]);
    expect(hex(named("_UID", integer(1)))).toBe("085f55494401");
    expect(hex(named("\\_SB.PCI0", integer(0)))).toBe("085c2e5f53425f5043493000");
    expect(hex(eisaId("PNP0A03"))).toBe("0c41d00a03");
    expect(hex(packageOf([integer(5), integer(0)]))).toBe("1205020a0500");
    expect(() => named("too.long1", integer(0))).toThrow(RangeError);
  });

  it("encodes lengths that count themselves", () => {
    const lengths = (content: number): string => hex(buffer(new Uint8Array(content))).slice(2, 10);
    expect(lengths(60)).toBe("3f0a3c00");
    expect(lengths(61)).toBe("41040a3d");
    expect(lengths(0xff0)).toBe("45ff0bf0");
    expect(lengths(0x1000)).toBe("8600010b");
    expect(scope("\\_SB_", [new Uint8Array(5000)]).length).toBe(5000 + 1 + 3 + 5);
  });

  it("encodes windows of bridges", () => {
    expect(hex(window("ports", 0xd00, 0x10000))).toBe("880d00010c030000000dffff000000f3");
    expect(hex(window("memory", 0xc0000000, 0xfec00000))).toBe("871700000c0100000000000000c0ffffbffe000000000000c03e");
  });
});

describe("ACPI tables", () => {
  it("are linked from the root pointer, with checksums, where systems look", () => {
    const ram = new Uint8Array(0x10_0000);
    const memory: GuestMemory = {
      ramBytes: ram.length,
      view: (address, length) => ram.subarray(address, address + length),
      write: (address, data) => {
        ram.set(data, address);
        return true;
      },
    };
    const root = writeAcpiTables(memory, 2);
    const view = new DataView(ram.buffer);
    const signature = (address: number, length = 4): string =>
      new TextDecoder().decode(ram.subarray(address, address + length));
    const checked = (address: number): number =>
      sum(ram.subarray(address, address + view.getUint32(address + 4, true)));
    expect(root % 16).toBe(0);
    expect(signature(root, 8)).toBe("RSD PTR ");
    expect([sum(ram.subarray(root, root + 20)), sum(ram.subarray(root, root + 36))]).toEqual([0, 0]);
    const xsdt = view.getUint32(root + 24, true);
    const [fadt, madt, mcfg] = [xsdt + 36, xsdt + 44, xsdt + 52].map((entry) => view.getUint32(entry, true));
    const dsdt = view.getUint32(fadt + 140, true);
    const all = [xsdt, fadt, madt, mcfg, dsdt];
    expect(all.map((address) => signature(address))).toEqual(["XSDT", "FACP", "APIC", "MCFG", "DSDT"]);
    expect(all.map(checked)).toEqual([0, 0, 0, 0, 0]);
    expect(signature(view.getUint32(fadt + 36, true))).toBe("FACS");
  });

  it.skipIf(spawnSync("iasl", ["-v"]).error !== undefined)("say to ACPI's own compiler what they should", () => {
    const directory = mkdtempSync(join(tmpdir(), "doppel-acpi-"));
    try {
      const tables = [differentiatedDescription(), fixedDescription(0xe1000, 0xe2000), firmwareControl()];
      for (const { signature, bytes } of [...tables, multipleApicDescription(1), configurationDescription()]) {
        const file = join(directory, `${signature}.dat`);
        writeFileSync(file, bytes);
        execFileSync("iasl", ["-d", file], { stdio: "pipe" });
        const source = readFileSync(join(directory, `${signature}.dsl`), "utf8");
        expect(source).not.toMatch(/invalid|unknown|incorrect/i);
        // Compiled again it is the same, and nothing to complain about.
        const printed = execFileSync("iasl", [join(directory, `${signature}.dsl`)], { encoding: "utf8" });
        expect(printed).toMatch(/Compilation successful\. 0 Errors, 0 Warnings|Table Input/);
        expect(printed).not.toMatch(/\b[1-9]\d* (Errors|Warnings)/);
      }
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
