/** How code is translated: not to WebAssembly at first, then in haste, with care once it is hot. */
export const TierNumber = { threaded: 0, cold: 1, hot: 2 } as const;
