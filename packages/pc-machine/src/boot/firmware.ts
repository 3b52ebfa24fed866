import { writeAcpiTables } from "../acpi/tables.ts";
import type { Platform } from "../platform/platform.ts";
import type { GuestMemory, ProcessorStart } from "../ports.ts";
import { boot } from "./boot.ts";
import type { BootOptions } from "./boot.ts";

/**
 * Does what firmware does between power-on and the system, on a platform that has been reset: places PCI devices,
 * lets interrupts of the PICs through, leaves ACPI's tables, and loads the kernel.
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
  return boot(memory, { ...options, acpiRoot: writeAcpiTables(memory, 1) });
}
