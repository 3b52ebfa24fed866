/**
 * The ratios as a picture: a row for each task, a mark for each contender on a logarithmic scale, its spread as a line.
 * Right of the middle doppel is faster. Plain SVG, drawn for light and dark pages alike.
 */
import { contendersOf, OURS, type SuiteResult, wallRatio } from "./results.ts";

const ROW = 18;
const LABEL = 150;
const WIDTH = 760;
const RIGHT = 20;
const TICKS = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20];
const COLOURS = ["#d95f02", "#1b9e77", "#7570b3", "#e7298a"];

const escapeText = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

export function plot(suites: readonly SuiteResult[]): string {
  const names = [...new Set(suites.flatMap(contendersOf))].filter((name) => name !== OURS);
  const low = Math.log(TICKS[0]);
  const high = Math.log(TICKS.at(-1)!);
  const x = (value: number): string => {
    const place = Math.min(high, Math.max(low, Math.log(value)));
    return (LABEL + ((place - low) / (high - low)) * (WIDTH - LABEL - RIGHT)).toFixed(1);
  };
  const marks: string[] = [];
  let y = 40;
  for (const suite of suites) {
    y += ROW;
    marks.push(`<text x="8" y="${y + 4}" font-weight="bold">${escapeText(suite.name)}</text>`);
    for (const task of suite.tasks) {
      y += ROW;
      marks.push(`<text x="8" y="${y + 4}">${escapeText(task.name)}</text>`);
      names.forEach((name, index) => {
        const ratio = wallRatio(task, name);
        if (ratio === undefined) return;
        const colour = COLOURS[index % COLOURS.length];
        marks.push(
          `<path d="M${x(ratio.low)} ${y}H${x(ratio.high)}" stroke="${colour}" stroke-width="2" opacity="0.5"/>`,
          `<circle cx="${x(ratio.value)}" cy="${y}" r="4" fill="${colour}"><title>${ratio.value.toFixed(2)}</title></circle>`,
        );
      });
    }
  }
  const height = y + ROW;
  const grid = TICKS.flatMap((tick) => [
    `<path d="M${x(tick)} 34V${height}" stroke="#888" opacity="${tick === 1 ? 0.9 : 0.25}"/>`,
    `<text x="${x(tick)}" y="28" text-anchor="middle">${tick}</text>`,
  ]);
  const legend = names.map(
    (name, index) =>
      `<circle cx="${LABEL + index * 110}" cy="10" r="4" fill="${COLOURS[index % COLOURS.length]}"/>` +
      `<text x="${LABEL + 8 + index * 110}" y="14">${escapeText(name)} / ${OURS}</text>`,
  );
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="11" fill="#777">`,
    ...legend,
    ...grid,
    ...marks,
    "</svg>",
  ].join("\n")}\n`;
}
