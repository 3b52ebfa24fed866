import type { ModuleArchive, UnitArchive } from "@doppel/dbt-core";
import type { GuardPolicyChoice } from "@doppel/guard-memory";

export const guardPolicies: readonly GuardPolicyChoice[] = ["fault on store", "check on use", "by page"];

/** When code is translated again: entries and loops. */
export interface Tiers {
  readonly compileAfter: number;
  readonly promoteAfter: number;
  /** When it is worth compiling beside what leads to it. */
  readonly batchAfter?: number;
  readonly archive?: UnitArchive;
  readonly modules?: ModuleArchive;
  readonly keptAfter?: number;
}

/** Ways to translate that must not differ: not to WebAssembly, in haste, with care at once, and one after the other. */
export const tiers: readonly (readonly [string, Tiers])[] = [
  ["threaded", { compileAfter: 1_000_000, promoteAfter: 1_000_000 }],
  ["cold", { compileAfter: 0, promoteAfter: 1_000_000 }],
  ["hot", { compileAfter: 0, promoteAfter: 0 }],
  ["promoted", { compileAfter: 2, promoteAfter: 3, batchAfter: 1 }],
];

/** The same, under every way to keep translations and code coherent. */
export const tiersAndPolicies: readonly (readonly [string, GuardPolicyChoice, { readonly promoteAfter: number }])[] =
  tiers.flatMap(([name, tier]) => guardPolicies.map((policy) => [name, policy, tier] as const));
