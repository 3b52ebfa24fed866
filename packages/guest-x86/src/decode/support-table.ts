// The instructions the decoder knows, by the CPUID feature they need, as a Markdown document derived from the rows.
import { allForms } from "./catalog.ts";

/** The text of support.md, beside this file. */
export function supportTable(): string {
  const byFeature = new Map<string, { forms: number; mnemonics: Set<string> }>();
  let total = 0;
  for (const { feature, mnemonic } of allForms()) {
    const entry = byFeature.get(feature) ?? { forms: 0, mnemonics: new Set<string>() };
    entry.forms++;
    entry.mnemonics.add(mnemonic);
    byFeature.set(feature, entry);
    total++;
  }
  const sections = [...byFeature]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([feature, { forms, mnemonics }]) => [
      `## ${feature === "" ? "Every processor" : feature}`,
      "",
      `${forms} forms: ${[...mnemonics].sort().join(" ")}.`,
      "",
    ]);
  return [
    "# Instructions that decode",
    "",
    `${total} instruction forms, by the CPUID feature they need. Generated from the rows in forms/ by scripts/decode-tables.ts; a`,
    "form that decodes still needs a lifter, and a CPUID that announces its feature.",
    "",
    ...sections,
  ].join("\n");
}
