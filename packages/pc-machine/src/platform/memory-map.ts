/**
 * Where things are in guest-physical memory and among the interrupts. ACPI's tables tell the guest the same.
 *
 * ```text
 * 0x0000_0000   RAM, but for 0xa_0000 to 0xf_ffff, where a PC has its video memory and firmware
 * 0xc000_0000   PCI's base address registers, unless RAM ends earlier; it never reaches further
 * 0xfeb0_0000   configuration space of PCI's one bus
 * 0xfec0_0000   IO-APIC
 * 0xfee0_0000   local APIC
 * 0x1_0000_0000 RAM that did not fit below
 * ```
 */

/** A range of addresses or ports: `end` is one past the last. */
export interface AddressRange {
  readonly start: number;
  readonly end: number;
}

const fourGiB: number = 2 ** 32;

/** RAM below 4 GiB ends here at the latest. */
export const lowRamLimit = 0xc000_0000;

/** What the guest may place PCI devices' memory and ports in. */
export const pciMemory: AddressRange = { start: 0xc000_0000, end: 0xfeb0_0000 };
export const pciPorts: AddressRange = { start: 0xc000, end: 0x1_0000 };

/** 4 KiB for each function of a bus (PCI Express 5.0, 7.2.2): one bus. */
export const pciConfiguration: AddressRange = { start: 0xfeb0_0000, end: 0xfec0_0000 };

export const ioApicAddress = 0xfec0_0000;
export const localApicAddress = 0xfee0_0000;

/** What a PC's firmware occupies: the end of its data area up to 1 MiB. ACPI's tables are in it. */
export const firmwareArea: AddressRange = { start: 0x9_fc00, end: 0x10_0000 };
/** Where systems look for ACPI's root pointer (ACPI 6.5, 5.2.5.1). */
export const acpiArea: AddressRange = { start: 0xe_0000, end: 0x10_0000 };

/** Inputs of the IO-APIC: those of the ISA bus have their own numbers, but for the timer. */
export const Interrupt = { timer: 2, serial1: 4, realTimeClock: 8, systemControl: 9 } as const;
/** The timer's input of the PICs. */
export const timerIsaInterrupt = 0;

const pciFirstInput = 16;
const pciInputs = 8;

/** The input of INTA# of a PCI slot. */
export function pciInterrupt(slot: number): number {
  return pciFirstInput + (slot % pciInputs);
}

/** The guest-physical ranges that are RAM. */
export function ramRanges(ramBytes: number): AddressRange[] {
  const low = Math.min(ramBytes, lowRamLimit);
  const ranges = [{ start: 0, end: low }];
  if (ramBytes > low) ranges.push({ start: fourGiB, end: fourGiB + ramBytes - low });
  return ranges;
}
