/**
 * What a binding is made of: a guest function's name and prototype, and the native function that is its twin.
 *
 * A twin that calls nobody is a plain function. One that calls guest functions (a comparator, an allocator) may be left
 * for good while it waits, entered again, copied by fork, saved in a checkpoint; so between calls its state is plain
 * data, kept with the address of its frame on the guest's stack, and each result resumes it for one more step.
 */
import { type Abi, type CType, PrototypeError } from "./c-types.ts";
import type { CodeSignature } from "./code-signature.ts";
import type { GuestMemory } from "./guest-memory.ts";
import type { WasmTwinName } from "./wasm/twins.ts";
import type { CallSite, Prototype, Values, VariableArguments } from "./prototype.ts";

/** A twin's answer when it leaves a call to the guest's own function, having changed nothing. */
export const DECLINED: unique symbol = Symbol("declined");
export type Declined = typeof DECLINED;

/** What a twin has at hand besides its arguments. */
export interface NativeCall {
  readonly memory: GuestMemory;
  readonly abi: Abi;
  /** Takes from the thread's time slice: one unit for about a kilobyte of work, so that others get their turn. */
  readonly spend: (units: number) => void;
  /** The arguments for `...`. */
  readonly variable: () => VariableArguments;
}

/** Where a guest function's name is looked for. */
export interface LibrarySymbol {
  /** The shared object's DT_SONAME. Absent: any file that defines the symbol, programs among them. */
  readonly library?: string;
  readonly name: string;
  /** One version of the symbol, as in `memcpy@GLIBC_2.14`; absent: all versions. */
  readonly version?: string;
  /** Symbols that tell that a static program contains this library. Absent: its symbols are not looked for there. */
  readonly staticMarkers?: readonly string[];
}

/** Another function that a resumable twin calls. */
export interface Callee {
  readonly prototype: Prototype<unknown, readonly CType<unknown>[]>;
  /** What is called where no address is given and no bind point names a guest function. */
  readonly native?: (call: NativeCall, ...values: never[]) => unknown;
}
export type Callees = Readonly<Record<string, Callee>>;

/** One after the other; how many there are is checked when it is called. */
type ArgumentsOf<C extends Callee> =
  C["prototype"] extends Prototype<unknown, infer P extends readonly CType<unknown>[]>
    ? readonly Values<P>[number][]
    : never;
type ResultOf<C extends Callee> = C["prototype"] extends Prototype<infer R, readonly CType<unknown>[]> ? R : never;

/** Calls another function; its result resumes the twin with this state. */
export type CallStep<S, C extends Callees> = {
  readonly [K in keyof C & string]: {
    readonly call: K;
    /** A guest function. Absent: the native one, or its stand-in. */
    readonly address?: number;
    readonly values: ArgumentsOf<C[K]>;
    readonly state: S;
  };
}[keyof C & string];

export type Step<S, R, C extends Callees> = CallStep<S, C> | { readonly returns: R };

/**
 * A bind point: what a native function's call goes to instead. Structs and pointers are the guest's either way, so a
 * guest function can stand in for any native one that has its prototype.
 */
export interface BindPoint {
  /** `function.callee`, as in `strdup.allocate`. */
  readonly native: string;
  readonly guest: LibrarySymbol;
}

interface Description<R, P extends readonly CType<unknown>[]> {
  /** What users call the binding. */
  readonly name: string;
  readonly prototype: Prototype<R, P>;
  readonly symbols?: readonly LibrarySymbol[];
  /** Code that is this function wherever it is found. */
  readonly signatures?: readonly CodeSignature[];
  /** Not worth a call, unless this parameter (from 0; an integer in a register) is at least so much. */
  readonly atLeast?: { readonly parameter: number; readonly value: number };
  /** Calls are first tried by this function in WebAssembly (amd64). */
  readonly wasm?: WasmTwinName;
}

/** A binding, whatever its types: what an engine works with. */
export interface NativeFunction extends Description<unknown, readonly CType<unknown>[]> {
  readonly callees: Callees | undefined;
  fits(abi: Abi): boolean;
  start(site: CallSite, call: NativeCall): ErasedStep | Declined;
  resume(call: NativeCall, state: unknown, result: unknown): ErasedStep;
}

export type ErasedStep =
  | { readonly returns: unknown }
  /** The guest's own function is called, with the arguments as they are. */
  | { readonly original: true }
  | {
      readonly call: string;
      readonly address?: number;
      readonly values: readonly unknown[];
      readonly state: unknown;
    };

const NAME = /^[A-Za-z_][\w.]*$/;

function check({ name, prototype, atLeast }: Description<unknown, readonly CType<unknown>[]>): void {
  if (!NAME.test(name) || ["all", "none", "list"].includes(name))
    throw new PrototypeError(`${JSON.stringify(name)} cannot be a binding's name`);
  if (atLeast !== undefined && prototype.registerOf(atLeast.parameter) === undefined)
    throw new PrototypeError(
      `${name}: parameter ${atLeast.parameter + 1} of ${prototype.toString()} is in no register`,
    );
  if (atLeast !== undefined && !(atLeast.value >= 0 && atLeast.value < 2 ** 31))
    throw new PrototypeError(`${name}: a threshold of ${atLeast.value}; it must be below 2 ** 31`);
}

/** A twin that calls no other function. */
export function nativeFunction<R, const P extends readonly CType<unknown>[]>(
  description: Description<R, P> & {
    /** Throws `GuestFault` by touching what the guest may not: its page fault, and then the whole call again. */
    readonly run: (call: NativeCall, ...values: Values<P>) => R | Declined;
  },
): NativeFunction {
  check(description);
  const { prototype, run } = description;
  return {
    ...description,
    callees: undefined,
    fits: (abi) => prototype.fits(abi),
    start: (site, call) => {
      const result = run(call, ...prototype.readArguments(site));
      return result === DECLINED ? DECLINED : { returns: result };
    },
    resume: () => {
      throw new Error(`${description.name} calls nobody`);
    },
  };
}

/** A twin that calls guest functions (amd64 only). `S` is its state: plain data, as `structuredClone` takes it. */
export function resumableFunction<S, R, const P extends readonly CType<unknown>[], const C extends Callees>(
  description: Description<R, P> & {
    readonly callees: C;
    readonly start: (call: NativeCall, ...values: Values<P>) => Step<S, R, C> | Declined;
    /** One step more. It may change `state`, but last: a step that faults is taken again from its start. */
    readonly resume: (call: NativeCall, state: S, result: ResultOf<C[keyof C & string]>) => Step<S, R, C>;
  },
): NativeFunction {
  check(description);
  const { prototype, callees, start, resume } = description;
  for (const callee of Object.values(callees)) callee.prototype.checkCallable();
  return {
    ...description,
    callees,
    fits: (abi) => abi === "amd64",
    start: (site, call) => start(call, ...prototype.readArguments(site)),
    resume: (call, state, result) => resume(call, state as S, result as ResultOf<C[keyof C & string]>),
  };
}

/** Looks at what a guest function returns, and may return something else: the function itself runs as it is. */
export function observedFunction<R, const P extends readonly CType<unknown>[]>(
  description: Description<R, P> & { readonly after: (call: NativeCall, result: R) => R },
): NativeFunction {
  check(description);
  const { prototype, after } = description;
  prototype.checkCallable();
  return {
    ...description,
    callees: {},
    fits: (abi) => abi === "amd64",
    start: () => ({ original: true }),
    resume: (call, _state, result) => ({ returns: after(call, result as R) }),
  };
}
