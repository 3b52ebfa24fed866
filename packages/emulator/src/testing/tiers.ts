/** Ways to translate that must not differ: in haste, with care at once, and first the one, then the other. */
export const tiers: readonly (readonly [string, { readonly promoteAfter: number }])[] = [
  ["cold", { promoteAfter: 1_000_000 }],
  ["hot", { promoteAfter: 0 }],
  ["promoted", { promoteAfter: 3 }],
];
