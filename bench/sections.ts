/**
 * The sections of docs/benchmarks.md: one for each suite, kept in bench/results/ as it was last measured for the document, so
 * that suites can be measured at different times. The document and its plot are made from all that is kept.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Host, host } from "./host.ts";
import { plot } from "./plot.ts";
import { markdown } from "./report.ts";
import type { Results, SuiteResult } from "./results.ts";

interface Measured {
  readonly date: string;
  readonly host: Host;
}

/** A suite of tasks that contenders took turns at. */
export interface SuiteSection extends Measured, Pick<Results, "repeat" | "contenders" | "absent"> {
  readonly suite: SuiteResult;
}

/** Measurements of another kind, as Markdown. */
export interface TextSection extends Measured {
  readonly title: string;
  /** What measures it anew. */
  readonly command: string;
  readonly text: string;
}

export type Section = SuiteSection | TextSection;

const results = join(import.meta.dirname, "results");
/** Others come behind these, by name. */
const ORDER = ["kernels", "programs", "startup", "memory", "vm", "vm32", "techniques", "pair"];

const today = (): string => new Date().toISOString().slice(0, 10);

/** Keeps what `bench` found, suite by suite. */
export function keepResults({ date, host: ranOn, repeat, contenders, absent, suites }: Results): void {
  for (const suite of suites) keep(suite.name, { date, host: ranOn, repeat, contenders, absent, suite });
}

/** Keeps measurements of another kind, of now and this host. */
export function keepText(name: string, section: Pick<TextSection, "title" | "command" | "text">): void {
  keep(name, { date: today(), host: host(), ...section });
}

function keep(name: string, section: Section): void {
  mkdirSync(results, { recursive: true });
  writeFileSync(join(results, `${name}.json`), `${JSON.stringify(section, undefined, 2)}\n`);
}

function keptSections(): Section[] {
  const names = existsSync(results) ? readdirSync(results).flatMap((file) => /^(.*)\.json$/.exec(file)?.[1] ?? []) : [];
  const place = (name: string): number => (ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.length);
  names.sort((left, right) => place(left) - place(right) || left.localeCompare(right));
  return names.map((name) => JSON.parse(readFileSync(join(results, `${name}.json`), "utf8")) as Section);
}

/** Writes benchmarks.md and benchmarks.svg to a folder. */
export function writeDocument(folder: string): void {
  const sections = keptSections();
  writeFileSync(join(folder, "benchmarks.md"), markdown(sections));
  writeFileSync(
    join(folder, "benchmarks.svg"),
    plot(sections.flatMap((section) => ("suite" in section ? [section.suite] : []))),
  );
}
