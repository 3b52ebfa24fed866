/** What an engine's context keeps for each view of guest memory (`EngineOptions.views`). */
import type { SupportExports } from "../emit/support-module.ts";
import type { CodeLayout } from "../layout.ts";
import type { TlbPort } from "./ports.ts";

export const JUMP_CACHE_BITS = 12;
export const JUMP_CACHE_ENTRY = 16;

/** Guest memory as code of some modes sees it; see `EngineOptions.views`. */
export class View {
  readonly tlb: TlbPort;
  readonly layout: CodeLayout;
  readonly exports: SupportExports;
  readonly imports: WebAssembly.Imports;
  jumpCacheUsed = false;
  lastMode = -1;
  /** Virtual pages that code was linked from, to know which remaps concern links. */
  readonly codePages: Set<number> = new Set();
  /** Some of that code is not global. */
  hasLocalCode = false;
  /** Links that hold only for as long as pages are mapped as they are. */
  readonly mappedLinks: Set<number> = new Set();
  /** Where physical code pages are seen: their aliases get translations of their own. */
  readonly seenAt: Map<number, number[]> = new Map();

  constructor(tlb: TlbPort, layout: CodeLayout, exports: SupportExports, imports: WebAssembly.Imports) {
    this.tlb = tlb;
    this.layout = layout;
    this.exports = exports;
    this.imports = imports;
  }

  /** Whether code was linked from any of these virtual pages. */
  concernsCode(firstPage: number, pages: number): boolean {
    const { codePages } = this;
    if (pages < codePages.size) {
      for (let page = firstPage; page < firstPage + pages; page++) if (codePages.has(page)) return true;
      return false;
    }
    for (const page of codePages) if (page >= firstPage && page < firstPage + pages) return true;
    return false;
  }
}

/** Entry n is for an address that hashes to another. */
export const emptyJumpCache: Uint8Array = new Uint8Array(JUMP_CACHE_ENTRY << JUMP_CACHE_BITS);
{
  const entries = new DataView(emptyJumpCache.buffer);
  for (let index = 0; index < 1 << JUMP_CACHE_BITS; index++)
    entries.setInt32(index * JUMP_CACHE_ENTRY, index ^ 1, true);
}
