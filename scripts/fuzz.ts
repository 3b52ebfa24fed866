// `pnpm fuzz [--rounds N] [--seed S] [FILE…]`: the property tests, over and over, with other cases each time. It ends at the
// first round that fails, with the command that shows it again.
import { spawnSync } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "10" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 2 ** 31)) },
  },
});
const [rounds, first] = [Number(values.rounds), Number(values.seed)];
if (!Number.isInteger(rounds) || rounds < 1 || !Number.isInteger(first)) {
  console.error("pnpm fuzz: --rounds and --seed take whole numbers, and there is one round at least");
  process.exit(2);
}

const files =
  positionals.length > 0
    ? positionals
    : globSync("{packages,apps}/*/{src,campaign}/**/*.test.ts").filter((file) =>
        readFileSync(file, "utf8").includes(`from "fast-check"`),
      );

for (let seed = first; seed < first + rounds; seed++) {
  const started = performance.now();
  const { status } = spawnSync("vitest", ["run", "--project", "unit", "--reporter", "minimal", ...files], {
    env: { ...process.env, DOPPEL_SEED: String(seed) },
    stdio: "inherit",
  });
  if (status !== 0) {
    console.error(`\nSeed ${seed} fails: DOPPEL_SEED=${seed} pnpm vitest run --project unit FILE`);
    process.exit(1);
  }
  console.log(`seed ${seed}: ${files.length} files passed, ${((performance.now() - started) / 1000).toFixed(0)} s`);
}
