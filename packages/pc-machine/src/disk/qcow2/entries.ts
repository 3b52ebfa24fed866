/** Entries of the mapping tables of a qcow2 image: L1, which finds L2 tables, and L2, which finds clusters of data. */

/** Bit 63: what is referred to has a refcount of one. Also bit 62 in L2: the cluster is compressed. In the upper word. */
const copied = 0x8000_0000;
const compressed = 0x4000_0000;
const offsetUpper = 0x00ff_ffff;
const offsetLower = 0xffff_fe00;
/** Bit 0 of an L2 entry: the cluster reads as zeros, wherever it is. */
const zeroFlag = 1;

/** Where a cluster of the disk is. `offset` is 0 where none is allocated. */
export type Mapping =
  | { readonly kind: "unallocated" | "zero" | "data"; readonly offset: number }
  /** Some bytes anywhere in the file; `length` is an upper bound. */
  | { readonly kind: "compressed"; readonly offset: number; readonly length: number };

/** Offset of the table that an L1 entry refers to; 0 for none. */
export function tableOffset(l1: DataView, index: number): number {
  return (l1.getUint32(8 * index) & offsetUpper) * 2 ** 32 + ((l1.getUint32(8 * index + 4) & offsetLower) >>> 0);
}

export function setEntry(table: DataView, index: number, offset: number, zero = false): void {
  table.setUint32(8 * index, Math.floor(offset / 2 ** 32) | (offset === 0 ? 0 : copied));
  table.setUint32(8 * index + 4, (offset % 2 ** 32) + (zero ? zeroFlag : 0));
}

export function mappingOf(l2: DataView, index: number, clusterBits: number): Mapping {
  const upper = l2.getUint32(8 * index);
  const lower = l2.getUint32(8 * index + 4);
  if ((upper & compressed) !== 0) {
    // The offset has 62 - (clusterBits - 8) bits; above them, up to bit 61, are the further sectors of 512 bytes.
    const upperBits = 70 - clusterBits - 32;
    const offset = (upper & (2 ** upperBits - 1)) * 2 ** 32 + lower;
    const sectors = (upper & 0x3fff_ffff) >>> upperBits;
    return { kind: "compressed", offset, length: (sectors + 1) * 512 - (offset % 512) };
  }
  const offset = (upper & offsetUpper) * 2 ** 32 + ((lower & offsetLower) >>> 0);
  if ((lower & zeroFlag) !== 0) return { kind: "zero", offset };
  return { kind: offset === 0 ? "unallocated" : "data", offset };
}
