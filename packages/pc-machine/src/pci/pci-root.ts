/**
 * The root of the PCI bus: 32 slots behind configuration mechanism #1 (PCI Local Bus 3.0, 3.2.2.3.2) and in memory (the
 * enhanced mechanism of PCI Express 5.0, 7.2.2), a host bridge in the first, and interrupt pins that share inputs of the
 * IO-APIC.
 */

import { pciInterrupt, pciMemory, pciPorts } from "../platform/memory-map.ts";
import { SharedLine } from "../platform/interrupt-lines.ts";
import type { Bus, Device, InterruptLine, MessageInterrupts, RegisterWindow, StateRecord } from "../ports.ts";
import { RecordReader } from "../snapshot/record-reader.ts";
import { Command, ConfigurationOffset, PciFunction } from "./pci-device.ts";
import type { PciConfiguration, PciSlot } from "./pci-device.ts";

const slots = 32;
const enabled = 0x8000_0000;
const dataOffset = 4;
const addressBits = 0x80ff_fffc;
const functionsOfSlot = 8;
const functionBytes = 4096;
const configurationBytes = 256;

export interface PciRootConnections {
  readonly bus: Bus;
  readonly messages: MessageInterrupts;
  /** An input of the IO-APIC. */
  readonly input: (pin: number) => InterruptLine;
}

export class PciRoot implements Device {
  readonly id = "pci";
  readonly version = 1;
  readonly #to: PciRootConnections;
  readonly #functions: (PciConfiguration | undefined)[] = Array.from({ length: slots });
  readonly #lines = new Map<number, SharedLine>();
  readonly #hostBridge: PciFunction;
  #address = 0;

  /** Ports 0xcf8 to 0xcff. */
  readonly ports: RegisterWindow = {
    read: (offset, size) => {
      if (offset < dataOffset) return offset === 0 && size === 4 ? this.#address : allOnes(size);
      const target = this.#target();
      if (target === undefined) return allOnes(size);
      return target.readConfiguration((this.#address & 0xfc) + offset - dataOffset, size);
    },
    write: (offset, size, value) => {
      if (offset >= dataOffset) {
        this.#target()?.writeConfiguration((this.#address & 0xfc) + offset - dataOffset, size, value);
      } else if (offset === 0 && size === 4) this.#address = (value & addressBits) >>> 0;
    },
  };

  /** Configuration space in memory: 4 KiB for each of a slot's eight functions, of which there is one. */
  readonly configuration: RegisterWindow = {
    read: (offset, size) => {
      const target = this.#targetAt(offset);
      if (target === undefined) return allOnes(size);
      const register = offset % functionBytes;
      // Behind the first 256 bytes are extended capabilities: none.
      return register < configurationBytes ? target.readConfiguration(register, size) : 0;
    },
    write: (offset, size, value) => {
      const register = offset % functionBytes;
      if (register < configurationBytes) this.#targetAt(offset)?.writeConfiguration(register, size, value);
    },
  };

  #targetAt(offset: number): PciConfiguration | undefined {
    const number = Math.floor(offset / functionBytes);
    return number % functionsOfSlot === 0 ? this.#functions[number / functionsOfSlot] : undefined;
  }

  constructor(connections: PciRootConnections) {
    this.#to = connections;
    // A bridge without registers of its own, as emulators have.
    this.#hostBridge = new PciFunction(this.slot(0), { vendorId: 0x1b36, deviceId: 0x0008, classCode: 0x060000 });
  }

  /** A free slot: 1 to 31. What is made from it is on the bus. */
  slot(number: number): PciSlot {
    if (!Number.isInteger(number) || number < 0 || number >= slots || this.#functions[number] !== undefined) {
      throw new RangeError(`PCI slot ${number} does not exist or is taken`);
    }
    const { bus, messages } = this.#to;
    return {
      number,
      bus,
      messages,
      line: this.#shared(pciInterrupt(number)).source(),
      attach: (configuration) => {
        if (this.#functions[number] !== undefined) throw new RangeError(`PCI slot ${number} is taken`);
        this.#functions[number] = configuration;
      },
    };
  }

  /** The lowest slot that is free; undefined when none is. */
  freeSlot(): PciSlot | undefined {
    const number = this.#functions.indexOf(undefined);
    return number < 0 ? undefined : this.slot(number);
  }

  /**
   * What firmware does before it starts a system: gives every base address register its place, switches decoding on,
   * and notes the interrupt input. Largest first, so that nothing is lost to alignment.
   *
   * @throws RangeError when the registers do not fit
   */
  assignResources(): void {
    const wanted = this.#functions.flatMap((target) => (target === undefined ? [] : unplaced(target)));
    const next = { io: pciPorts.start, memory: pciMemory.start };
    for (const { target, offset, space, bytes, isWide } of wanted.sort((left, right) => right.bytes - left.bytes)) {
      const address = Math.ceil(next[space] / bytes) * bytes;
      next[space] = address + bytes;
      const end = space === "io" ? pciPorts.end : pciMemory.end;
      if (next[space] > end) throw new RangeError("the PCI devices need more address space than there is");
      target.writeConfiguration(offset, 4, address);
      if (isWide) target.writeConfiguration(offset + 4, 4, 0);
    }
    for (const [number, target] of this.#functions.entries()) {
      if (target === undefined) continue;
      const command = target.readConfiguration(ConfigurationOffset.command, 2);
      target.writeConfiguration(ConfigurationOffset.command, 2, command | Command.ioSpace | Command.memorySpace);
      if (target.readConfiguration(ConfigurationOffset.interruptPin, 1) !== 0) {
        target.writeConfiguration(ConfigurationOffset.interruptLine, 1, pciInterrupt(number));
      }
    }
  }

  /** The devices on the bus are reset, and saved, by themselves. */
  reset(): void {
    this.#address = 0;
    this.#hostBridge.reset();
  }

  save(): StateRecord {
    return { address: this.#address, hostBridge: this.#hostBridge.save() };
  }

  load(record: StateRecord, version: number): void {
    const reader = new RecordReader(this.id, record, { found: version, known: this.version });
    this.#address = reader.integer("address", 0, 0xffff_ffff);
    this.#hostBridge.load(reader.plain("hostBridge"), this.#hostBridge.version);
  }

  /** Only bus 0, and only functions 0. */
  #target(): PciConfiguration | undefined {
    if (this.#address < enabled || (this.#address & 0x00ff_0700) !== 0) return undefined;
    return this.#functions[(this.#address >>> 11) & 31];
  }

  #shared(pin: number): SharedLine {
    let line = this.#lines.get(pin);
    if (line === undefined) {
      line = new SharedLine(this.#to.input(pin));
      this.#lines.set(pin, line);
    }
    return line;
  }
}

interface Wanted {
  readonly target: PciConfiguration;
  readonly offset: number;
  readonly space: "io" | "memory";
  readonly bytes: number;
  readonly isWide: boolean;
}

/** The base address registers of a function, found as firmware finds them: by what stays of all ones. */
function unplaced(target: PciConfiguration): Wanted[] {
  const found: Wanted[] = [];
  for (let index = 0; index < 6; index++) {
    const offset = ConfigurationOffset.bar0 + 4 * index;
    target.writeConfiguration(offset, 4, 0xffff_ffff);
    const mask = target.readConfiguration(offset, 4);
    target.writeConfiguration(offset, 4, 0);
    if (mask === 0) continue;
    const isIo = (mask & 1) !== 0;
    const isWide = !isIo && (mask & 6) === 4;
    const bytes = (~(mask & (isIo ? ~3 : ~15)) >>> 0) + 1;
    found.push({ target, offset, space: isIo ? "io" : "memory", bytes, isWide });
    if (isWide) index++;
  }
  return found;
}

function allOnes(size: number): number {
  return size === 4 ? 0xffff_ffff : size === 2 ? 0xffff : 0xff;
}
