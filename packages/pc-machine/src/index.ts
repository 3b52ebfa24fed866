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
export { InterruptMessages } from "./platform/interrupt-messages.ts";
export { fanOut, SharedLine } from "./platform/interrupt-lines.ts";
export { IoApic } from "./platform/io-apic.ts";
export { LocalApic } from "./platform/local-apic.ts";
export { InterruptControllerPair } from "./platform/pic.ts";
export { TimeStampCounter } from "./platform/time-stamp-counter.ts";
export * from "./virtio/index.ts";
export { LegacyPorts } from "./platform/legacy-ports.ts";
export { IntervalTimer } from "./platform/pit.ts";
export { PowerManagement } from "./platform/power-management.ts";
export { RealTimeClock } from "./platform/rtc.ts";
export { Serial } from "./platform/serial.ts";
export type { SerialBackend } from "./platform/serial.ts";
export { PciRoot } from "./pci/pci-root.ts";
export * from "./9p/index.ts";
export * from "./disk/index.ts";
export { writeAcpiTables } from "./acpi/tables.ts";
export { boot } from "./boot/boot.ts";
export type { BootOptions } from "./boot/boot.ts";
export { BootError } from "./boot/boot-error.ts";
export type { BootFailure } from "./boot/boot-error.ts";
export { GuestRam, type PhysicalPages } from "./memory/guest-ram.ts";
export { DebugMemory } from "./cpu/debug-memory.ts";
export { GdbSession } from "./gdb/session.ts";
export type { BreakpointKind, DebugTarget, StopReason } from "./gdb/target.ts";
export {
  readX86Register,
  writeX86Register,
  x86RegisterCount,
  x86RegisterNumber,
  x86TargetDescription,
} from "./gdb/x86-registers.ts";
export type { WatchHit, WatchKind, Watchpoint } from "./cpu/watchpoints.ts";
export { TripleFault } from "./cpu/delivery.ts";
export { machineCpuid } from "./cpu/machine-cpuid.ts";
export type { MsrOwner, WritableTimeStamps } from "./cpu/model-specific.ts";
export {
  Processor,
  type ProcessorStatistics,
  type ProcessorStop,
  type ProcessorSurroundings,
} from "./cpu/processor.ts";
export { startSystem } from "./boot/firmware.ts";
export { kvmClockFeatures } from "./platform/kvm-clock.ts";
export { Platform } from "./platform/platform.ts";
export type { PlatformOptions, ProcessorConnection } from "./platform/platform.ts";
export { deflate } from "./snapshot/compression.ts";
export type { Compression } from "./snapshot/compression.ts";
export type { SnapshotSink } from "./snapshot/chunks.ts";
export { loadSnapshot, saveSnapshot, snapshotMemory } from "./snapshot/snapshot.ts";
export type { LoadOptions, SnapshotMachine } from "./snapshot/snapshot.ts";
export { decodeState, encodeState } from "./snapshot/state-codec.ts";
export { clearFreePages } from "./memory/free-pages.ts";
