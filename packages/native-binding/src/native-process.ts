/**
 * Calls of native twins in one address space: arguments in, result out, guest functions called in between.
 */
import { type Abi, PrototypeError } from "./c-types.ts";
import { GuestMemory, type GuestMemoryPort } from "./guest-memory.ts";
import {
  type BindPoint,
  DECLINED,
  type ErasedStep,
  type LibrarySymbol,
  type NativeCall,
  type NativeFunction,
} from "./native-function.ts";
import { type NativeFrame, NativeFrames } from "./native-frames.ts";
import { type CallSite, type RegistersPort, RSP, stackPointer, type VariableArguments } from "./prototype.ts";

const TWO_32 = 2 ** 32;
/** What a frame waits for when that is the guest's own function; no callee has this name. */
const ORIGINAL = "";

/** What is to happen next in the guest. */
export const Outcome = {
  /** The guest's own function runs. */
  guest: 0,
  /** The result is where the caller looks for it; the stack pointer is at the return address, which is to be popped. */
  returned: 1,
  /** The guest function at `target` is to be called; its arguments and its return address are in place. */
  call: 2,
} as const;
export type Outcome = (typeof Outcome)[keyof typeof Outcome];

/** The thread that calls, and the process it is in. */
export interface ProcessPort extends GuestMemoryPort {
  readonly registers: RegistersPort;
  readonly abi: Abi;
  spend(units: number): void;
  /** The address of a guest function in this process, or undefined where it has none. */
  resolve(symbol: LibrarySymbol): number | undefined;
}

/** Calls of one binding so far. */
export interface BindingStatistics {
  calls: number;
  /** Left to the guest's own function. */
  declined: number;
  /** Guest functions called by it. */
  callbacks: number;
}

export interface BindingSet {
  readonly functions: ReadonlyMap<string, NativeFunction>;
  readonly bindPoints: readonly BindPoint[];
  statistics(name: string): BindingStatistics;
}

export class NativeProcess implements CallSite, NativeCall {
  readonly memory: GuestMemory;
  readonly frames: NativeFrames;
  /** After `Outcome.call`: the address of the guest function. */
  target = 0;
  private readonly port: ProcessPort;
  private readonly set: BindingSet;
  private current: NativeFunction | undefined;

  constructor(port: ProcessPort, set: BindingSet, frames: NativeFrames = new NativeFrames()) {
    this.port = port;
    this.set = set;
    this.memory = new GuestMemory(port);
    this.frames = frames;
  }

  get abi(): Abi {
    return this.port.abi;
  }
  get registers(): RegistersPort {
    return this.port.registers;
  }
  // Twins take these out of the call they are given.
  readonly spend = (units: number): void => this.port.spend(units);
  readonly variable = (): VariableArguments => {
    const { prototype, name } = this.current!;
    if (!prototype.variadic) throw new PrototypeError(`${name} is not declared variadic: ${prototype.toString()}`);
    return prototype.variableArguments(this);
  };

  /**
   * The guest has called `binding`. Throws `GuestFault` with the call not begun, or where a bad pointer was found.
   * @param resumeAddress where guest functions are to return to; what is there must end in `resume`
   */
  call(binding: NativeFunction, resumeAddress: number): Outcome {
    this.current = binding;
    const step = binding.start(this, this);
    const statistics = this.set.statistics(binding.name);
    if (step === DECLINED || !this.canFollow(binding, step)) {
      statistics.declined++;
      return Outcome.guest;
    }
    const stack = stackPointer(this);
    const outcome = this.follow(binding, step, stack, resumeAddress);
    statistics.calls++;
    return outcome;
  }

  /** A guest function has returned to `resumeAddress`. `Outcome.guest` when no native frame waits for it there. */
  resume(resumeAddress: number): Outcome {
    const stack = stackPointer(this) + 8;
    const frame = this.frames.get(stack);
    if (frame === undefined || frame.resumeAddress !== resumeAddress) return Outcome.guest;
    if (this.memory.word(stack - 8) !== resumeAddress) return Outcome.guest;
    const binding = this.set.functions.get(frame.name);
    if (binding === undefined) return Outcome.guest;
    this.current = binding;
    const { prototype } = frame.callee === ORIGINAL ? binding : binding.callees![frame.callee];
    const result = prototype.readResult(this);
    return this.follow(binding, binding.resume(this, frame.state, result), stack, resumeAddress);
  }

  /** Whether there is anybody to call. */
  private canFollow(binding: NativeFunction, step: ErasedStep): boolean {
    if (!("call" in step) || step.address !== undefined || binding.callees?.[step.call]?.native !== undefined)
      return true;
    return this.standIn(`${binding.name}.${step.call}`) !== undefined;
  }

  private follow(binding: NativeFunction, first: ErasedStep, stack: number, resumeAddress: number): Outcome {
    let step = first;
    for (;;) {
      if ("returns" in step) {
        binding.prototype.writeResult(this, step.returns);
        this.setStackPointer(stack);
        this.frames.delete(stack);
        return Outcome.returned;
      }
      if ("original" in step) {
        this.pushFrame(stack, { name: binding.name, callee: ORIGINAL, resumeAddress, state: null });
        return Outcome.guest;
      }
      const callee = binding.callees?.[step.call];
      if (callee === undefined) throw new PrototypeError(`${binding.name} declares no callee ${step.call}`);
      const address = step.address ?? this.standIn(`${binding.name}.${step.call}`);
      if (address !== undefined) {
        const { call, state, values } = step;
        this.pushFrame(stack, { name: binding.name, callee: call, resumeAddress, state });
        callee.prototype.writeArguments(this, values);
        this.set.statistics(binding.name).callbacks++;
        this.target = address;
        return Outcome.call;
      }
      if (callee.native === undefined)
        throw new PrototypeError(`${binding.name}.${step.call} is given no address, and no bind point names one`);
      step = binding.resume(this, step.state, callee.native(this, ...(step.values as never[])));
    }
  }

  /** Where the stack ends, this faults, and nothing has happened. */
  private pushFrame(stack: number, frame: NativeFrame): void {
    this.memory.setWord(stack - 8, frame.resumeAddress);
    this.memory.setWord(stack - 16, frame.resumeAddress);
    this.setStackPointer(stack - 16);
    this.frames.set(stack, frame, this.memory);
  }

  private standIn(native: string): number | undefined {
    const point = this.set.bindPoints.find((candidate) => candidate.native === native);
    return point === undefined ? undefined : this.port.resolve(point.guest);
  }

  private setStackPointer(value: number): void {
    this.registers.set(RSP, value | 0, Math.floor(value / TWO_32) | 0);
  }
}
