export { Command, ConfigurationOffset, PciFunction } from "./pci/pci-device.ts";
export type {
  BarDescription,
  CapabilityDescription,
  PciConfiguration,
  PciDescription,
  PciSlot,
} from "./pci/pci-device.ts";
export * from "./ports.ts";
export { RecordReader } from "./snapshot/record-reader.ts";
export { SystemBus } from "./platform/bus.ts";
export { SteppedClock, SystemClock } from "./platform/machine-clock.ts";
