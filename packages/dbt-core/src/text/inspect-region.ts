/** One region through the translator without an engine: what `inspect` shows. */
import { ModuleEmitter } from "../emit/module-emitter.ts";
import { defaultTranslatorOptions } from "../engine/translator.ts";
import { Op } from "../ir/op.ts";
import { RegionBuilder } from "../ir/region.ts";
import { type CodeLayout, Header } from "../layout.ts";
import type { Frontend } from "../port-frontend.ts";
import { RegionDiscovery } from "../region/discovery.ts";
import { foldFunction, type StateName } from "./fold-wasm.ts";
import { formatRegion } from "./format-region.ts";
import { formatFunction, readModule, type WasmFunction } from "./wasm-text.ts";

export interface InspectOptions {
  readonly frontend: Frontend;
  readonly layout: CodeLayout;
  /** The bytes that code is fetched from, in pages of 4096. */
  readonly memory: Uint8Array;
  /** The page of `memory` that holds a guest-virtual address's code, or a negative number. */
  readonly fetch: (virtualAddress: number) => number;
  /** The frontend's translation mode. */
  readonly mode: number;
  /** Code addresses wrap at 32 bits. */
  readonly narrowAddresses: boolean;
  /** As code is translated the first time it runs (`cold`), or when it has run often. */
  readonly tier: "cold" | "hot";
}

/** Where a cold region would count how often it is entered. */
const ANY_COUNTER = 4;

/** What the region's code is made of, counted in the code itself. */
export interface RegionCounts {
  readonly guestInstructions: number;
  readonly blocks: number;
  readonly wasmBytes: number;
  readonly wasmInstructions: number;
  /** Soft-TLB look-ups, in line or not: one for each access to guest memory. */
  readonly tlbChecks: number;
  /** Guest state brought from the context block into locals, and put back there, at all entries, calls and exits. */
  readonly reloads: number;
  readonly spills: number;
  /** Places that call a helper. */
  readonly helperCalls: number;
}

export interface InspectedRegion {
  /** Guest addresses of its instructions, relative to the entry, in ascending order. */
  readonly instructionOffsets: readonly number[];
  readonly ir: string;
  readonly wasm: string;
  /** The same as statements; see fold-wasm.ts. */
  readonly folded: (stateName: StateName) => string;
  /** The module, with the region as its only function. */
  readonly module: Uint8Array<ArrayBuffer>;
  readonly counts: RegionCounts;
}

/** The region at a guest-virtual address, its loops shown once, or undefined when no code can be fetched there. */
export function inspectRegion(address: number, options: InspectOptions): InspectedRegion | undefined {
  const { frontend, layout, memory, fetch, mode, narrowAddresses } = options;
  const builder = new RegionBuilder(frontend.slots, frontend.helpers);
  const discovery = new RegionDiscovery(frontend, { bytes: memory, guard: () => {}, isCheckedOnUse: () => false });
  const { regionInstructions } = defaultTranslatorOptions[options.tier];
  const inlined = options.tier === "hot" ? defaultTranslatorOptions.inlinedInstructions : 0;
  if (!discovery.discover(address, mode, fetch, builder, { limit: regionInstructions, inlined })) return undefined;
  const emitter = new ModuleEmitter(layout, frontend.helpers, Math.max(1, Math.ceil(memory.length / 65536)));
  emitter.begin();
  // Slots as they would be given in turn: one for each target.
  const slots = new Map<number, number>();
  const slotFor = (target: number): number => {
    const slot = slots.get(target) ?? slots.size + 1;
    slots.set(target, slot);
    return slot;
  };
  emitter.addRegion(builder, { slotFor }, { narrowAddresses, counter: options.tier === "cold" ? ANY_COUNTER : 0 });
  const module = emitter.finish(0);
  const region = readModule(module)[0];
  return {
    instructionOffsets: instructionOffsets(builder),
    ir: formatRegion(builder),
    wasm: formatFunction(region),
    folded: (stateName) => foldFunction(region, stateName),
    module,
    counts: count(builder, region),
  };
}

function instructionOffsets(builder: RegionBuilder): number[] {
  const offsets = new Set<number>();
  for (let node = 0; node < builder.nodeCount; node++) {
    if (builder.op[node] === Op.instruction) offsets.add(builder.immediate[node]);
  }
  return [...offsets].sort((left, right) => left - right);
}

function count(builder: RegionBuilder, region: WasmFunction): RegionCounts {
  let tlbChecks = 0;
  for (let node = 0; node < builder.nodeCount; node++) {
    if (builder.op[node] >= Op.load8U && builder.op[node] <= Op.storeV128) tlbChecks++;
  }
  let reloads = 0;
  let spills = 0;
  let helperCalls = 0;
  const helpers = new Set(builder.helpers.map((helper) => `$${helper.name}`));
  for (const { name, immediates, text } of region.instructions) {
    if (name === "call" && helpers.has(text)) helperCalls++;
    // Accesses to the guest's state are those at its offsets in the context block; all others lie below or above.
    const [, offset = 0] = immediates;
    if (offset < Header.guestState || offset >= Header.guestStateEnd) continue;
    if (name.endsWith(".load")) reloads++;
    else if (name.endsWith(".store")) spills++;
  }
  return {
    guestInstructions: instructionOffsets(builder).length,
    blocks: builder.blocks.length,
    wasmBytes: region.bytes,
    wasmInstructions: region.instructions.length,
    tlbChecks,
    reloads,
    spills,
    helperCalls,
  };
}
