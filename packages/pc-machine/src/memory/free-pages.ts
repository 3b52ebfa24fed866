/** What becomes of pages whose content the guest says is of no use: zeros, which snapshots and the wire hold in no room. */
import type { GuestMemory } from "../ports.ts";
import type { FreePages } from "../virtio/balloon.ts";

const zeroes: Uint8Array = new Uint8Array(1 << 16);
/** A guest reports most of its memory while it boots, and has never touched it. Looking at every byte would cost more. */
const sampleBytes = 512;

/**
 * Clears pages as they are released. Those that hold next to nothing are left alone: writing to pages that nobody has
 * touched would only make the host find memory for them.
 */
export function clearFreePages(memory: GuestMemory): FreePages {
  return {
    release: (address, length) => {
      for (let at = 0; at < length; at += zeroes.length) {
        const count = Math.min(zeroes.length, length - at);
        const bytes = memory.view(address + at, count);
        if (bytes !== undefined && !seemsZero(bytes)) memory.write(address + at, zeroes.subarray(0, count));
      }
    },
  };
}

function seemsZero(bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length; at += sampleBytes) if (bytes[at] !== 0) return false;
  return true;
}
