export { GRANULE_BYTES, GRANULE_SHIFT, GuardBits, PAGE_BYTES, PAGE_SHIFT } from "./guard-bits.ts";
export { type GuardPolicy, type GuardPolicyChoice, type PageGuards } from "./guard-policy.ts";
export { type GuardHit, type GuardStatistics, PhysicalMemory, type PhysicalMemoryOptions } from "./physical-memory.ts";
export { SoftTlb, softTlbShape, type SoftTlbShape, softTlbShapeFor, TLB_INDEX_BITS } from "./soft-tlb.ts";
