import type { InterruptLine } from "../ports.ts";

/** One line that goes to several inputs: an ISA interrupt, which is wired to the PICs and to the IO-APIC. */
export function fanOut(lines: readonly InterruptLine[]): InterruptLine {
  return {
    set: (level) => {
      for (const line of lines) line.set(level);
    },
  };
}

/** One input that several outputs share, up while any of them is: PCI interrupts. */
export class SharedLine {
  readonly #line: InterruptLine;
  readonly #levels: boolean[] = [];

  constructor(line: InterruptLine) {
    this.#line = line;
  }

  /** Another output. */
  source(): InterruptLine {
    const index = this.#levels.push(false) - 1;
    return {
      set: (level) => {
        if (this.#levels[index] === level) return;
        this.#levels[index] = level;
        this.#line.set(this.#levels.includes(true));
      },
    };
  }
}
