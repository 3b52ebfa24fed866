/**
 * Where the time of a run goes: what V8's sampling profiler saw, told in the guest's terms.
 *
 * While a profile is taken, regions are compiled under the names of their guest functions, so that they stand in V8's
 * stacks; the kernel's observer says who was running and in which system call. A stack of V8's becomes
 *
 * ```text
 *   process > guest functions, callers first > what they went into: a system call, the translator, a slow path, a helper
 * ```
 *
 * with the JavaScript functions behind it. What V8 sees of guest calls is what are calls in WebAssembly: code that left to
 * the engine's loop in between begins a stack of its own. Threaded code is one frame, whatever function it runs.
 */
import { ModuleName } from "@doppel/dbt-core";
import type { AddressSpacePort } from "@doppel/linux-user";
import { CodeNames, type CodePlace } from "./code-names.ts";
import { type KernelState, KernelTimeline } from "./kernel-timeline.ts";
import { FrameTable, type SpeedscopeFile, type SpeedscopeFrame, speedscopeFile } from "./speedscope.ts";

/** The part of V8's CPU profile that is read (Chrome DevTools protocol, Profiler.Profile). */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
    readonly children?: readonly number[] | undefined;
  }[];
  readonly startTime: number;
  /** Nodes, and microseconds since the sample before. */
  readonly samples?: readonly number[] | undefined;
  readonly timeDeltas?: readonly number[] | undefined;
}

/** Time by what it was spent on. */
export interface ProfileSummary {
  readonly totalMs: number;
  readonly kinds: readonly KindShare[];
  /** Not everything the kernel did is known. */
  readonly truncated: boolean;
}

export interface TimeShare {
  readonly name: string;
  readonly ms: number;
}

export interface KindShare extends TimeShare {
  /** Guest functions by the time in themselves, system calls, helpers; longest first. */
  readonly parts: readonly TimeShare[];
}

/** What a sample is counted as. */
export const Kind = {
  guest: "guest code",
  threaded: "threaded code",
  dispatch: "jumps and memory checks out of line",
  slowPath: "memory's slow paths",
  helper: "helpers",
  decode: "translation: decode and lift",
  assemble: "translation: threaded code",
  emit: "translation: emit",
  compile: "translation: V8 compiles",
  instantiate: "translation: instantiate",
  link: "translation: look up and link",
  systemCall: "system calls",
  kernel: "kernel",
  collector: "garbage collection",
  idle: "idle",
  host: "host",
} as const;
export type Kind = (typeof Kind)[keyof typeof Kind];

/** Imports of translated code (dbt-core/src/engine/engine.ts) that are no helper. */
const TRANSLATE: ReadonlySet<string> = new Set(["resolve", "compile", "promote"]);
const SERVICE = "service";
const SLOW_PATHS: ReadonlySet<string> = new Set(["slowLoad", "slowStore", "slowStoreVector"]);
/** Steps of the translator by function; the innermost on a stack says which it is. */
const STEPS: Readonly<Record<string, Kind>> = {
  Module: Kind.compile,
  Instance: Kind.instantiate,
  discover: Kind.decode,
  assemble: Kind.assemble,
  addRegion: Kind.emit,
  finish: Kind.emit,
};
/** Functions of the kernel's loop, within which everything concerns one process. */
const LOOP: ReadonlySet<string> = new Set(["#turn", "#runTask", "#call", "#resumeCall", "#attempt"]);
const COLLECTOR = "(garbage collector)";
const IDLE = "(idle)";
const ROOT = "(root)";
/** Between WebAssembly and JavaScript: V8's own. */
const GLUE: ReadonlySet<string> = new Set(["wasm-to-js", "js-to-wasm", "wasm-to-js-function", ROOT]);
const COLD_SUFFIX = " (in haste)";

type CallFrame = CpuProfile["nodes"][number]["callFrame"];
const moduleOf = ({ url }: CallFrame): string | undefined => /^wasm:\/\/wasm\/(\w+)-[0-9a-f]+$/.exec(url)?.[1];

export class GuestProfile {
  readonly timeline: KernelTimeline;
  private readonly names: CodeNames = new CodeNames();
  /** Guest functions by what their regions are called. */
  private readonly places: Map<string, CodePlace> = new Map();

  /** @param nowUs the clock of `CpuProfile.startTime` */
  constructor(nowUs: () => number) {
    this.timeline = new KernelTimeline(nowUs);
  }

  /** What the region at an address is to be called. */
  codeName(space: AddressSpacePort, address: number, hot: boolean): string {
    const place = this.names.placeOf(space, address);
    const object = place.file === undefined ? "" : ` [${place.file.slice(place.file.lastIndexOf("/") + 1)}]`;
    const name = `${place.name}${hot ? "" : COLD_SUFFIX}${object}`;
    this.places.set(name, hot ? place : { ...place, name: `${place.name}${COLD_SUFFIX}` });
    return name;
  }

  /** The profile for speedscope, and its sums. */
  finish(title: string, profile: CpuProfile): { readonly file: SpeedscopeFile; readonly summary: ProfileSummary } {
    const table = new FrameTable();
    const stacks = new Stacks(profile, this.places, table);
    const stateAt = this.timeline.reader();
    const sums = new Sums();
    const samples: (readonly number[])[] = [];
    const weights: number[] = [];
    const { samples: nodes = [], timeDeltas = [] } = profile;
    let atUs = profile.startTime;
    nodes.forEach((node, index) => {
      atUs += timeDeltas[index];
      // A sample stands for the time until the next; V8's clock may step back by a little.
      const weight = Math.max(0, timeDeltas[index + 1] ?? 0);
      const state = stateAt(atUs);
      const stack = stacks.of(node, state);
      samples.push(stack.frames);
      weights.push(weight);
      sums.add(stack, weight);
    });
    return {
      file: speedscopeFile(title, table.frames, samples, weights),
      summary: { ...sums.summary(), truncated: this.timeline.truncated },
    };
  }
}

interface Stack {
  /** Outermost first. */
  readonly frames: readonly number[];
  readonly kind: Kind;
  /** Of guest code, its function; of system calls and helpers, which one. */
  readonly part: string | undefined;
}

/** Stacks of V8's in the guest's terms, each made once. */
class Stacks {
  private readonly paths: Map<number, readonly CallFrame[]> = new Map();
  private readonly made: Map<number, Map<KernelState | undefined, Stack>> = new Map();
  private readonly places: ReadonlyMap<string, CodePlace>;
  private readonly table: FrameTable;

  constructor(profile: CpuProfile, places: ReadonlyMap<string, CodePlace>, table: FrameTable) {
    this.places = places;
    this.table = table;
    const byId = new Map(profile.nodes.map((node) => [node.id, node]));
    const [root] = profile.nodes;
    const open = root === undefined ? [] : [{ node: root, path: [root.callFrame] }];
    for (let entry = open.pop(); entry !== undefined; entry = open.pop()) {
      const { node, path } = entry;
      this.paths.set(node.id, path);
      for (const id of node.children ?? []) {
        const child = byId.get(id);
        if (child !== undefined) open.push({ node: child, path: [...path, child.callFrame] });
      }
    }
  }

  of(node: number, state: KernelState | undefined): Stack {
    let byState = this.made.get(node);
    if (byState === undefined) this.made.set(node, (byState = new Map()));
    let stack = byState.get(state);
    if (stack === undefined) byState.set(state, (stack = this.make(this.paths.get(node) ?? [], state)));
    return stack;
  }

  private make(path: readonly CallFrame[], state: KernelState | undefined): Stack {
    const frames: SpeedscopeFrame[] = [];
    const push = (frame: SpeedscopeFrame): void => {
      if (frames.at(-1)?.name !== frame.name || frame.line !== undefined) frames.push(frame);
    };
    push({ name: state?.process ?? "outside processes" });
    let lastGuest = -1;
    let part: string | undefined;
    let kind: Kind = Kind.kernel;
    for (const [index, frame] of path.entries()) {
      const module = moduleOf(frame);
      const place = module === ModuleName.regions ? this.places.get(frame.functionName) : undefined;
      if (module === undefined) continue;
      lastGuest = index;
      part = undefined;
      kind = Kind.dispatch;
      if (module === ModuleName.threaded) {
        kind = Kind.threaded;
        push({ name: kind });
      } else if (place !== undefined) {
        kind = Kind.guest;
        part = frame.functionName;
        push(place);
      }
    }
    const loop = path.findLastIndex(({ functionName }) => LOOP.has(functionName));
    const rest = path.slice(Math.max(lastGuest, loop) + 1).filter(({ functionName }) => !GLUE.has(functionName));
    const special = rest.find(({ functionName }) => functionName === COLLECTOR || functionName === IDLE);
    if (special !== undefined) {
      kind = special.functionName === IDLE ? Kind.idle : Kind.collector;
      push({ name: kind });
      return this.finished(frames, kind, undefined);
    }
    if (state?.systemCall !== undefined) {
      kind = Kind.systemCall;
      part = state.systemCall;
      push({ name: `system call ${part}` });
    } else if (rest.length > 0) {
      kind = state === undefined ? Kind.host : lastGuest > loop ? kindOf(rest) : Kind.kernel;
      part = kind === Kind.helper ? helperName(rest) : undefined;
      push({ name: kind });
    } else if (kind === Kind.dispatch) push({ name: path[lastGuest]?.functionName ?? "dispatch" });
    for (const frame of rest) push(javaScriptFrame(frame));
    return this.finished(frames, kind, part);
  }

  private finished(frames: readonly SpeedscopeFrame[], kind: Kind, part: string | undefined): Stack {
    return { frames: frames.map((frame) => this.table.index(frame)), kind, part };
  }
}

/** What guest code went into, by the JavaScript functions on the stack. */
function kindOf(frames: readonly CallFrame[]): Kind {
  const [{ functionName: first }] = frames;
  if (first === SERVICE) return Kind.kernel;
  if (SLOW_PATHS.has(first)) return Kind.slowPath;
  if (!TRANSLATE.has(first)) return Kind.helper;
  const step = frames.findLast(({ functionName }) => Object.hasOwn(STEPS, functionName));
  return step === undefined ? Kind.link : STEPS[step.functionName];
}

/** Threaded code calls all helpers by way of one function. */
function helperName(frames: readonly CallFrame[]): string | undefined {
  return frames.find(({ functionName }) => functionName !== "" && functionName !== "helper")?.functionName;
}

/** A function of this project or its host; of the path the end says enough. */
function javaScriptFrame({ functionName, url, lineNumber }: CallFrame): SpeedscopeFrame {
  const name = functionName === "" ? "(anonymous)" : functionName;
  return url === "" ? { name } : { name, file: url.split("/").slice(-4).join("/"), line: lineNumber + 1 };
}

class Sums {
  private totalUs = 0;
  private readonly kinds: Map<Kind, { us: number; readonly parts: Map<string, number> }> = new Map();

  add({ kind, part }: Stack, us: number): void {
    this.totalUs += us;
    let sum = this.kinds.get(kind);
    if (sum === undefined) this.kinds.set(kind, (sum = { us: 0, parts: new Map() }));
    sum.us += us;
    if (part !== undefined) sum.parts.set(part, (sum.parts.get(part) ?? 0) + us);
  }

  summary(): Omit<ProfileSummary, "truncated"> {
    const longestFirst = (left: TimeShare, right: TimeShare): number => right.ms - left.ms;
    const kinds = [...this.kinds].map(([name, { us, parts }]): KindShare => {
      const shares = [...parts].map(([part, partUs]): TimeShare => ({ name: part, ms: partUs / 1000 }));
      return { name, ms: us / 1000, parts: shares.sort(longestFirst) };
    });
    return { totalMs: this.totalUs / 1000, kinds: kinds.sort(longestFirst) };
  }
}
