/** What an engine's context keeps for each view of guest memory (`EngineOptions.views`). */
import { clearAll } from "../clear.ts";
import { ImportModule } from "../emit/module-emitter.ts";
import type { CodeLayout } from "../layout.ts";
import type { ViewCode } from "./code-table.ts";
import { JumpCache } from "./jump-cache.ts";
import type { FragmentPort, MemoryPort, TlbPort } from "./ports.ts";

interface ViewParts {
  readonly memory: Pick<MemoryPort, "bytes" | "view">;
  /** The context. */
  readonly pointer: number;
  readonly tlb: TlbPort;
  readonly layout: CodeLayout;
  readonly code: ViewCode;
}

/** Guest memory as code of some modes sees it; see `EngineOptions.views`. */
export class View {
  readonly tlb: TlbPort;
  readonly layout: CodeLayout;
  readonly code: ViewCode;
  readonly jumps: JumpCache;
  private lastMode = -1;
  /** Link slots that lead to code which goes by optional bits of the mode, and by which. */
  private readonly modalLinks: Map<number, number> = new Map();
  /** Virtual pages that code was linked from, to know which remaps concern links. */
  private readonly codePages: Set<number> = new Set();
  /** Some of that code is not global. */
  hasLocalCode = false;
  /** Links that hold only for as long as pages are mapped as they are. */
  readonly mappedLinks: Set<number> = new Set();
  /** Where physical code pages are seen: their aliases get translations of their own. */
  private readonly seenAt: Map<number, number[]> = new Map();
  /** What `aliasOf` was asked last, and answered. */
  private aliasedPage = -1;
  private aliasedAt = 0;
  private alias = 0;
  /** The virtual page that code was linked from last. */
  private lastCodePage: number = Number.NaN;

  constructor({ memory, pointer, tlb, layout, code }: ViewParts) {
    this.jumps = new JumpCache(memory, pointer + layout.jumpCache.offset);
    this.tlb = tlb;
    this.layout = layout;
    this.code = code;
  }

  /** What a module imports here, which may ask for slots. */
  importsWith(slots: readonly number[] | undefined): WebAssembly.Imports {
    const { imports } = this.code;
    if (slots === undefined) return imports;
    return { ...imports, [ImportModule.slots]: slots as unknown as WebAssembly.ModuleImports };
  }

  /**
   * Code of this mode runs next. Returns the link slots that lead to code for another: they are to be trapped again.
   * Other slots are of one mode, but for the bits that their code and what they lead to do not go by.
   */
  enterMode(mode: number, optionalBits: number): readonly number[] {
    const changed = mode ^ this.lastMode;
    if (changed === 0) return [];
    this.lastMode = mode;
    if ((changed & ~optionalBits) !== 0) this.jumps.flush();
    if ((changed & optionalBits) === 0) return [];
    this.jumps.removeModal(changed);
    return takeModal(this.modalLinks, changed);
  }

  /** Code from this virtual page on is led to, by a link slot or by the jump cache. */
  noteCode(virtualPage: number, { otherPages }: FragmentPort): void {
    if (virtualPage !== this.lastCodePage) this.codePages.add(virtualPage);
    this.lastCodePage = virtualPage;
    for (const { distance } of otherPages) this.codePages.add(virtualPage + distance);
  }

  /** A link slot leads to code that goes by these optional bits of the mode. */
  noteModal(slot: number, bits: number): void {
    if (bits !== 0) this.modalLinks.set(slot, bits);
    else if (this.modalLinks.size > 0) this.modalLinks.delete(slot);
  }

  /** Which of the virtual pages this is that the physical page was seen at. */
  aliasOf(page: number, virtualPage: number): number {
    if (page === this.aliasedPage && virtualPage === this.aliasedAt) return this.alias;
    let places = this.seenAt.get(page);
    if (places === undefined) this.seenAt.set(page, (places = []));
    const known = places.indexOf(virtualPage);
    this.aliasedPage = page;
    this.aliasedAt = virtualPage;
    this.alias = known < 0 ? places.push(virtualPage) - 1 : known;
    return this.alias;
  }

  /** Pages may be mapped otherwise from now on: nothing is linked, and the jump cache is empty. */
  forgetCode(): void {
    clearAll(this.mappedLinks);
    this.jumps.flush();
    clearAll(this.codePages);
    this.lastCodePage = Number.NaN;
    clearAll(this.seenAt);
    this.aliasedPage = -1;
    this.hasLocalCode = false;
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

/** Removes and returns what goes by any of the bits. */
function takeModal(modal: Map<number, number>, bits: number): number[] {
  const taken: number[] = [];
  for (const [key, used] of modal) if ((used & bits) !== 0) taken.push(key);
  for (const key of taken) modal.delete(key);
  return taken;
}
