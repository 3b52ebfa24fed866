/**
 * Native twins in the composition: finds the functions that have one in what a process maps, puts entry code ahead of
 * them, and runs the twin when translated code gets there.
 *
 * ```text
 *   region begins at an address ──> which file, which offset ──> symbol, resolver's choice   ┐
 *                              └──> the bytes themselves ──────> signature                    ├─> entry code
 *                                                                                             ┘
 *   helper "native" ──> NativeProcess of the address space ──> twin ──> return, or call of a guest function
 * ```
 * What is bound follows from bytes in physical memory, so the fragment is everybody's who maps them; a store to them, or
 * another page in their place, ends the binding as it ends any translation.
 */
import { type CodeLayout, type Context, type EntryCode, Header } from "@doppel/dbt-core";
import { PAGE_BYTES, type PhysicalMemory } from "@doppel/guard-memory";
import {
  ExitCode,
  ModeBit,
  NATIVE_RESULT,
  nativeEntry,
  nativeTwinName,
  NativePhase,
  StateOffset,
  Vector,
  VECTOR_STRIDE,
  type X86Frontend,
} from "@doppel/guest-x86";
import type { AddressSpacePort, FileContents } from "@doppel/linux-user";
import {
  type BindingSet,
  type BindingStatistics,
  type BindPoint,
  C,
  type ElfFunction,
  type ElfFunctions,
  GuestFault,
  type LibrarySymbol,
  type NativeFunction,
  NativeFrames,
  NativeProcess,
  observedFunction,
  Outcome,
  prototype,
  readElfFunctions,
  type RegistersPort,
  SignatureIndex,
  wasmTwinModule,
  wasmTwinNames,
} from "@doppel/native-binding";

const TWO_32 = 2 ** 32;
const RSP = 4;
const R11 = 11;
/** Return addresses of a twin's callees are inside the function's first instruction. */
const RESUME_DISTANCE = 1;
/** What is guarded of a function whose size nobody knows, beside what is translated of it; and at most. */
const UNKNOWN_SIZE = 64;
const LARGEST_SIZE = 16 * 1024;

export interface NativeOptions {
  readonly functions: readonly NativeFunction[];
  readonly bindPoints?: readonly BindPoint[];
  /** Twins in WebAssembly are for functions that have been called often; default: from the first call. */
  readonly whenHot?: boolean;
  /** A twin threw what is no fault of the guest's; the guest gets SIGILL at the function. */
  readonly failed?: (binding: string, error: unknown) => void;
}

/** A function in a file, or at bytes that a signature knows. */
interface Place {
  readonly binding: NativeFunction;
  readonly size: number;
  /** Hash of its bytes when it was first seen; it is bound as long as they are these. */
  hash: number | undefined;
}

/** What the layer needs of a process. */
export interface NativeUser {
  readonly context: Context;
  readonly space: AddressSpacePort;
}

interface State extends NativeUser {
  readonly process: NativeProcess;
  readonly yields: { wanted: boolean };
}

interface File {
  readonly elf: ElfFunctions;
  readonly places: Map<number, Place>;
}

export class NativeLayer implements BindingSet {
  readonly functions: Map<string, NativeFunction> = new Map();
  readonly bindPoints: readonly BindPoint[];
  private readonly whenHot: boolean;
  private readonly memory: PhysicalMemory;
  private readonly frontend: X86Frontend;
  private readonly discardAt: (page: number, offset: number) => void;
  private readonly failed: (binding: string, error: unknown) => void;
  private readonly counts: Map<string, BindingStatistics> = new Map();
  private readonly files: WeakMap<FileContents, File | { readonly elf: undefined }> = new WeakMap();
  private readonly signatures: SignatureIndex<NativeFunction> = new SignatureIndex();
  private readonly wanted: Set<string> = new Set();
  /** By the id that entry code gives the helper. */
  private readonly entries: NativeFunction[] = [];
  private readonly idOf: Map<NativeFunction, number> = new Map();
  private readonly states: Map<number, State> = new Map();
  private running: State | undefined;
  private twinExports: Record<string, CallableFunction & WebAssembly.Global> | undefined;

  constructor(
    surroundings: {
      readonly memory: PhysicalMemory;
      readonly frontend: X86Frontend;
      discardAt(page: number, offset: number): void;
    },
    options: NativeOptions,
  ) {
    this.memory = surroundings.memory;
    this.frontend = surroundings.frontend;
    this.discardAt = (page, offset) => surroundings.discardAt(page, offset);
    this.failed = options.failed ?? (() => {});
    this.bindPoints = options.bindPoints ?? [];
    this.whenHot = options.whenHot ?? false;
    for (const binding of options.functions) {
      this.add(binding);
      this.counts.set(binding.name, { calls: 0, declined: 0, callbacks: 0 });
      for (const symbol of binding.symbols ?? []) this.want(symbol);
      for (const signature of binding.signatures ?? []) this.signatures.add(signature, binding);
    }
    for (const { guest } of this.bindPoints) this.want(guest);
  }

  private add(binding: NativeFunction): void {
    this.functions.set(binding.name, binding);
    this.idOf.set(binding, this.entries.push(binding) - 1);
  }

  private want({ name, staticMarkers = [] }: LibrarySymbol): void {
    this.wanted.add(name);
    for (const marker of staticMarkers) this.wanted.add(marker);
  }

  get isEmpty(): boolean {
    return this.counts.size === 0;
  }

  statistics(name: string): BindingStatistics {
    // Observers of resolvers are nobody's business.
    return this.counts.get(name) ?? { calls: 0, declined: 0, callbacks: 0 };
  }

  allStatistics(): Readonly<Record<string, BindingStatistics>> {
    return Object.fromEntries(
      [...this.counts].map(([name, statistics]) => {
        const { wasm } = this.functions.get(name)!;
        const inWasm = wasm === undefined ? 0 : ((this.twinExports?.[`${wasm} calls`].value as number) ?? 0);
        return [name, { ...statistics, calls: statistics.calls + inWasm }];
      }),
    );
  }

  // Processes.

  enter(user: NativeUser): void {
    this.states.set(user.context.pointer, this.stateOf(user, new NativeFrames()));
  }

  /** The copy's native frames are the original's. */
  fork(from: NativeUser, to: NativeUser): void {
    const frames = this.states.get(from.context.pointer)?.process.frames.copy();
    this.states.set(to.context.pointer, this.stateOf(to, frames ?? new NativeFrames()));
  }

  leave(user: NativeUser): void {
    this.states.delete(user.context.pointer);
  }

  frames(user: NativeUser): NativeFrames | undefined {
    return this.states.get(user.context.pointer)?.process.frames;
  }

  private stateOf({ context, space }: NativeUser, frames: NativeFrames): State {
    const { memory } = this;
    const yields = { wanted: false };
    const process = new NativeProcess(
      {
        bytes: memory.bytes,
        view: memory.view,
        registers: registersOf(memory.view, context.pointer),
        get abi() {
          return (context.mode & ModeBit.long) === 0 ? "i386" : "amd64";
        },
        hostRange: (low, high, length, write) => context.hostRange(low, high, length, write),
        storeRange: (low, high, length) => context.storeRange(low, high, length),
        spend: (units) => {
          yields.wanted ||= context.spend(units);
        },
        resolve: (symbol) => this.resolve(space, symbol),
      },
      this,
      frames,
    );
    return { context, space, process, yields };
  }

  // Finding functions.

  entryCode(context: Context, page: number, address: number): EntryCode | undefined {
    const state = this.states.get(context.pointer);
    if (state === undefined) return undefined;
    const file = this.fileOf(state.space, address);
    const here = file?.file.places.get(file.offset) ?? this.signed(state.space, page, address);
    if (here !== undefined) return this.entryOf(state, here, address, false);
    const before =
      file?.file.places.get(file.offset - RESUME_DISTANCE) ?? this.signedBefore(state.space, page, address);
    if (before?.binding.callees === undefined) return undefined;
    return this.entryOf(state, before, address - RESUME_DISTANCE, true);
  }

  private entryOf({ context, space }: State, place: Place, start: number, resume: boolean): EntryCode | undefined {
    const { binding, size } = place;
    const long = (context.mode & ModeBit.long) !== 0;
    if (!binding.fits(long ? "amd64" : "i386")) return undefined;
    const code = this.codeAt(space, start, size);
    if (code === undefined) return undefined;
    const hash = hashOf(code);
    place.hash ??= hash;
    if (place.hash !== hash) return undefined;
    const register = binding.atLeast && binding.prototype.registerOf(binding.atLeast.parameter);
    return nativeEntry(this.frontend, context.mode, {
      id: this.idOf.get(binding)!,
      name: binding.name,
      sourceBytes: resume ? size - RESUME_DISTANCE : size,
      ...(binding.callees === undefined ? {} : { resumeAt: resume ? 0 : RESUME_DISTANCE }),
      ...(long && binding.wasm !== undefined
        ? { twin: wasmTwinNames.indexOf(binding.wasm), onceCompiled: this.whenHot }
        : {}),
      ...(long && register !== undefined ? { atLeast: { register, value: binding.atLeast!.value } } : {}),
    });
  }

  /** The bytes of code at an address, or undefined where not all of it can be fetched. */
  private codeAt(space: AddressSpacePort, address: number, length: number): Uint8Array | undefined {
    const code = new Uint8Array(length);
    for (let done = 0; done < length;) {
      const at = address + done;
      const answer = space.translate(at, 2);
      if (answer < 0) return undefined;
      const count = Math.min(PAGE_BYTES - (at % PAGE_BYTES), length - done);
      const host = this.memory.pageOffset(answer >>> 2) + (at % PAGE_BYTES);
      code.set(this.memory.bytes.subarray(host, host + count), done);
      done += count;
    }
    return code;
  }

  private signed(space: AddressSpacePort, page: number, address: number): Place | undefined {
    if (this.signatures.isEmpty) return undefined;
    const offset = address % PAGE_BYTES;
    if (offset + 4 > PAGE_BYTES) return undefined;
    const first = this.memory.view.getUint32(this.memory.pageOffset(page) + offset, true);
    const found = this.signatures.find(first, (length) => this.codeAt(space, address, length));
    return found && { binding: found.value, size: found.signature.length, hash: undefined };
  }

  /** `page`: of the address. */
  private signedBefore(space: AddressSpacePort, page: number, address: number): Place | undefined {
    if (this.signatures.isEmpty || address < RESUME_DISTANCE) return undefined;
    if (address % PAGE_BYTES >= RESUME_DISTANCE) return this.signed(space, page, address - RESUME_DISTANCE);
    const answer = space.translate(address - RESUME_DISTANCE, 2);
    return answer < 0 ? undefined : this.signed(space, answer >>> 2, address - RESUME_DISTANCE);
  }

  private fileOf(space: AddressSpacePort, address: number): { file: File; offset: number } | undefined {
    const place = space.fileAt?.(address);
    if (place === undefined) return undefined;
    const file = this.read(place.contents);
    return file && { file, offset: place.offset };
  }

  private read(contents: FileContents): File | undefined {
    let file = this.files.get(contents);
    if (file === undefined) {
      const elf = readElfFunctions(contents, this.wanted);
      file = elf === undefined ? { elf } : { elf, places: this.placesOf(elf) };
      this.files.set(contents, file);
    }
    return file.elf === undefined ? undefined : file;
  }

  private placesOf(elf: ElfFunctions): Map<number, Place> {
    const places = new Map<number, Place>();
    const names = new Set(elf.functions.map(({ name }) => name));
    for (const binding of this.entries.slice()) {
      for (const symbol of binding.symbols ?? []) {
        for (const found of elf.functions) {
          if (!isMeant(symbol, found, elf, names) || places.has(found.offset)) continue;
          places.set(found.offset, {
            binding: found.indirect ? this.resolverOf(binding) : binding,
            size: Math.min(found.size === 0 ? UNKNOWN_SIZE : found.size, LARGEST_SIZE),
            hash: undefined,
          });
        }
      }
    }
    return places;
  }

  /** An indirect function's symbol is at what chooses it: whatever that returns is bound. */
  private resolverOf(binding: NativeFunction): NativeFunction {
    const name = `${binding.name}.resolver`;
    const known = this.functions.get(name);
    if (known !== undefined) return known;
    const resolver = observedFunction({
      name,
      prototype: prototype(C.pointer, []),
      after: (_call, address) => {
        this.bindAt(this.running!.space, address, binding);
        return address;
      },
    });
    this.add(resolver);
    return resolver;
  }

  private bindAt(space: AddressSpacePort, address: number, binding: NativeFunction): void {
    // The page must be there for its file to be known.
    const answer = space.translate(address, 2);
    const found = answer < 0 ? undefined : this.fileOf(space, address);
    if (found === undefined || found.file.places.has(found.offset)) return;
    found.file.places.set(found.offset, { binding, size: UNKNOWN_SIZE, hash: undefined });
    this.discardAt(answer >>> 2, address % PAGE_BYTES);
  }

  private resolve(space: AddressSpacePort, symbol: LibrarySymbol): number | undefined {
    const definedBy = new Set<FileContents>();
    let resolved: number | undefined;
    for (const { contents, offset, start, end } of space.fileMappings?.() ?? []) {
      const elf = this.read(contents)?.elf;
      if (elf === undefined) continue;
      if (elf.functions.some(({ name, dynamic }) => dynamic && name === symbol.name)) definedBy.add(contents);
      const names = new Set(elf.functions.map(({ name }) => name));
      const found = elf.functions.find((candidate) => !candidate.indirect && isMeant(symbol, candidate, elf, names));
      const address = found === undefined ? -1 : start + (found.offset - offset);
      if (address >= start && address < end && space.translate(address, 2) >= 0) resolved = address;
    }
    // Where several files define it, which of them the program means is the dynamic linker's knowledge.
    return definedBy.size > 1 ? undefined : resolved;
  }

  // Running them.

  /**
   * Adds the helpers that are twins in WebAssembly, for contexts that find their TLB where `layout` says. They are made when
   * the first of them is asked for: programs that are done before any function is hot need none.
   */
  defineTwins(helpers: Record<string, CallableFunction>, layout: Pick<CodeLayout, "tlb">): void {
    for (const [index, name] of wasmTwinNames.entries()) {
      Object.defineProperty(helpers, nativeTwinName(index), {
        get: () => (this.twinExports ??= this.instantiateTwins(layout))[name],
      });
    }
  }

  private instantiateTwins({ tlb }: Pick<CodeLayout, "tlb">): Record<string, CallableFunction & WebAssembly.Global> {
    const { memory } = this;
    const module = new WebAssembly.Module(
      wasmTwinModule({
        memoryPages: memory.bytes.length / 65536,
        tlb,
        registers: StateOffset.gpr,
        outcome: NATIVE_RESULT,
      }),
    );
    const instance = new WebAssembly.Instance(module, {
      e: {
        memory: memory.memory,
        translate: (cpu: number, low: number, high: number, write: number) =>
          this.states.get(cpu >>> 0)!.context.hostRange(low, high, 1, write !== 0),
        slow: (cpu: number, id: number) => this.helper(cpu, id, NativePhase.call, 0, 0),
        spend: (cpu: number, units: number) => this.spend(cpu, units),
      },
    });
    return instance.exports as Record<string, CallableFunction & WebAssembly.Global>;
  }

  /** The helper "native" (`nativeHelperDeclaration`). */
  readonly helper = (cpu: number, id: number, phase: number, low: number, high: number): number => {
    const state = this.states.get(cpu >>> 0)!;
    const { context, process, yields } = state;
    const binding = this.entries[id];
    const resumeAddress = (high >>> 0) * TWO_32 + (low >>> 0);
    const { view } = this.memory;
    let outcome: Outcome;
    this.running = state;
    context.codeChanged = false;
    try {
      outcome = phase === NativePhase.call ? process.call(binding, resumeAddress) : process.resume(resumeAddress);
    } catch (error) {
      if (error instanceof GuestFault) {
        context.fault(error.address | 0, Math.floor(error.address / TWO_32) | 0, error.write ? 1 : 0);
      } else {
        this.failed(binding.name, error);
        view.setInt32(context.pointer + Header.exitCode, ExitCode.exception + Vector.invalidOpcode, true);
      }
      return 1;
    }
    view.setInt32(context.pointer + NATIVE_RESULT, outcome, true);
    if (outcome === Outcome.call)
      process.registers.set(R11, process.target | 0, Math.floor(process.target / TWO_32) | 0);
    if ((!context.codeChanged && !yields.wanted) || outcome === Outcome.guest) return 0;
    yields.wanted = false;
    return this.leaveRegion(state, outcome);
  };

  /** A twin in WebAssembly has returned after so much work; whether to leave. */
  private spend(cpu: number, units: number): number {
    const state = this.states.get(cpu >>> 0)!;
    if (!state.context.spend(units)) return 0;
    state.yields.wanted = false;
    return this.leaveRegion(state, Outcome.returned);
  }

  /** Regions on the host's stack may be about code that is not there any more, or it is somebody else's turn. */
  private leaveRegion({ context, process }: State, outcome: Outcome): 0 | 1 {
    const { registers } = process;
    if (outcome === Outcome.call) {
      context.goTo(registers.low(R11), registers.high(R11));
      return 1;
    }
    const long = process.abi === "amd64";
    const stack = (long ? (registers.high(RSP) >>> 0) * TWO_32 : 0) + (registers.low(RSP) >>> 0);
    // It was readable when the twin began; should the twin have changed that, RET faults in the region.
    if (process.memory.readable(stack, 1) === 0 || process.memory.readable(stack + 7, 1) === 0) return 0;
    const address = long ? process.memory.word(stack) : process.memory.u32(stack);
    const above = stack + (long ? 8 : 4);
    registers.set(RSP, above | 0, long ? Math.floor(above / TWO_32) | 0 : 0);
    context.goTo(address | 0, Math.floor(address / TWO_32) | 0);
    return 1;
  }
}

/** Whether a function of a file is the one that a binding's symbol names. */
function isMeant(symbol: LibrarySymbol, found: ElfFunction, elf: ElfFunctions, names: ReadonlySet<string>): boolean {
  if (found.name !== symbol.name || found.offset < 0) return false;
  if (symbol.version !== undefined && symbol.version !== found.version) return false;
  if (symbol.library === undefined || symbol.library === elf.library) return true;
  return (
    elf.isStatic &&
    !found.dynamic &&
    symbol.staticMarkers !== undefined &&
    symbol.staticMarkers.every((marker) => names.has(marker))
  );
}

/** FNV-1a. */
function hashOf(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash;
}

function registersOf(view: DataView, pointer: number): RegistersPort {
  const general = pointer + StateOffset.gpr;
  const vectors = pointer + StateOffset.xmm;
  return {
    low: (register) => view.getInt32(general + 8 * register, true),
    high: (register) => view.getInt32(general + 8 * register + 4, true),
    set: (register, low, high) => {
      view.setInt32(general + 8 * register, low, true);
      view.setInt32(general + 8 * register + 4, high, true);
    },
    vectorWord: (register, word) => view.getInt32(vectors + VECTOR_STRIDE * register + 4 * word, true),
    setVectorWord: (register, word, value) => view.setInt32(vectors + VECTOR_STRIDE * register + 4 * word, value, true),
  };
}
