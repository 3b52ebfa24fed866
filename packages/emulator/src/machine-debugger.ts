/**
 * A whole machine as a debugger's target: its processor's registers, memory through the page tables that are loaded, and
 * breakpoints and watchpoints by guest-virtual address, whatever address space has it.
 */
import {
  type BreakpointKind,
  DebugMemory,
  type DebugTarget,
  readX86Register,
  type StopReason,
  type Watchpoint,
  writeX86Register,
  x86RegisterCount,
  x86TargetDescription,
} from "@doppel/pc-machine";
import type { Machine } from "./machine.ts";

/** Of each kind: enough for anybody, and a bound. */
const MAXIMUM_BREAKPOINTS = 1000;
/** Each access to their pages looks at all of them. */
const MAXIMUM_WATCHPOINTS = 100;
const LONGEST_WATCHED = 65_536;
const CANONICAL = 2n ** 48n;

/** The machine, and what ends it. */
export interface DebuggedMachine {
  readonly machine: Machine;
  readonly kill: () => void;
}

export class MachineDebugger implements DebugTarget {
  readonly description: string = x86TargetDescription;
  readonly registerCount: number = x86RegisterCount;
  onStop: (reason: StopReason) => void = () => {};
  private readonly machine: Machine;
  private readonly memory: DebugMemory;
  readonly kill: () => void;
  /** By address; gdb takes them away whenever it stops, and sets the same again. */
  private readonly wanted = { software: new Set<number>(), hardware: new Set<number>() };

  /** The same of watchpoints, by what they are. */
  private readonly watched: Map<string, Watchpoint> = new Map();

  /** Stops the machine. */
  constructor({ machine, kill }: DebuggedMachine) {
    this.machine = machine;
    this.kill = kill;
    const { processor, ram } = machine.engine;
    this.memory = new DebugMemory(processor.registers, ram);
    machine.onDebugStop = (stop) => {
      processor.stepping = false;
      const { watchHit } = processor;
      if (stop === "watchpoint" && watchHit !== undefined) {
        this.onStop({ kind: watchHit.kind, address: BigInt.asUintN(64, BigInt(watchHit.address)) });
      } else if (stop === "stepped") this.onStop({ kind: "stepped" });
      else this.onStop({ kind: this.kindAt(processor.registers.rip) });
    };
    machine.pause();
  }

  private kindAt(address: number): "software" | "hardware" {
    return this.wanted.hardware.has(address) && !this.wanted.software.has(address) ? "hardware" : "software";
  }

  /** The machine has ended, by itself or not. */
  ended(status: number): void {
    this.onStop({ kind: "exited", status });
  }

  readRegister(index: number): Uint8Array {
    return readX86Register(this.machine.engine.processor.registers, index);
  }

  writeRegister(index: number, value: Uint8Array): boolean {
    const { processor } = this.machine.engine;
    const isWritten = writeX86Register(processor.registers, index, value);
    if (isWritten) {
      processor.modeChanged();
      processor.interruptsChanged();
    }
    return isWritten;
  }

  readMemory(address: bigint, length: number): Uint8Array {
    return this.memory.read(address, length);
  }

  writeMemory(address: bigint, data: Uint8Array): boolean {
    return this.memory.write(address, data);
  }

  setBreakpoint(kind: BreakpointKind, address: bigint, length = 1): boolean {
    const place = canonical(address);
    if (place === undefined) return false;
    if (kind === "software" || kind === "hardware") {
      if (this.wanted[kind].size >= MAXIMUM_BREAKPOINTS) return false;
      this.wanted[kind].add(place);
      return true;
    }
    if (this.watched.size >= MAXIMUM_WATCHPOINTS || length < 1 || length > LONGEST_WATCHED) return false;
    this.watched.set(`${kind} ${place} ${length}`, { kind, address: place, length });
    return true;
  }

  clearBreakpoint(kind: BreakpointKind, address: bigint, length = 1): boolean {
    const place = canonical(address);
    if (place === undefined) return false;
    if (kind === "software" || kind === "hardware") return this.wanted[kind].delete(place);
    return this.watched.delete(`${kind} ${place} ${length}`);
  }

  resume(how: "continue" | "step"): void {
    const { engine } = this.machine;
    engine.processor.stepping = how === "step";
    engine.processor.watch([...this.watched.values()]);
    // A single instruction runs alone, whatever is set.
    if (how === "continue") engine.changeBreakpoints([...this.wanted.software, ...this.wanted.hardware]);
    this.machine.resume();
  }

  interrupt(): void {
    this.machine.pause();
    this.machine.engine.processor.stepping = false;
    this.onStop({ kind: "interrupted" });
  }

  monitor(command: string): string | undefined {
    const [name, argument = ""] = command.split(/\s+/);
    switch (name) {
      case "help":
        return "info                where the processor is\ntranslate ADDRESS   the guest-physical address of a virtual one\n";
      case "info":
        return `${this.machine.engine.processor.describe()}\n`;
      case "translate": {
        if (!/^(0x)?[0-9a-f]{1,16}$/i.test(argument)) return "translate wants an address\n";
        const place = canonical(BigInt(`0x${argument.replace(/^0x/i, "")}`));
        const physical = place === undefined ? -1 : this.memory.physical(place);
        return physical < 0 ? "not mapped\n" : `0x${physical.toString(16)}\n`;
      }
      default:
        return undefined;
    }
  }

  detach(): void {
    const { engine } = this.machine;
    engine.processor.stepping = false;
    this.wanted.software.clear();
    this.wanted.hardware.clear();
    this.watched.clear();
    engine.changeBreakpoints([]);
    engine.processor.watch([]);
    this.machine.onDebugStop = () => {};
    this.machine.resume();
  }
}

/** 64 bits as the number the machine has addresses as; undefined unless it is a canonical one. */
function canonical(address: bigint): number | undefined {
  const signed = BigInt.asIntN(64, address);
  return signed >= -CANONICAL / 2n && signed < CANONICAL / 2n ? Number(signed) : undefined;
}
