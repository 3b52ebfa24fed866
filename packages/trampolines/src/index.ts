export { CodeHeap, type Fragment, type HeapModule, type SourceRange, type TableOfProcess } from "./code-heap.ts";
export { type CopySlot, TrampolineTable } from "./trampoline-table.ts";
