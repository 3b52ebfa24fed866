/** What becomes of pages whose content the guest says is of no use: zeros, which snapshots and the wire hold in no room. */
import type { GuestMemory } from "../ports.ts";
import type { FreePages } from "../virtio/balloon.ts";

const zeroes: Uint8Array = new Uint8Array(1 << 16);

/** Clears pages as they are released. */
export function clearFreePages(memory: GuestMemory): FreePages {
  return {
    release: (address, length) => {
      for (let at = 0; at < length; at += zeroes.length) {
        const count = Math.min(zeroes.length, length - at);
        const bytes = memory.view(address + at, count);
        // Writing to pages that nobody has touched would only make the host find memory for them.
        if (bytes !== undefined && !isZero(bytes)) memory.write(address + at, zeroes.subarray(0, count));
      }
    },
  };
}

/** Whole pages: a multiple of four bytes, aligned. */
function isZero(bytes: Uint8Array): boolean {
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  for (let index = 0; index < words.length; index++) if (words[index] !== 0) return false;
  return true;
}
