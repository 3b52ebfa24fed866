import { writeAcpiTables } from "../acpi/tables.ts";
import { pciMemory } from "../platform/memory-map.ts";
import type { Platform } from "../platform/platform.ts";
import type { GuestMemory, ProcessorStart } from "../ports.ts";
import { boot } from "./boot.ts";
import type { BootOptions } from "./boot.ts";
import { writeSmbiosTables } from "./smbios.ts";

/** Memory-type ranges (Intel SDM vol. 3, 12.11.2): memory is cached, but for what PCI devices have. */
const Mtrr = { base0: 0x200, mask0: 0x201, default: 0x2ff } as const;
const writeBack = 6n;
const enabled = 1n << 11n;
const fixedRangesEnabled = 1n << 10n;
/** Of the processor that CPUID describes. */
const physicalAddressBits = 40n;

/** From PCI's memory to 4 GiB, which is a power of two. */
function memoryTypes(): [number, bigint][] {
  const start = BigInt(pciMemory.start);
  const length = 2n ** 32n - start;
  return [
    [Mtrr.base0, start],
    [Mtrr.mask0, (2n ** physicalAddressBits - length) | enabled],
    [Mtrr.default, enabled | fixedRangesEnabled | writeBack],
  ];
}

/**
 * Does what firmware does between power-on and the system, on a platform that has been reset: places PCI devices,
 * lets interrupts of the PICs through, leaves ACPI's and SMBIOS's tables, and loads the kernel.
 *
 * @throws BootError when the kernel is none, cannot be run, or does not fit
 */
export function startSystem(
  platform: Platform,
  memory: GuestMemory,
  options: Omit<BootOptions, "acpiRoot">,
): ProcessorStart {
  platform.pci.assignResources();
  platform.localApic.enterVirtualWireMode();
  writeSmbiosTables(memory);
  return { ...boot(memory, { ...options, acpiRoot: writeAcpiTables(memory, 1) }), msrs: memoryTypes() };
}
