/**
 * ACPI's tables for this machine (ACPI 6.5, chapter 5): what firmware would leave in memory. They say the same as
 * `platform/memory-map.ts` and `platform/power-management.ts`, and nothing of what is not there.
 */

import { resetRegister } from "../platform/legacy-ports.ts";
import {
  acpiArea,
  Interrupt,
  ioApicAddress,
  localApicAddress,
  pciConfiguration,
  pciInterrupt,
  pciMemory,
  pciPorts,
  timerIsaInterrupt,
} from "../platform/memory-map.ts";
import { powerManagementPorts, sleepTypeOff } from "../platform/power-management.ts";
import { centuryIndex } from "../platform/rtc.ts";
import type { GuestMemory } from "../ports.ts";
import {
  device,
  eisaId,
  integer,
  isaInterrupt,
  memory,
  named,
  packageOf,
  ports,
  resources,
  scope,
  text,
  window,
} from "./aml.ts";

const headerBytes = 36;
const buses = 1;
const oemId = "DOPPEL";
const oemTableId = "DOPPELPC";
const revisionOfTables = 1;

export interface AcpiTable {
  readonly signature: string;
  readonly bytes: Uint8Array;
}

/** A generic address structure (5.2.3.2): ports, accessed as `width` bytes at a time. */
function putPorts(view: DataView, offset: number, port: number, bytes: number, width: 1 | 2 | 4): void {
  view.setUint8(offset, 1);
  view.setUint8(offset + 1, bytes * 8);
  view.setUint8(offset + 3, width === 4 ? 3 : width);
  view.setUint32(offset + 4, port, true);
}

function putText(view: DataView, offset: number, value: string): void {
  for (let index = 0; index < value.length; index++) view.setUint8(offset + index, value.charCodeAt(index));
}

/** Makes all bytes add up to nothing. */
function putChecksum(bytes: Uint8Array, offset: number, length: number = bytes.length): void {
  bytes[offset] = 0;
  bytes[offset] = -bytes.subarray(0, length).reduce((sum, byte) => sum + byte, 0);
}

/** A table with its header (5.2.6). `fill` writes at offsets of the table, header included. */
function table(signature: string, revision: number, length: number, fill: (view: DataView) => void): AcpiTable {
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  putText(view, 0, signature);
  view.setUint32(4, length, true);
  view.setUint8(8, revision);
  putText(view, 10, oemId);
  putText(view, 16, oemTableId);
  view.setUint32(24, revisionOfTables, true);
  putText(view, 28, "DOPL");
  view.setUint32(32, revisionOfTables, true);
  fill(view);
  putChecksum(bytes, 9);
  return { signature, bytes };
}

/** The devices that cannot be found by looking. */
export function differentiatedDescription(): AcpiTable {
  const routing = Array.from({ length: 31 }, (_, index) => {
    const slot = index + 1;
    // Any function of the slot, pin A, no link device, an input of the IO-APIC.
    return packageOf([integer(slot * 0x10000 + 0xffff), integer(0), integer(0), integer(pciInterrupt(slot))]);
  });
  const aml = [
    named("\\_S5_", packageOf([integer(sleepTypeOff), integer(sleepTypeOff), integer(0), integer(0)])),
    scope("\\_SB_", [
      device("CPU0", [named("_HID", text("ACPI0007")), named("_UID", integer(0))]),
      device("PCI0", [
        named("_HID", eisaId("PNP0A03")),
        named("_UID", integer(0)),
        resources([
          window("buses", 0, buses),
          ports(0xcf8, 8),
          window("ports", 0, 0xcf8),
          window("ports", 0xd00, pciPorts.end),
          window("memory", pciMemory.start, pciMemory.end),
        ]),
        named("_PRT", packageOf(routing)),
      ]),
      // Systems believe the table about configuration space only when this reserves it (PCI Firmware 3.3, 4.1.2).
      device("MRES", [
        named("_HID", eisaId("PNP0C02")),
        resources([memory(pciConfiguration.start, pciConfiguration.end - pciConfiguration.start)]),
      ]),
      device("RTC0", [
        named("_HID", eisaId("PNP0B00")),
        resources([ports(0x70, 2), isaInterrupt(Interrupt.realTimeClock)]),
      ]),
      device("COM1", [
        named("_HID", eisaId("PNP0501")),
        named("_UID", integer(1)),
        resources([ports(0x3f8, 8), isaInterrupt(Interrupt.serial1)]),
      ]),
    ]),
  ];
  const length = aml.reduce((sum, term) => sum + term.length, headerBytes);
  return table("DSDT", 2, length, (view) => {
    let offset = headerBytes;
    for (const term of aml) {
      new Uint8Array(view.buffer).set(term, offset);
      offset += term.length;
    }
  });
}

/** Flags of the fixed description (5.2.9). */
const Fixed = {
  /** WBINVD works. */
  writeBack: 1 << 0,
  /** HLT waits (C1). */
  halt: 1 << 2,
  noSleepButton: 1 << 5,
  noClockWake: 1 << 6,
  timer32: 1 << 8,
  resetRegister: 1 << 10,
} as const;
/** Legacy devices, of which a VGA is none; no keyboard controller to be probed for. */
const bootArchitecture: number = (1 << 0) | (1 << 2);

/** The fixed hardware (5.2.9), where it is in port space. */
export function fixedDescription(dsdtAddress: number, facsAddress: number): AcpiTable {
  const { event, control, timer } = powerManagementPorts;
  return table("FACP", 6, 276, (view) => {
    view.setUint32(36, facsAddress, true);
    view.setUint32(40, dsdtAddress, true);
    view.setUint16(46, Interrupt.systemControl, true);
    view.setUint32(56, event, true);
    view.setUint32(64, control, true);
    view.setUint32(76, timer, true);
    view.setUint8(88, 4);
    view.setUint8(89, 2);
    view.setUint8(91, 4);
    // Latencies beyond what counts as a processor power state: there are no C2 and C3.
    view.setUint16(96, 0xfff, true);
    view.setUint16(98, 0xfff, true);
    view.setUint8(108, centuryIndex);
    view.setUint16(109, bootArchitecture, true);
    const { writeBack, halt, noSleepButton, noClockWake, timer32 } = Fixed;
    view.setUint32(112, writeBack | halt | noSleepButton | noClockWake | timer32 | Fixed.resetRegister, true);
    putPorts(view, 116, resetRegister.port, 1, 1);
    view.setUint8(128, resetRegister.value);
    view.setUint8(131, 5);
    view.setUint32(140, dsdtAddress, true);
    putPorts(view, 148, event, 4, 2);
    putPorts(view, 172, control, 2, 2);
    putPorts(view, 208, timer, 4, 4);
  });
}

/** The interrupt controllers (5.2.12). */
export function multipleApicDescription(processors: number): AcpiTable {
  const edgeDefault = 0;
  const levelHigh = 0x0d;
  const entries: number[][] = [
    ...Array.from({ length: processors }, (_, id) => [0, 8, id, id, 1, 0, 0, 0]),
    [1, 12, 0, 0, ...words(ioApicAddress), ...words(0)],
    [2, 10, 0, timerIsaInterrupt, ...words(Interrupt.timer), edgeDefault, 0],
    [2, 10, 0, Interrupt.systemControl, ...words(Interrupt.systemControl), levelHigh, 0],
    // Non-maskable interrupts are at LINT1 of all processors.
    [4, 6, 0xff, 0, 0, 1],
  ];
  const body = entries.flat();
  return table("APIC", 5, headerBytes + 8 + body.length, (view) => {
    view.setUint32(headerBytes, localApicAddress, true);
    // There are PICs, too, to be masked.
    view.setUint32(headerBytes + 4, 1, true);
    new Uint8Array(view.buffer).set(body, headerBytes + 8);
  });
}

function words(value: number): number[] {
  return [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
}

/** Where PCI's configuration space is in memory (PCI Firmware Specification 3.3, 4.1.2). */
export function configurationDescription(): AcpiTable {
  return table("MCFG", 1, headerBytes + 24, (view) => {
    view.setUint32(headerBytes + 8, pciConfiguration.start, true);
    view.setUint8(headerBytes + 19, buses - 1);
  });
}

/** Where a system that sleeps wakes (5.2.10). This one does not, but ACPI wants the table. */
export function firmwareControl(): AcpiTable {
  const bytes = new Uint8Array(64);
  const view = new DataView(bytes.buffer);
  putText(view, 0, "FACS");
  view.setUint32(4, bytes.length, true);
  view.setUint8(32, 2);
  return { signature: "FACS", bytes };
}

function extendedSystemDescription(addresses: readonly number[]): AcpiTable {
  return table("XSDT", 1, headerBytes + 8 * addresses.length, (view) => {
    for (const [index, address] of addresses.entries()) view.setUint32(headerBytes + 8 * index, address, true);
  });
}

function rootPointer(xsdtAddress: number): AcpiTable {
  const bytes = new Uint8Array(36);
  const view = new DataView(bytes.buffer);
  putText(view, 0, "RSD PTR ");
  putText(view, 9, oemId);
  view.setUint8(15, 2);
  view.setUint32(20, bytes.length, true);
  view.setUint32(24, xsdtAddress, true);
  putChecksum(bytes, 8, 20);
  putChecksum(bytes, 32);
  return { signature: "RSDP", bytes };
}

/**
 * Writes all tables where systems look for them.
 *
 * @returns the address of the root pointer
 */
export function writeAcpiTables(ram: GuestMemory, processors: number): number {
  let next = acpiArea.start;
  const place = ({ bytes, signature }: AcpiTable): number => {
    const address = next;
    next = (next + bytes.length + 63) & ~63;
    if (next > acpiArea.end || !ram.write(address, bytes)) throw new RangeError(`no room for ACPI's ${signature}`);
    return address;
  };
  // The root pointer comes first, but knows where the others are last.
  next += 64;
  const dsdt = place(differentiatedDescription());
  const facs = place(firmwareControl());
  const fadt = place(fixedDescription(dsdt, facs));
  const madt = place(multipleApicDescription(processors));
  const mcfg = place(configurationDescription());
  const xsdt = place(extendedSystemDescription([fadt, madt, mcfg]));
  next = acpiArea.start;
  return place(rootPointer(xsdt));
}
