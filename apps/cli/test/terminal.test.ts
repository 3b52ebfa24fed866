// Interactive programs in a terminal: raw mode, window size, job control. What the screen shows is compared.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { need } from "./harness/requirements.ts";
import { doppel, temporaryDirectory } from "./harness/run.ts";
import { Terminal } from "./harness/terminal.ts";

interface Step {
  /** Text to type, then keys in tmux's notation. */
  readonly type?: string;
  readonly keys?: readonly string[];
  readonly resize?: readonly [number, number];
  /** What the screen shows when the step is done. */
  readonly shows: RegExp;
}

/** Without what differs from run to run: vim tells how long ago a change was made, and bash a job's process id. */
function steady(screen: string): string {
  return screen.replace(/\d+ seconds? ago/, "just now").replace(/^\[1\] \d+$/m, "[1] PID");
}

/** The screens after each step, those of `like` waited for if given, and what the files hold at the end. */
async function session(
  command: readonly string[],
  steps: readonly Step[],
  files: Readonly<Record<string, string>>,
  like?: readonly string[],
): Promise<string[]> {
  using directory = temporaryDirectory();
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory.path, name), text);
  const line = command.map((word) => `'${word.replaceAll("'", String.raw`'\''`)}'`).join(" ");
  await using terminal = new Terminal(line, directory.path);
  const screens: string[] = [];
  for (const [index, { keys = [], type, resize, shows }] of steps.entries()) {
    if (resize !== undefined) terminal.resize(...resize);
    if (type !== undefined) terminal.type(type);
    if (keys.length > 0) terminal.press(...keys);
    const wanted = like?.[index];
    const isComplete = wanted === undefined ? undefined : (screen: string): boolean => steady(screen) === wanted;
    screens.push(steady(await terminal.shows(shows, isComplete)));
    if (screens.at(-1)?.startsWith("never showed") === true) break;
  }
  for (const name of Object.keys(files)) screens.push(readFileSync(join(directory.path, name), "utf8"));
  return screens;
}

async function expectSameScreens(
  command: readonly string[],
  steps: readonly Step[],
  files: Readonly<Record<string, string>> = {},
): Promise<void> {
  const native = await session(command, steps, files);
  expect(native.join("\n----\n")).not.toContain("never showed");
  const guest = await session(doppel(command), steps, files, native);
  expect(guest).toEqual(native);
}

describe("interactive programs", () => {
  it("bash: editing, history, completion, interrupts, job control, a resized window", async (context) => {
    need(context, "tmux", "bash", "sleep", "cat", "stty");
    await expectSameScreens(
      ["env", "PS1=go>", "HISTFILE=/dev/null", "bash", "--norc", "--noprofile"],
      [
        { shows: /^go>$/m },
        { type: "echo hello world", keys: ["Enter"], shows: /^hello world\ngo>$/m },
        { keys: ["Up", "C-a", "M-f", "C-k"], shows: /go>echo$/m },
        { type: " edited", shows: /go>echo edited$/m },
        { keys: ["Enter"], shows: /^edited\ngo>$/m },
        { type: "cat fru", keys: ["Tab"], shows: /cat fruit\.txt$/m },
        { keys: ["Enter"], shows: /^pear\ngo>$/m },
        { type: "stty size; tty >/dev/null && echo terminal", keys: ["Enter"], shows: /^24 80\nterminal\ngo>$/m },
        { resize: [100, 30], shows: /go>$/m },
        { type: "stty size", keys: ["Enter"], shows: /^30 100\ngo>$/m },
        { type: "sleep 100", keys: ["Enter"], shows: /sleep 100$/m },
        { keys: ["C-c"], shows: /\^C\ngo>$/m },
        { type: "echo $?", keys: ["Enter"], shows: /^130\ngo>$/m },
        { type: "cat", keys: ["Enter"], shows: /go>cat$/m },
        { type: "to cat", keys: ["Enter"], shows: /^to cat\nto cat$/m },
        { keys: ["C-z"], shows: /Stopped +cat\ngo>$/m },
        { type: "jobs; fg", keys: ["Enter"], shows: /fg\n.*Stopped +cat\ncat$/m },
        { type: "again", keys: ["Enter"], shows: /^again\nagain$/m },
        { keys: ["C-d"], shows: /^again\ngo>$/m },
        { type: "sleep 0.3 & wait; echo waited", keys: ["Enter"], shows: /^waited\ngo>$/m },
        { type: "read -s -p 'secret: ' word", keys: ["Enter"], shows: /^.*secret:$/m },
        { type: "hidden", keys: ["Enter"], shows: /go>$/m },
        { type: "echo $word; exit 3", keys: ["Enter"], shows: /^hidden\nexit\n[^]*status 3/m },
      ],
      { "fruit.txt": "pear\n" },
    );
  });

  it("vim: inserting, moving, searching, replacing, undo, a split window, writing", async (context) => {
    need(context, "tmux", "vim");
    await expectSameScreens(
      ["vim", "-u", "NONE", "-N", "-n", "-i", "NONE", "poem"],
      [
        { shows: /first line[^]*poem/ },
        { type: "Goa line at the end", keys: ["Escape"], shows: /a line at the end[^]*~$/ },
        { type: "ggO# title", keys: ["Escape"], shows: /^# title[^]*~$/m },
        { type: "/second", keys: ["Enter"], shows: /\/second/ },
        { type: "ddp", shows: /third[^]*second/ },
        { type: ":%s/line/LINE/g", keys: ["Enter"], shows: /3 substitutions|4 substitutions/ },
        { type: "u", shows: /first line/ },
        { type: ":set number | split | syntax on", keys: ["Enter"], shows: /1 # title[^]*1 # title/ },
        { resize: [60, 20], shows: /1 # title[^]*1 # title/ },
        { type: ":only | w", keys: ["Enter"], shows: /written/ },
        { type: ":r !echo from a shell", keys: ["Enter"], shows: /3 from a shell/ },
        { type: ":x", keys: ["Enter"], shows: /status 0/ },
      ],
      { poem: "first line\nsecond line\nthird line\n" },
    );
  });
});
