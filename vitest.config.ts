import type { ViteUserConfig } from "vitest/config";
import { controlPlugin } from "./scripts/controls/plugin.ts";
import SummaryReporter from "./scripts/summary-reporter.ts";

// Workspace packages are tested from their sources, without a build.
const conditions = ["source", "module", "node", "development|production"];
const control = process.env["DOPPEL_CONTROL"];
const shared = {
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  plugins: control === undefined ? [] : [controlPlugin(control)],
};

const summaryFile = process.env["DOPPEL_TEST_SUMMARY"];

const config: ViteUserConfig = {
  test: {
    pool: "forks",
    // Modules that a control changes are not those of the cache.
    fsModuleCache: control === undefined,
    reporters: summaryFile === undefined ? ["default"] : ["default", new SummaryReporter(summaryFile)],
    tags: [{ name: "slow", description: "Takes more than a few seconds", timeout: 180_000 }],
    projects: [
      {
        ...shared,
        test: {
          name: "unit",
          setupFiles: ["scripts/properties.ts"],
          include: [
            "packages/*/{src,oracle}/**/*.test.ts",
            "apps/*/{src,campaign}/**/*.test.ts",
            "{scripts,guests,bench}/**/*.test.ts",
          ],
          testTimeout: 20_000,
        },
      },
      {
        ...shared,
        test: {
          // Whole programs through the built CLI, or whole packages: `vitest run --project end-to-end`.
          name: "end-to-end",
          include: ["apps/*/test/**/*.test.ts", "packages/*/test/**/*.test.ts"],
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
};

export default config;
