/**
 * How the parts of the machine meet: processor, buses, interrupt lines, clock, devices.
 *
 * Everything here is synchronous and takes its time from the machine's clock, so that a run is the same given the same
 * inputs, and so that a machine can be saved between any two guest instructions.
 */

/**
 * Guest-physical memory as devices see it (DMA). Every range is checked: what does not lie in RAM as a whole is
 * refused, never clipped. Writes drop translations made from these bytes and mark pages dirty.
 */
export interface GuestMemory {
  /** Bytes of RAM, without holes. */
  readonly ramBytes: number;
  /** The bytes themselves, to be read only, and before the guest runs on; undefined where they are not all RAM. */
  view(address: number, length: number): Uint8Array | undefined;
  /** Copies `data` to guest memory; false, and nothing written, where that is not all RAM. */
  write(address: number, data: Uint8Array): boolean;
}

/** A device's registers in a window of port or memory space. Sizes are 1, 2 or 4 bytes; values unsigned. */
export interface RegisterWindow {
  read(offset: number, size: number): number;
  write(offset: number, size: number, value: number): void;
}

/**
 * Port and memory space. A window can be moved (PCI base address registers), and a guest can move it over another:
 * then the one that was mapped first answers, as long as it is there.
 */
export interface Bus {
  mapPorts(first: number, count: number, window: RegisterWindow): Mapping;
  /** Whole pages of guest-physical memory. */
  mapMemory(address: number, length: number, window: RegisterWindow): Mapping;
}

export interface Mapping {
  unmap(): void;
}

/**
 * The same spaces from the processor's side. Sizes are 1, 2, 4 and, for memory, 8 bytes (two accesses of 4, the low one
 * first); values unsigned. Where nothing is mapped, reads give all ones and writes are lost.
 */
export interface BusAccess {
  readPort(port: number, size: number): number;
  writePort(port: number, size: number, value: number): void;
  readMemory(address: number, size: number): number;
  writeMemory(address: number, size: number, value: number): void;
}

/** How a boot loader hands the processor over: interrupts off, descriptors flat. */
export interface ProcessorStart {
  /** 64-bit mode with paging (the default), or 32-bit protected mode without. */
  readonly mode?: "long" | "protected";
  readonly rip: number;
  readonly rsp: number;
  readonly rsi: number;
  /** 0 by default, as other registers. */
  readonly rax?: number;
  readonly rbx?: number;
  /** Physical address of the top-level page table. */
  readonly cr3: number;
  readonly gdt: { readonly base: number; readonly limit: number };
  readonly codeSelector: number;
  readonly dataSelector: number;
  /** Model-specific registers that firmware has set, by number. */
  readonly msrs?: readonly (readonly [number, bigint])[];
}

/** A level-triggered line; edge-triggered inputs look at its rises. */
export interface InterruptLine {
  set(level: boolean): void;
}

/** Where message-signalled interrupts go (Intel SDM vol. 3, 11.11): a write of `data` to `address`. */
export interface MessageInterrupts {
  deliver(address: number, data: number): void;
}

/** What a processor sees of its interrupt controllers: the local APIC, and the PICs behind it (Intel SDM vol. 3, 11). */
export interface ProcessorInterrupts {
  /** Whether an interrupt waits that the task priority lets through. The processor looks after `interruptsChanged`. */
  pending(): boolean;
  /** Takes the interrupt that waits: its vector; -1 when none does. */
  acknowledge(): number;
  /** CR8: 0 to 15. */
  taskPriority: number;
  /** RDMSR of IA32_APIC_BASE, IA32_TSC_DEADLINE and the x2APIC's registers; undefined is #GP. */
  readMsr(index: number): bigint | undefined;
  /** WRMSR of the same; false is #GP. */
  writeMsr(index: number, value: bigint): boolean;
}

/** What the interrupt controllers tell a processor. They may do so at any time; it acts between instructions. */
export interface ProcessorSignals {
  /** `pending` may have become true. */
  interruptsChanged(): void;
  nonMaskableInterrupt(): void;
  /** INIT: back to the state after reset; all but the boot processor then wait for a start-up message. */
  init(): void;
  /** Start-up: run from page `vector` in real mode. */
  startUp(vector: number): void;
}

/** The processor's time-stamp counter, which follows the machine's clock. */
export interface TimeStamps {
  readonly hz: number;
  read(): bigint;
  /** The machine's time at which the counter reaches the value. */
  timeOf(value: bigint): number;
}

/** The machine's time: nanoseconds since power-on. It stands still while the machine is stopped. */
export interface MachineClock {
  now(): number;
  /** Calls back once, between guest instructions, at the time or soon after. */
  at(time: number, callback: () => void): Timer;
}

export interface Timer {
  cancel(): void;
}

/** What a snapshot is made of: plain values. Numbers are finite. */
export type StateValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly StateValue[]
  | { readonly [name: string]: StateValue };

export type StateRecord = { readonly [name: string]: StateValue };

/** A part of the machine that a snapshot saves. */
export interface Stateful {
  /** Names the part within a machine, for ever: "pit", "pci.3.virtio-blk". */
  readonly id: string;
  /** Of the layout of `save`; a part refuses what it does not know. */
  readonly version: number;
  save(): StateRecord;
  /** @throws SnapshotError when the record is not one that `save` can have made */
  load(record: StateRecord, version: number): void;
}

/** A saved state is damaged, or of another machine. The message says of which part. */
export class SnapshotError extends Error {
  override name = "SnapshotError";
}

/** What the guest asks of the machine as a whole. It happens after the instruction that asked. */
export interface MachineControl {
  powerOff(): void;
  reset(): void;
}

/** A device: what it needs is given to its constructor. */
export interface Device extends Stateful {
  /** Back to the state after power-on. */
  reset(): void;
}
