/** Files for the `programs` suite to work on: the same everywhere, from a seed. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";

const SEED = 0x9e3779b9;
const TEXT_BYTES = 6_000_000;
const RECORDS = 200_000;
const C_FUNCTIONS = 100;

/** Marsaglia's xorshift32: the same numbers everywhere. */
function random(): (below: number) => number {
  let state = SEED;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** Words of a vocabulary of 4,000, common ones more often: it packs about as well as prose. */
function prose(bytes: number): string {
  const next = random();
  const syllables = [
    "ba",
    "con",
    "de",
    "fer",
    "ga",
    "hin",
    "is",
    "ju",
    "ker",
    "lo",
    "men",
    "ni",
    "or",
    "pra",
    "ta",
    "un",
  ];
  const vocabulary = Array.from({ length: 4_000 }, () =>
    Array.from({ length: 1 + next(4) }, () => syllables[next(syllables.length)]).join(""),
  );
  const lines: string[] = [];
  for (let length = 0; length < bytes;) {
    const words = Array.from(
      { length: 6 + next(8) },
      () => vocabulary[Math.min(next(4_000), next(4_000), next(4_000))],
    );
    const line = words.join(" ");
    lines.push(line);
    length += line.length + 1;
  }
  return `${lines.join("\n")}\n`;
}

function records(count: number): string {
  const next = random();
  return Array.from(
    { length: count },
    (_, n) => `${next(1_000_000)},name${next(5_000)},${next(100)}.${next(100)},${n}\n`,
  ).join("");
}

/** Functions of ten lines with loops, arrays, structures and calls of earlier ones: what a compiler gets to see. */
function cSource(functions: number): string {
  const next = random();
  const parts = ["struct pair { int first; unsigned second; };\nstatic int table[256];\n"];
  for (let n = 0; n < functions; n++) {
    const callee = n === 0 ? "a" : `f${next(n)}(a - 1, p)`;
    parts.push(`int f${n}(int a, struct pair *p) {
  int sum = ${next(1000)}, i;
  for (i = 0; i < (a & ${1 + next(63)}); i++) {
    table[(i * ${1 + next(30)}) & 255] += p->first ^ (i << ${next(8)});
    if (table[i & 255] > ${next(10_000)}) sum -= table[(i + ${next(255)}) & 255] / ${1 + next(9)};
    else sum += p->second % ${2 + next(20)}u;
  }
  switch (sum & 3) { case 0: p->first += sum; break; case 1: p->second ^= (unsigned)sum * ${next(999)}u; break; default: sum += a; }
  return a > ${next(20)} ? sum + ${callee} : sum * ${1 + next(12)};
}
`);
  }
  return parts.join("");
}

export function writeInputs(folder: string): void {
  const text = prose(TEXT_BYTES);
  writeFileSync(join(folder, "text"), text);
  writeFileSync(join(folder, "half-text"), text.slice(0, TEXT_BYTES / 2));
  writeFileSync(join(folder, "long-text"), text.repeat(10));
  writeFileSync(join(folder, "records.csv"), records(RECORDS));
  writeFileSync(join(folder, "program.c"), cSource(C_FUNCTIONS));
}
