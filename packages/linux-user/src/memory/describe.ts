// An address space as /proc and getrusage report it.

import type { MappingDescription, MemoryUsage } from "../kernel/task.ts";
import { PAGE_BYTES } from "../engine-port.ts";
import type { AddressSpace } from "./address-space.ts";
import { PROT_EXEC, PROT_READ, PROT_WRITE } from "./mapping.ts";

export function describeMappings(space: AddressSpace): MappingDescription[] {
  const result: MappingDescription[] = [];
  for (const mapping of space.mappings) {
    const source = mapping.file?.source;
    result.push({
      start: mapping.start,
      end: mapping.end,
      readable: (mapping.protection & PROT_READ) !== 0,
      writable: (mapping.protection & PROT_WRITE) !== 0,
      executable: (mapping.protection & PROT_EXEC) !== 0,
      shared: mapping.shared,
      fileOffset: mapping.fileOffset,
      device: source?.device ?? 0,
      inode: source?.inode ?? 0,
      name: source === undefined ? mapping.name : source.name,
      residentBytes: space.table.countIn(mapping.start, mapping.end) * PAGE_BYTES,
    });
  }
  return result;
}

export function measureMemory(space: AddressSpace | null): MemoryUsage {
  let dataBytes = 0;
  let stackBytes = 0;
  let textBytes = 0;
  let sharedBytes = 0;
  for (const mapping of space?.mappings ?? []) {
    const bytes = mapping.end - mapping.start;
    if (mapping.growsDown) stackBytes += bytes;
    else if (!mapping.shared && (mapping.protection & PROT_WRITE) !== 0) dataBytes += bytes;
    if ((mapping.protection & PROT_EXEC) !== 0) textBytes += bytes;
    if (mapping.file !== null) sharedBytes += space!.table.countIn(mapping.start, mapping.end) * PAGE_BYTES;
  }
  return {
    virtualBytes: space?.mappings.bytes ?? 0,
    residentBytes: (space?.residentPages ?? 0) * PAGE_BYTES,
    peakVirtualBytes: space?.peakVirtualBytes ?? 0,
    peakResidentBytes: (space?.peakResidentPages ?? 0) * PAGE_BYTES,
    dataBytes,
    stackBytes,
    textBytes,
    sharedBytes,
  };
}
