/** The processor that programs and machines are given by name. */
import { cpuidLevels, DEFAULT_CPUID_LEVEL } from "@doppel/guest-x86";

/** No processor has this name; the message says which there are. */
export class UnknownCpuError extends RangeError {
  constructor(name: string) {
    super(`there is no processor ${name}; there are ${cpuidLevels.map((level) => level.name).join(", ")}`);
    this.name = "UnknownCpuError";
  }
}

/** Throws UnknownCpuError. */
export function processorLevel(name: string = DEFAULT_CPUID_LEVEL): (typeof cpuidLevels)[number] {
  const level = cpuidLevels.find((candidate) => candidate.name === name);
  if (level === undefined) throw new UnknownCpuError(name);
  return level;
}
