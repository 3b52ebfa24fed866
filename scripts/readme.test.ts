import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { commands, modules } from "./readme-examples.ts";

const root = join(import.meta.dirname, "..");
const readmes = [
  "README.md",
  "examples/README.md",
  ...["apps", "packages"].flatMap((folder) =>
    readdirSync(join(root, folder)).map((name) => `${folder}/${name}/README.md`),
  ),
];

/** The command line from its sources: the tests run without a build. */
const fromSources = `"${process.execPath}" --conditions=source apps/cli/src/main.ts`;

const withExamples = readmes
  .filter((file) => existsSync(join(root, file)))
  .map((file): [string, string] => [file, readFileSync(join(root, file), "utf8")])
  .filter(([, text]) => modules(text).length + commands(text).length > 0);

describe.each(withExamples)("%s", (file, text) => {
  it.each(modules(text))("the module at line $line runs", { timeout: 60_000 }, ({ code, output }) => {
    const { stdout, stderr, status } = spawnSync(
      process.execPath,
      ["--conditions=source", "--input-type=module-typescript"],
      {
        cwd: join(root, dirname(file)),
        encoding: "utf8",
        input: code,
      },
    );
    expect(stderr).toBe("");
    expect(status).toBe(0);
    expect(output ?? stdout).toBe(stdout);
  });

  it.each(commands(text))("$code", { timeout: 60_000 }, ({ code, output }) => {
    const command = code.replaceAll("./doppel", fromSources).replace(/^node /, `"${process.execPath}" `);
    const { stdout, stderr } = spawnSync("sh", ["-c", `${command} 2>&1`], {
      cwd: root,
      encoding: "utf8",
    });
    expect(`${stdout}${stderr}`).toBe(output);
  });
});

describe("examples", () => {
  it("are found with what they print", () => {
    const text = "a\n\n```ts\nconsole.log(1);\n```\n\n```text\n1\n```\n\n```ts\nlet x;\n```\n\nb\n\n```text\nno\n```\n";
    expect(modules(text)).toEqual([
      { line: 3, code: "console.log(1);\n", output: "1\n" },
      { line: 11, code: "let x;\n", output: undefined },
    ]);
    expect(commands("```console\n$ echo a\na\n$ true\n```\n")).toEqual([
      { line: 2, code: "echo a", output: "a\n" },
      { line: 4, code: "true", output: "" },
    ]);
  });
});
