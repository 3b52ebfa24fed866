// How a guest program reaches the registry: CPUID, which any program may execute, with a leaf of the range that processors
// leave to hypervisors (Intel SDM vol. 2A, CPUID: 40000000H to 4FFFFFFFH). `guests/include/doppel-purgeable.h` is the
// guest's side.
//
//   eax = leaf, ecx = operation, rsi, rdi, rdx = arguments
//   eax = 0 or an error of Linux, negated; rbx, rcx, rdx = results
//
//   operation            arguments                              results
//   0 version            -                                      ebx = 1
//   1 designate          rdi address, rsi length, rdx descriptor  rbx id, rcx nonce, rdx pages
//   2 set volatile       rdi id                                 rbx state before
//   3 set non-volatile   rdi id                                 rbx state before
//   4 remove             rdi id                                 rbx state before
//
// States: 0 non-volatile, 1 volatile, 2 empty. A processor that is not doppel's answers an unknown leaf with whatever it
// likes; programs look for the signature in leaf 40000000H and above first.
import type { CallError, CallResult, PurgeableRegistry, RegionState } from "./registry.ts";

export const purgeableLeaf = 0x4f50_5500;
/** In ebx, ecx, edx of that leaf's operation 0, after the version: so that no other hypervisor's leaf is taken for it. */
export const purgeableSignature = 0x676c_7070; // "pplg"
export const purgeableVersion = 1;

export interface CallArguments {
  readonly operation: number;
  /** Physical address of the root of the caller's page tables. */
  readonly space: number;
  readonly rdi: bigint;
  readonly rsi: bigint;
  readonly rdx: bigint;
}

export interface CallResults {
  readonly eax: number;
  readonly rbx: bigint;
  readonly rcx: bigint;
  readonly rdx: bigint;
}

/** Linux's numbers (asm-generic/errno-base.h). */
const errors: Readonly<Record<CallError | "ENOSYS", number>> = {
  ENOENT: 2,
  ENOMEM: 12,
  EFAULT: 14,
  EBUSY: 16,
  EINVAL: 22,
  ENOSYS: 38,
};

const stateNumbers: Readonly<Record<RegionState, bigint>> = { "non-volatile": 0n, volatile: 1n, empty: 2n };

export function purgeableCall(registry: PurgeableRegistry, call: CallArguments): CallResults {
  const { space, rdi, rsi, rdx } = call;
  const id = rdi <= 0xffff_ffffn ? Number(rdi) : -1;
  switch (call.operation) {
    case 0:
      return { eax: 0, rbx: BigInt(purgeableVersion), rcx: BigInt(purgeableSignature), rdx: 0n };
    case 1: {
      const result = registry.designate(space, rdi, rsi, rdx);
      if (!result.ok) return failure(result.error);
      const { value } = result;
      return { eax: 0, rbx: BigInt(value.id), rcx: value.nonce, rdx: BigInt(value.pages) };
    }
    case 2:
      return stateResult(registry.setVolatile(space, id));
    case 3:
      return stateResult(registry.setNonVolatile(space, id));
    case 4:
      return stateResult(registry.remove(space, id));
    default:
      return failure("ENOSYS");
  }
}

function stateResult(result: CallResult<RegionState>): CallResults {
  return result.ok ? { eax: 0, rbx: stateNumbers[result.value], rcx: 0n, rdx: 0n } : failure(result.error);
}

function failure(error: keyof typeof errors): CallResults {
  return { eax: -errors[error] >>> 0, rbx: 0n, rcx: 0n, rdx: 0n };
}
