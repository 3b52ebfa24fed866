/** `doppel run --profile FILE`: the file for speedscope, and what it comes to on standard error. */
import { writeFileSync } from "node:fs";
import { CpuSampler, GuestProfile, type ProfileSummary, type TimeShare } from "@doppel/emulator/profile";
import { systemMessage } from "./options.ts";
import { printError } from "./output.ts";

/** Guest functions, system calls, helpers. */
const PARTS_SHOWN = 15;

export class RunProfile {
  readonly guest: GuestProfile = new GuestProfile(CpuSampler.nowUs);
  private readonly sampler: CpuSampler = new CpuSampler();
  private readonly path: string;
  private readonly title: string;

  /** Starts it. */
  constructor(path: string, title: string) {
    this.path = path;
    this.title = title;
    this.sampler.start();
  }

  finish(): void {
    const { file, summary } = this.guest.finish(this.title, this.sampler.stop());
    try {
      writeFileSync(this.path, JSON.stringify(file));
    } catch (error) {
      printError(`doppel: --profile ${this.path}: ${systemMessage(error)}\n`);
    }
    printError(profileTable(summary));
  }
}

function profileTable({ totalMs, kinds, truncated }: ProfileSummary): string {
  const row = ({ name, ms }: TimeShare, indent: string): string =>
    `${(indent + name).padEnd(60)} ${ms.toFixed(1).padStart(9)} ms ${((100 * ms) / totalMs).toFixed(1).padStart(5)} %`;
  const lines = [
    row({ name: "profiled", ms: totalMs }, ""),
    ...kinds.flatMap((kind) => [row(kind, ""), ...kind.parts.slice(0, PARTS_SHOWN).map((part) => row(part, "  "))]),
    ...(truncated ? ["too many system calls: later ones count as what they interrupted"] : []),
  ];
  return `${lines.join("\n")}\n`;
}
