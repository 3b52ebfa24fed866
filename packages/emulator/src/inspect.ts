/** One region of x86 code through the translator, as text: the default composition of what `inspect` needs. */
import { CELL_BYTES, Header } from "@doppel/dbt-core";
import { inspectRegion, type InspectedRegion } from "@doppel/dbt-core/text";
import { softTlbShapeFor } from "@doppel/guard-memory";
import { ModeBit, X86Frontend } from "@doppel/guest-x86";

export { ElfError, type ElfImage, type ElfSymbol, readElf } from "./elf-file.ts";
export type { InspectedRegion, RegionCounts } from "@doppel/dbt-core/text";

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

/** For as much guest memory as `doppel run` has. */
const tlbShape = softTlbShapeFor(2 ** 31);

/** The region at `address`, or undefined when no code can be fetched there. */
export function inspectX86Region(options: InspectX86Options): InspectedRegion | undefined {
  const { mode, address, memory, fetch } = options;
  const tlbOffset = Header.guestStateEnd + CELL_BYTES;
  return inspectRegion(address, {
    frontend: new X86Frontend(),
    layout: {
      cells: Header.guestStateEnd,
      tlb: { ...tlbShape, offset: tlbOffset },
      jumpCache: { offset: tlbOffset + tlbShape.bytes, indexBits: 12 },
    },
    memory,
    fetch,
    mode: mode === "x86-64" ? ModeBit.long : 0,
    narrowAddresses: mode === "i386",
    tier: options.tier,
  });
}
