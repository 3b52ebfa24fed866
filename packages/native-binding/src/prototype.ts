/**
 * Prototypes, and the adapters that follow from them: where each parameter and the result are when control reaches a
 * function (System V AMD64 ABI 3.2.3; System V i386 ABI 2.2.3, cdecl).
 *
 * ```text
 *             integers, pointers            float, double       further                result
 *   amd64     RDI RSI RDX RCX R8 R9         XMM0 .. XMM7        stack, 8 bytes each    RAX or XMM0
 *   i386      stack, 4 bytes each, 8 for long long and double                          EAX, EDX:EAX
 * ```
 */
import { type Abi, type CType, PrototypeError } from "./c-types.ts";
import type { GuestMemory } from "./guest-memory.ts";

/** A guest thread's registers. General registers have the numbers of the instruction set. */
export interface RegistersPort {
  low(register: number): number;
  high(register: number): number;
  set(register: number, low: number, high: number): void;
  /** Word n (0 is lowest) of an XMM register. */
  vectorWord(register: number, word: number): number;
  setVectorWord(register: number, word: number, value: number): void;
}

export const RAX = 0;
export const RDX = 2;
export const RSP = 4;
const INTEGER_REGISTERS: readonly number[] = [7, 6, 2, 1, 8, 9];
const VECTOR_REGISTERS = 8;
const TWO_32 = 2 ** 32;

/** A thread that is at a function's first instruction. */
export interface CallSite {
  readonly abi: Abi;
  readonly registers: RegistersPort;
  readonly memory: GuestMemory;
}

export type Values<P extends readonly CType<unknown>[]> = {
  readonly [K in keyof P]: P[K] extends CType<infer T> ? T : never;
};

/** Reads the arguments behind the declared ones, in order, each by the type it was passed as. */
export interface VariableArguments {
  next<T>(type: CType<T>): T;
}

/** A register's index in its list, or a distance in bytes from the stack pointer. */
interface Place {
  readonly in: "integer" | "vector" | "stack";
  readonly at: number;
}

/** Gives each parameter its place, in order. */
class PlaceAssigner {
  private integers = 0;
  private vectors = 0;
  /** From the stack pointer at the function's entry: the return address is lowest. */
  private offset: number;
  private readonly abi: Abi;

  constructor(abi: Abi) {
    this.abi = abi;
    this.offset = abi === "amd64" ? 8 : 4;
  }

  place(type: CType<unknown>): Place {
    const { abi } = this;
    if (abi === "amd64") {
      if (type.kind === "float" && this.vectors < VECTOR_REGISTERS) return { in: "vector", at: this.vectors++ };
      if (type.kind === "integer" && this.integers < INTEGER_REGISTERS.length)
        return { in: "integer", at: this.integers++ };
    }
    const at = this.offset;
    this.offset += abi === "amd64" ? 8 : Math.max(4, type.bytes(abi));
    return { in: "stack", at };
  }
}

function readPlace<T>(site: CallSite, type: CType<T>, place: Place): T {
  const { registers, memory, abi } = site;
  if (place.in === "integer") {
    const register = INTEGER_REGISTERS[place.at];
    return type.decode(registers.low(register), registers.high(register), abi, memory);
  }
  if (place.in === "vector")
    return type.decode(registers.vectorWord(place.at, 0), registers.vectorWord(place.at, 1), abi, memory);
  return memory.read(type, stackPointer(site) + place.at, abi);
}

export function stackPointer({ registers, abi }: CallSite): number {
  return (abi === "amd64" ? (registers.high(RSP) >>> 0) * TWO_32 : 0) + (registers.low(RSP) >>> 0);
}

export class Prototype<R, P extends readonly CType<unknown>[]> {
  readonly result: CType<R>;
  readonly parameters: P;
  readonly variadic: boolean;
  private readonly places: Readonly<Record<Abi, readonly Place[]>>;

  constructor(result: CType<R>, parameters: P, variadic: boolean) {
    parameters.forEach((type, index) => {
      if (type?.kind !== "integer" && type?.kind !== "float")
        throw new PrototypeError(
          `parameter ${index + 1} is ${type?.name ?? "no type"}, which nothing can be passed as`,
        );
    });
    if (result?.kind === undefined) throw new PrototypeError("the result is no type");
    if (variadic && parameters.length === 0) throw new PrototypeError("`...` needs a parameter before it (C17 6.7.6)");
    this.result = result;
    this.parameters = parameters;
    this.variadic = variadic;
    const assign = (abi: Abi): Place[] => {
      const assigner = new PlaceAssigner(abi);
      return parameters.map((type) => assigner.place(type));
    };
    this.places = { amd64: assign("amd64"), i386: assign("i386") };
  }

  /** As C would say it. */
  toString(): string {
    const list = [...this.parameters.map(({ name }) => name), ...(this.variadic ? ["..."] : [])];
    return `${this.result.name} (${list.join(", ") || "void"})`;
  }

  /** Whether there are adapters for it: i386 returns floating point in x87 registers, which there are none for. */
  fits(abi: Abi): boolean {
    return abi === "amd64" || this.result.kind !== "float";
  }

  /** The register parameter n is in (amd64), or undefined. */
  registerOf(parameter: number): number | undefined {
    const place = this.places.amd64[parameter];
    return place?.in === "integer" ? INTEGER_REGISTERS[place.at] : undefined;
  }

  readArguments(site: CallSite): Values<P> {
    const places = this.places[site.abi];
    return this.parameters.map((type, index) => readPlace(site, type, places[index])) as unknown as Values<P>;
  }

  variableArguments(site: CallSite): VariableArguments {
    const assigner = new PlaceAssigner(site.abi);
    for (const type of this.parameters) assigner.place(type);
    return { next: (type) => readPlace(site, type, assigner.place(type)) };
  }

  writeResult({ registers, abi }: CallSite, value: R): void {
    const { result } = this;
    if (result.kind === "void") return;
    const { low, high } = result.encode(value, abi);
    if (result.kind === "float") {
      registers.setVectorWord(0, 0, low);
      if (result.bytes(abi) === 8) registers.setVectorWord(0, 1, high);
    } else if (abi === "amd64") {
      // Above the result's width the register is anybody's: what `mov eax` would leave.
      registers.set(RAX, low, result.bytes(abi) === 8 ? high : 0);
    } else {
      registers.set(RAX, low, 0);
      if (result.bytes(abi) === 8) registers.set(RDX, high, 0);
    }
  }

  // The other way: a native function calls a guest function.

  /** Puts the arguments of a call where the callee looks for them; amd64 only, and registers only (`checkCallable`). */
  writeArguments({ registers, abi }: CallSite, values: readonly unknown[]): void {
    if (values.length !== this.parameters.length)
      throw new PrototypeError(`${this.toString()} is called with ${values.length} arguments`);
    this.places.amd64.forEach((place, index) => {
      const { low, high } = this.parameters[index].encode(values[index], abi);
      if (place.in === "vector") {
        registers.setVectorWord(place.at, 0, low);
        registers.setVectorWord(place.at, 1, high);
      } else if (place.in === "integer") {
        registers.set(INTEGER_REGISTERS[place.at], low, high);
      }
    });
    // A variadic callee is told in AL how many vector registers are used, at most.
    if (this.variadic) registers.set(RAX, VECTOR_REGISTERS, 0);
  }

  readResult({ registers, memory, abi }: CallSite): R {
    const { result } = this;
    if (result.kind === "float")
      return result.decode(registers.vectorWord(0, 0), registers.vectorWord(0, 1), abi, memory);
    return result.decode(registers.low(RAX), registers.high(RAX), abi, memory);
  }

  /** Throws unless native functions can call it: every argument in a register. */
  checkCallable(): this {
    if (this.places.amd64.some((place) => place.in === "stack"))
      throw new PrototypeError(`${this.toString()} passes arguments on the stack: native functions cannot call it`);
    return this;
  }
}

/** `result (parameters)`; a wrong one is a `PrototypeError` at once. */
export function prototype<R, const P extends readonly CType<unknown>[]>(
  result: CType<R>,
  parameters: P,
  options: { readonly variadic?: boolean } = {},
): Prototype<R, P> {
  return new Prototype(result, parameters, options.variadic ?? false);
}
