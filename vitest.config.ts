import type { ViteUserConfig } from "vitest/config";

// Workspace packages are tested from their sources, without a build.
const conditions = ["source", "module", "node", "development|production"];
const shared = { resolve: { conditions }, ssr: { resolve: { conditions } } };

const config: ViteUserConfig = {
  ...shared,
  test: {
    pool: "forks",
    projects: [
      {
        ...shared,
        test: {
          name: "unit",
          include: ["packages/*/src/**/*.test.ts", "apps/*/src/**/*.test.ts", "scripts/**/*.test.ts"],
          testTimeout: 20_000,
        },
      },
      {
        ...shared,
        test: {
          name: "slow",
          include: ["apps/*/test/**/*.test.ts", "packages/*/test/**/*.test.ts"],
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
};

export default config;
