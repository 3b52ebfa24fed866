/** The invented instruction set, one instruction at a time: what the engine must be indistinguishable from. */
import { EngineExit, FAULT_NON_CANONICAL } from "@doppel/dbt-core";
import { Code, Exit, INSTRUCTION_BYTES } from "./toy-frontend.ts";
import { Fault } from "./toy-machine.ts";

const PAGE_BYTES = 4096n;
const ADDRESS_LIMIT = 1n << 47n;

export interface ReferenceMapping {
  readonly page: number;
  readonly rights: string;
}

/** Why it stopped, in the engine's words. */
export interface Stop {
  readonly code: number;
  readonly detail: string;
}

export class ToyInterpreter {
  readonly registers: bigint[] = Array.from({ length: 8 }, () => 0n);
  readonly mappings: Map<bigint, ReferenceMapping> = new Map();
  pc = 0n;
  mode = 0;
  steps = 0;
  private readonly memory: Uint8Array;
  private readonly service: (code: number) => boolean;

  /** `memory`: physical, shared by all; `service`: does `svc`, and says whether to leave. */
  constructor(memory: Uint8Array, service: (code: number) => boolean) {
    this.memory = memory;
    this.service = service;
  }

  /** Physical place of an address, or a negative fault. */
  private place(address: bigint, right: string): number {
    if (address >= ADDRESS_LIMIT) return FAULT_NON_CANONICAL;
    const mapping = this.mappings.get(address / PAGE_BYTES);
    if (mapping === undefined) return Fault.unmapped;
    if (right !== "r" && !mapping.rights.includes(right)) return Fault.protection;
    return mapping.page * 4096 + Number(address % PAGE_BYTES);
  }

  private places(address: bigint, size: number, right: string): number[] | Stop {
    const places: number[] = [];
    for (let index = 0n; index < size; index++) {
      const at = BigInt.asUintN(64, address + index);
      const place = this.place(at, right);
      if (place < 0)
        return { code: EngineExit.pageFault, detail: `${at.toString(16)} ${"rwx".indexOf(right)} ${place}` };
      places.push(place);
    }
    return places;
  }

  private read(address: bigint, size: number, right = "r"): bigint | Stop {
    const places = this.places(address, size, right);
    return Array.isArray(places)
      ? places.reduceRight((sum, place) => (sum << 8n) | BigInt(this.memory[place]), 0n)
      : places;
  }

  private write(address: bigint, size: number, value: bigint): Stop | undefined {
    const places = this.places(address, size, "w");
    if (!Array.isArray(places)) return places;
    places.forEach((place, index) => (this.memory[place] = Number((value >> BigInt(8 * index)) & 0xffn)));
    return undefined;
  }

  private get(register: number): bigint {
    return this.registers[register & 7];
  }
  private set(register: number, value: bigint): void {
    this.registers[register & 7] = BigInt.asIntN(64, value);
  }
  private address(register: number): bigint {
    return BigInt.asUintN(64, this.get(register));
  }

  /** Runs to the next stop; undefined when that takes more than so many steps. */
  run(limit: number): Stop | undefined {
    for (let left = limit; left > 0; left--) {
      this.steps++;
      const stop = this.step();
      if (stop !== undefined) return stop;
    }
    return undefined;
  }

  private step(): Stop | undefined {
    const fetched = this.read(this.pc, INSTRUCTION_BYTES, "x");
    if (typeof fetched === "object") return fetched;
    const code = Number(fetched & 0xffn);
    const register = Number((fetched >> 8n) & 7n);
    const operand = Number(BigInt.asIntN(8, fetched >> 16n));
    const next = this.pc + BigInt(INSTRUCTION_BYTES);
    const target = BigInt.asUintN(64, next + BigInt(operand * INSTRUCTION_BYTES));
    let goTo = next;
    /** Gives a register what is at an address, unless that faults. */
    const load = (address: bigint, size: number, then: () => void = () => {}): Stop | undefined => {
      const value = this.read(address, size);
      if (typeof value === "object") return value;
      then();
      this.set(register, value);
      return undefined;
    };
    let stop: Stop | undefined;
    switch (code) {
      case Code.halt:
        return { code: Exit.halt, detail: "" };
      case Code.li:
        this.set(register, BigInt(operand));
        break;
      case Code.add:
        this.set(register, this.get(register) + this.get(operand));
        break;
      case Code.sub:
        this.set(register, this.get(register) - this.get(operand));
        break;
      case Code.mode:
        this.set(register, BigInt(this.mode));
        break;
      case Code.addi:
        this.set(register, this.get(register) + BigInt(operand));
        break;
      case Code.mov:
        this.set(register, this.get(operand));
        break;
      case Code.load:
        stop = load(this.address(operand), 8);
        break;
      case Code.loadb:
        stop = load(this.address(operand), 1);
        break;
      case Code.loadi:
        stop = load(this.address(operand), 8, () => this.set(operand, this.get(operand) + 8n));
        break;
      case Code.pop:
        stop = load(this.address(6), 8, () => this.set(6, this.get(6) + 8n));
        break;
      case Code.store:
        stop = this.write(this.address(register), 8, this.get(operand));
        break;
      case Code.storeb:
        stop = this.write(this.address(register), 1, this.get(operand));
        break;
      case Code.push: {
        const value = register === 6 ? this.get(6) - 8n : this.get(register);
        stop = this.write(BigInt.asUintN(64, this.get(6) - 8n), 8, value);
        if (stop === undefined) this.set(6, this.get(6) - 8n);
        break;
      }
      case Code.fill:
        if (this.get(register) === 0n) break;
        stop = this.write(this.address(5), 8, this.get(operand));
        if (stop !== undefined) break;
        this.set(5, this.get(5) + 8n);
        this.set(register, this.get(register) - 1n);
        goTo = this.pc;
        break;
      case Code.trap:
        if (this.get(register) !== 0n) return { code: Exit.trap, detail: `${operand}` };
        break;
      case Code.pc:
        this.set(register, next + BigInt(operand));
        break;
      case Code.bnez:
        if (this.get(register) !== 0n) goTo = target;
        break;
      case Code.jmp:
        goTo = target;
        break;
      case Code.jr:
        goTo = this.address(operand);
        break;
      case Code.call:
        this.set(7, next);
        goTo = target;
        break;
      case Code.callr:
        goTo = this.address(operand);
        this.set(7, next);
        break;
      case Code.ret:
        goTo = this.address(7);
        break;
      case Code.svc:
        this.pc = next;
        return this.service(operand) ? { code: EngineExit.service, detail: `${operand}` } : undefined;
      default:
        return { code: Exit.undefined, detail: "" };
    }
    if (stop === undefined) this.pc = goTo;
    return stop;
  }
}
