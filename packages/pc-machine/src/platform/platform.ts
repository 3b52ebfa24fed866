/**
 * What stands around the processor of every PC: buses, clocks, interrupt controllers, timers, a serial port, the root
 * of the PCI bus, and how they are wired. Devices for PCI are put into `pci.slot(n)`.
 *
 * The processor and its memory are made with what is here, and join afterwards, by `connect`.
 */

import { PciRoot } from "../pci/pci-root.ts";
import type {
  Device,
  GuestMemory,
  InterruptLine,
  MachineControl,
  ProcessorSignals,
  RegisterWindow,
  Stateful,
} from "../ports.ts";
import { SystemBus } from "./bus.ts";
import { fanOut } from "./interrupt-lines.ts";
import { InterruptMessages } from "./interrupt-messages.ts";
import { IoApic } from "./io-apic.ts";
import { KvmClock } from "./kvm-clock.ts";
import { LegacyPorts, resetRegister } from "./legacy-ports.ts";
import { LocalApic } from "./local-apic.ts";
import type { SystemClock } from "./machine-clock.ts";
import { Interrupt, ioApicAddress, pciConfiguration, timerIsaInterrupt } from "./memory-map.ts";
import { InterruptControllerPair } from "./pic.ts";
import { IntervalTimer } from "./pit.ts";
import { PowerManagement, powerManagementPorts } from "./power-management.ts";
import { RealTimeClock } from "./rtc.ts";
import { Serial } from "./serial.ts";
import type { SerialBackend } from "./serial.ts";
import { TimeStampCounter } from "./time-stamp-counter.ts";

/** A tick a nanosecond: nothing is lost in conversion. */
const timeStampHz = 1_000_000_000;
/** The bus clock that the local APIC's timer divides. */
const apicTimerHz = 1_000_000_000;
const pageBytes = 4096;
/** Interrupts of the ISA bus. */
const isaInputs = 16;

export interface PlatformOptions {
  /** The machine's time, which stands still until it is started. */
  readonly clock: SystemClock;
  /** Milliseconds since 1970-01-01, UTC, with their fraction. */
  readonly wallClock: () => number;
  readonly machine: MachineControl;
  /** Where COM1 leads. */
  readonly serial: SerialBackend;
}

/** The processor, and the memory that devices and it share. */
export interface ProcessorConnection {
  readonly signals: ProcessorSignals;
  readonly memory: GuestMemory;
}

export class Platform {
  readonly bus: SystemBus = new SystemBus();
  readonly clock: SystemClock;
  readonly timeStamps: TimeStampCounter;
  readonly messages: InterruptMessages = new InterruptMessages();
  readonly localApic: LocalApic;
  readonly ioApic: IoApic;
  readonly pics: InterruptControllerPair;
  readonly timer: IntervalTimer;
  readonly realTimeClock: RealTimeClock;
  readonly power: PowerManagement;
  readonly serial: Serial;
  readonly pci: PciRoot;
  readonly kvmClock: KvmClock;
  readonly #devices: readonly Device[];
  #processor: ProcessorConnection | undefined;

  constructor(options: PlatformOptions) {
    const { clock, wallClock, machine } = options;
    const { bus, messages } = this;
    this.clock = clock;
    this.timeStamps = new TimeStampCounter(clock, timeStampHz, () => this.kvmClock.update());
    this.localApic = new LocalApic({
      apicId: 0,
      bus,
      clock,
      tsc: this.timeStamps,
      messages,
      processor: {
        interruptsChanged: () => this.#processor?.signals.interruptsChanged(),
        nonMaskableInterrupt: () => this.#processor?.signals.nonMaskableInterrupt(),
        init: () => this.#processor?.signals.init(),
        startUp: (vector) => this.#processor?.signals.startUp(vector),
      },
      endOfInterrupt: (vector) => this.ioApic.endOfInterrupt(vector),
      acknowledgeExternal: () => this.pics.acknowledge(),
      timerHz: apicTimerHz,
    });
    this.pics = new InterruptControllerPair(this.localApic.lint0);
    this.ioApic = new IoApic(messages);
    this.kvmClock = new KvmClock({
      clock,
      tsc: this.timeStamps,
      wallClock,
      memory: {
        ramBytes: 0,
        view: (address, length) => this.#processor?.memory.view(address, length),
        write: (address, data) => this.#processor?.memory.write(address, data) ?? false,
      },
    });
    this.timer = new IntervalTimer(clock, this.#isaLine(timerIsaInterrupt, Interrupt.timer));
    this.realTimeClock = new RealTimeClock(clock, wallClock, this.#isaLine(Interrupt.realTimeClock));
    this.power = new PowerManagement(clock, this.#isaLine(Interrupt.systemControl), machine);
    this.serial = new Serial("serial.1", this.#isaLine(Interrupt.serial1), options.serial);
    this.pci = new PciRoot({ bus, messages, input: (pin) => this.ioApic.line(pin) });
    const legacy = new LegacyPorts(machine);

    const ports: readonly (readonly [number, number, RegisterWindow])[] = [
      [0x20, 2, this.pics.master],
      [0x40, 4, this.timer.ports],
      [0x60, 1, legacy.keyboardData],
      [0x61, 1, this.timer.systemControl],
      [0x64, 1, legacy.keyboardCommand],
      [0x70, 2, this.realTimeClock.ports],
      [0x80, 1, legacy.postCode],
      [0x92, 1, legacy.fastReset],
      [0xa0, 2, this.pics.slave],
      [0x3f8, 8, this.serial],
      [0x4d0, 2, this.pics.edgeLevel],
      [powerManagementPorts.base, powerManagementPorts.count, this.power.ports],
      // Before the ports of PCI, which it lies among.
      [resetRegister.port, 1, legacy.resetControl],
      [0xcf8, 8, this.pci.ports],
    ];
    for (const [first, count, window] of ports) bus.mapPorts(first, count, window);
    bus.mapMemory(ioApicAddress, pageBytes, this.ioApic);
    const { start, end } = pciConfiguration;
    bus.mapMemory(start, end - start, this.pci.configuration);
    this.#devices = [
      this.localApic,
      this.ioApic,
      this.pics,
      this.kvmClock,
      this.timer,
      this.realTimeClock,
      this.power,
      this.serial,
      legacy,
      this.pci,
    ];
  }

  /** In the order in which they are loaded: the clocks come first, since timers are set by them. */
  get parts(): readonly Stateful[] {
    return [this.clock, this.timeStamps, ...this.#devices];
  }

  connect(processor: ProcessorConnection): void {
    this.#processor = processor;
    processor.signals.interruptsChanged();
  }

  /** As after power-on, but for the time, and what the real-time clock's battery keeps. */
  reset(): void {
    this.timeStamps.reset();
    for (const device of this.#devices) device.reset();
  }

  /** An interrupt of the ISA bus is wired to the PICs and, most often by the same number, to the IO-APIC. */
  #isaLine(input: number, pin: number = input): InterruptLine {
    if (input >= isaInputs) throw new RangeError(`no interrupt ${input} on the ISA bus`);
    return fanOut([this.pics.line(input), this.ioApic.line(pin)]);
  }
}
