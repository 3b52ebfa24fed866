/** The lines of a machine that `doppel vm` starts: its serial port, a virtio console, and which of them has the terminal. */
import { UsageError } from "../usage-error.ts";
import type { HostLine } from "./host-line.ts";
import { openLine, parseLineOption } from "./line-option.ts";
import { TerminalLine } from "./terminal-line.ts";

export interface VmLines {
  readonly serial: HostLine;
  readonly console: HostLine | undefined;
  readonly terminal: TerminalLine | undefined;
  readonly close: () => Promise<void>;
}

/** Opens what `--serial` and `--console` say. Throws UsageError, and leaves nothing open, where that cannot be. */
export async function openLines(
  values: { readonly serial?: string | undefined; readonly console?: string | undefined },
  note: (message: string) => void,
): Promise<VmLines> {
  const console = values.console === undefined ? undefined : parseLineOption("--console", values.console);
  const serial = parseLineOption("--serial", values.serial ?? (console?.to === "stdio" ? "none" : "stdio"));
  if (serial.to === "stdio" && console?.to === "stdio")
    throw new UsageError("vm: --serial and --console cannot both be stdio");
  const ends: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (const end of ends.splice(0).reverse()) await end();
  };
  let terminal: TerminalLine | undefined;
  const open = async (option: string, target: ReturnType<typeof parseLineOption>): Promise<HostLine> => {
    if (target.to === "stdio") {
      terminal = new TerminalLine();
      ends.push(() => Promise.resolve(terminal?.close()));
      return terminal.line;
    }
    const opened = await openLine(option, target, note);
    ends.push(opened.close);
    return opened.line;
  };
  try {
    const lines = {
      serial: await open("--serial", serial),
      console: console === undefined ? undefined : await open("--console", console),
    };
    return { ...lines, terminal, close };
  } catch (error) {
    await close();
    throw error;
  }
}
