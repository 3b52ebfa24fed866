/**
 * SMBIOS tables (DMTF DSP0134 3.0): what the machine is called. Systems print it when they report an error, and choose
 * workarounds by it; ours needs none.
 *
 * ```text
 * 0xf_0000  entry point "_SM3_", where systems look for it       0xf_0020  structures
 * ```
 */
import type { GuestMemory } from "../ports.ts";
import { store } from "./long-mode.ts";

const entryPointAddress = 0xf_0000;
const structuresAddress = 0xf_0020;
const entryPointBytes = 0x18;
const checksumOffset = 5;

/** Structure types (chapter 7). */
const Type = { firmware: 0, system: 1, chassis: 3, end: 127 } as const;
/** BIOS characteristics: none are told. BIOS characteristics extension 2: a virtual machine. */
const characteristicsUnknown = 1 << 3;
const virtualMachine = 1 << 4;
const powerSwitch = 6;
const chassisOther = 1;
const stateSafe = 3;
const securityNone = 3;

interface Structure {
  readonly type: number;
  /** From offset 4 on; numbers of strings count from 1. */
  readonly fields: readonly number[];
  readonly strings: readonly string[];
}

const structures: readonly Structure[] = [
  {
    type: Type.firmware,
    // Vendor, version, no segment, date, no ROM size, characteristics (8 and 2 bytes), releases of firmware and controller.
    fields: [1, 2, 0, 0, 3, 0, characteristicsUnknown, 0, 0, 0, 0, 0, 0, 0, 0, virtualMachine, 1, 0, 0xff, 0xff],
    strings: ["doppel", "1.0", "01/01/2026"],
  },
  {
    type: Type.system,
    // Manufacturer, product, version, serial number, UUID (none: zeros), how it woke up, SKU, family.
    fields: [1, 2, 3, 0, ...new Uint8Array(16), powerSwitch, 0, 0],
    strings: ["doppel", "doppel PC", "1.0"],
  },
  {
    type: Type.chassis,
    // Manufacturer, type, version, serial number, asset tag, states of boot, power and heat, security, OEM, height,
    // power cords, contained elements and their length.
    fields: [1, chassisOther, 2, 0, 0, stateSafe, stateSafe, stateSafe, securityNone, 0, 0, 0, 0, 0, 0, 0, 0],
    strings: ["doppel", "1.0"],
  },
  { type: Type.end, fields: [], strings: [] },
];

function encode({ type, fields, strings }: Structure, handle: number): number[] {
  const text = [...new TextEncoder().encode(strings.map((each) => `${each}\0`).join(""))];
  const length = 4 + fields.length;
  // Behind the strings there is an empty one; without any there are two zeros all the same.
  return [type, length, handle & 0xff, handle >> 8, ...fields, ...(text.length === 0 ? [0] : text), 0];
}

/** Writes them where systems look: into memory that firmware occupies. */
export function writeSmbiosTables(memory: GuestMemory): void {
  const bytes = Uint8Array.from(structures.flatMap((structure, index) => encode(structure, index)));
  const entry = new DataView(new ArrayBuffer(entryPointBytes));
  const text = new Uint8Array(entry.buffer);
  text.set(new TextEncoder().encode("_SM3_"));
  entry.setUint8(6, entryPointBytes);
  // Version 3.0, revision 1 of the entry point.
  entry.setUint8(7, 3);
  entry.setUint8(10, 1);
  entry.setUint32(12, bytes.length, true);
  entry.setUint32(16, structuresAddress, true);
  entry.setUint8(checksumOffset, -text.reduce((sum, byte) => sum + byte, 0) & 0xff);
  store(memory, structuresAddress, bytes);
  store(memory, entryPointAddress, text);
}
