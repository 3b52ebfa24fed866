import type { GuardPolicyChoice } from "@doppel/guard-memory";

export const guardPolicies: readonly GuardPolicyChoice[] = ["fault on store", "check on use", "by page"];

/** Ways to translate that must not differ: in haste, with care at once, and first the one, then the other. */
export const tiers: readonly (readonly [string, { readonly promoteAfter: number }])[] = [
  ["cold", { promoteAfter: 1_000_000 }],
  ["hot", { promoteAfter: 0 }],
  ["promoted", { promoteAfter: 3 }],
];

/** The same, under every way to keep translations and code coherent. */
export const tiersAndPolicies: readonly (readonly [string, GuardPolicyChoice, { readonly promoteAfter: number }])[] =
  tiers.flatMap(([name, tier]) => guardPolicies.map((policy) => [name, policy, tier] as const));
