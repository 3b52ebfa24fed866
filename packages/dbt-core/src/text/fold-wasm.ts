/**
 * A WebAssembly function as statements: each instruction with its operands in parentheses, locals and guest state by
 * name, a line for whatever has an effect. Shorter than the text format, and what changes between two versions of it is
 * what changed in the code: golden tests keep it.
 *
 * ```text
 *   $6 = i64.add($6, 8)     local.set; `$6 := …` inside an expression is local.tee
 *   rax = $6                           a store to that piece of guest state; rax alone is a load
 *   %1 = …                             a value on the stack across an effect
 * ```
 */
import type { WasmFunction, WasmInstruction } from "./wasm-text.ts";

/** What lies at an offset from the context pointer, or undefined. */
export type StateName = (offset: number) => string | undefined;

const CONTEXT = "$context";
const OPENS: ReadonlySet<string> = new Set(["block", "loop", "if"]);

class Folder {
  readonly lines: string[] = [];
  private readonly stateName: StateName;
  /** Expressions on the stack, and where on it each open block began. */
  private stack: string[] = [];
  private readonly outer: { readonly stack: string[]; readonly result: string | undefined }[] = [];
  private depth = 0;
  private temporaries = 0;

  constructor(stateName: StateName) {
    this.stateName = stateName;
  }

  add(instruction: WasmInstruction): void {
    const { name, text, pops, pushes } = instruction;
    if (name === "else" || name === "end") return this.close(name);
    // Code that cannot be reached may take what is not there.
    const operands = Array.from({ length: pops }, () => this.stack.pop() ?? "?").toReversed();
    if (OPENS.has(name)) return this.open(name, text, operands);
    const written = this.write(instruction, operands);
    if (pushes > 0) this.stack.push(written);
    else this.effect(written);
  }

  /** A line, once what is on the stack has been worked out. */
  private effect(text: string): void {
    this.stack = this.stack.map((value) => {
      if (/^(%\d+|-?\d+)$/.test(value)) return value;
      const name = `%${++this.temporaries}`;
      this.line(`${name} = ${value}`);
      return name;
    });
    this.line(text);
  }

  private line(text: string): void {
    this.lines.push("  ".repeat(this.depth) + text);
  }

  private open(name: string, type: string, operands: readonly string[]): void {
    const result = type === "" ? undefined : `%${++this.temporaries}`;
    this.effect(`${result === undefined ? "" : `${result} = `}${[name, ...operands].join(" ")}`);
    this.outer.push({ stack: this.stack, result });
    this.stack = [];
    this.depth++;
  }

  private close(name: string): void {
    const { stack, result } = this.outer.pop()!;
    if (result !== undefined) this.effect(this.stack.pop() ?? "?");
    this.depth--;
    this.line(name);
    if (name === "else") {
      this.outer.push({ stack, result });
      this.stack = [];
      this.depth++;
    } else {
      this.stack = result === undefined ? stack : [...stack, result];
    }
  }

  private write({ name, text, immediates }: WasmInstruction, operands: readonly string[]): string {
    switch (name) {
      case "local.get":
        return text;
      case "local.set":
        return `${text} = ${operands[0]}`;
      case "local.tee":
        return `(${text} := ${operands[0]})`;
      case "i32.const":
      case "i64.const":
        return text;
      default:
        break;
    }
    const isStore = /\.store\d*$/.test(name);
    if (isStore || /\.load/.test(name)) {
      const offset = Number(immediates[1]);
      const state = operands[0] === CONTEXT ? this.stateName(offset) : undefined;
      if (state !== undefined) return isStore ? `${state} = ${operands[1]}` : state;
      const place = `${operands[0]}${offset === 0 ? "" : ` + ${offset}`}`;
      return isStore ? `${name}[${place}] = ${operands[1]}` : `${name}[${place}]`;
    }
    const list = operands.length === 0 ? "" : `(${operands.join(", ")})`;
    return `${name}${text === "" ? "" : ` ${text}`}${list}`;
  }
}

export function foldFunction({ instructions }: WasmFunction, stateName: StateName): string {
  const folder = new Folder(stateName);
  for (const instruction of instructions) folder.add(instruction);
  return `${folder.lines.join("\n")}\n`;
}
