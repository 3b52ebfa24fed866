/** One region of x86 code through the translator, as text: the default composition of what `inspect` needs. */
import { CELL_BYTES, Header } from "@doppel/dbt-core";
import { inspectRegion, type InspectedRegion, type RegionCounts } from "@doppel/dbt-core/text";
import { softTlbShapeFor } from "@doppel/guard-memory";
import { ModeBit, X86Frontend } from "@doppel/guest-x86";

export { ElfError, type ElfImage, type ElfSymbol, readElf } from "./elf-file.ts";

export interface InspectX86Options {
  readonly mode: "x86-64" | "i386";
  /** Guest-virtual address of the region's entry. */
  readonly address: number;
  /** The bytes that code is fetched from, in pages of 4096. */
  readonly memory: Uint8Array;
  /** The page of `memory` that holds a guest-virtual address's code, or a negative number. */
  readonly fetch: (virtualAddress: number) => number;
  /** As code is translated the first time it runs (`cold`), or when it has run often. */
  readonly tier: "cold" | "hot";
}

/** What the lifter did with flags, by places in the guest's code. */
export interface X86RegionCounts extends RegionCounts {
  readonly flags: { readonly recorded: number; readonly fused: number; readonly materialised: number };
}

export interface InspectedX86Region extends InspectedRegion {
  readonly counts: X86RegionCounts;
}

/** For as much guest memory as `doppel run` has. */
const tlbShape = softTlbShapeFor(2 ** 31);

/** The region at `address`, or undefined when no code can be fetched there. */
export function inspectX86Region(options: InspectX86Options): InspectedX86Region | undefined {
  const { mode, address, memory, fetch } = options;
  const tlbOffset = Header.guestStateEnd + CELL_BYTES;
  const frontend = new X86Frontend();
  const region = inspectRegion(address, {
    frontend,
    layout: {
      cells: Header.guestStateEnd,
      tlb: { ...tlbShape, offset: tlbOffset },
      guardWords: 0,
      jumpCache: { offset: tlbOffset + tlbShape.bytes, indexBits: 12 },
    },
    memory,
    fetch,
    mode: mode === "x86-64" ? ModeBit.long : 0,
    narrowAddresses: mode === "i386",
    tier: options.tier,
  });
  return region && { ...region, counts: { ...region.counts, flags: frontend.flagStatistics } };
}
