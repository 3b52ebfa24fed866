/**
 * zlib's `inflate_fast`, which is WebAssembly alone (`wasm/inflate.ts`): what that declines is the guest's own function's.
 *
 * It is an internal function, so it is known by its code; the same code has the same structures.
 */
import type { CodeSignature } from "../code-signature.ts";
import { C } from "../c-types.ts";
import { DECLINED, type NativeFunction, nativeFunction } from "../native-function.ts";
import { prototype } from "../prototype.ts";

/** Builds whose code is known. */
const signatures: readonly CodeSignature[] = [
  // Debian 12, zlib 1:1.2.13.dfsg-1: libz.so.1.2.13
  {
    length: 4741,
    head: [2303285057, 28918267],
    relocated: [605, 646, 1313, 1365, 1377, 2461, 2521, 2561, 2573, 4119, 4137, 4225, 4243, 4259],
    hash: "95c46ac0e6090309",
  },
];

export const inflateFunctions: readonly NativeFunction[] = [
  nativeFunction({
    name: "inflate_fast",
    prototype: prototype(C.void, [C.pointer, C.unsignedInt]),
    signatures,
    wasm: "inflate_fast",
    run: () => DECLINED,
  }),
];
