// The examples of READMEs, to be run as a reader would run them.
//
//   ```ts        a module; when a ```text block follows at once, that is what it prints
//   ```console   lines that begin with `$ ` are commands, typed at the root; the others are what they print

export interface Example {
  /** Line of the README where the block begins, counted from 1. */
  readonly line: number;
  readonly code: string;
  /** What it prints; undefined where the README does not say. */
  readonly output: string | undefined;
}

interface Block {
  readonly line: number;
  readonly language: string;
  readonly text: string;
  readonly end: number;
}

function blocks(markdown: string): Block[] {
  const found: Block[] = [];
  const lines = markdown.split("\n");
  for (let index = 0; index < lines.length; index++) {
    const language = /^```(\w+)$/.exec(lines[index])?.[1];
    if (language === undefined) continue;
    const end = lines.indexOf("```", index + 1);
    if (end < 0) throw new Error(`line ${index + 1}: the block does not end`);
    found.push({ line: index + 1, language, text: `${lines.slice(index + 1, end).join("\n")}\n`, end });
    index = end;
  }
  return found;
}

/** Modules, in order. */
export function modules(markdown: string): Example[] {
  const all = blocks(markdown);
  const lines = markdown.split("\n");
  return all.flatMap((block, index) => {
    if (block.language !== "ts") return [];
    const next = all[index + 1];
    const follows = next?.language === "text" && lines.slice(block.end + 1, next.line - 1).every((line) => line === "");
    return [{ line: block.line, code: block.text, output: follows ? next.text : undefined }];
  });
}

/** Commands, in order, each with what it prints. */
export function commands(markdown: string): Example[] {
  return blocks(markdown)
    .filter(({ language }) => language === "console")
    .flatMap(({ line, text }) => {
      const found: { line: number; code: string; output: string }[] = [];
      for (const [index, content] of text.trimEnd().split("\n").entries()) {
        if (content.startsWith("$ ")) found.push({ line: line + index + 1, code: content.slice(2), output: "" });
        else found.at(-1)!.output += `${content}\n`;
      }
      return found;
    });
}
