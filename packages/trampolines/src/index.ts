export {
  CodeHeap,
  type CodeHeapOptions,
  type Fragment,
  type HeapModule,
  type HeapStatistics,
  type SourceRange,
  type TableOfProcess,
} from "./code-heap.ts";
export { type CopySlot, type TableStatistics, TrampolineTable } from "./trampoline-table.ts";
