/** Command-line options, with one clear line for what is wrong with them. */
import { parseArgs, type ParseArgsOptionsConfig } from "node:util";
import { UsageError } from "./usage-error.ts";

/** Parses options that may stand anywhere; everything else is a positional argument. */
export function parseOptions<const T extends ParseArgsOptionsConfig>(
  command: string,
  args: readonly string[],
  options: T,
): ReturnType<typeof parseArgs<{ options: T; allowPositionals: true }>> {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    throw new UsageError(
      `${command}: ${firstSentence((error as Error).message)}; doppel ${command} --help lists the options`,
    );
  }
}

/** Node explains at length how to pass positionals that look like options. */
export function firstSentence(message: string): string {
  return message.split(/\.(?=\s|$)/)[0].replaceAll("\n", " ");
}

/** What a failed call of the system says, without its code and its arguments: "no such file or directory". */
export function systemMessage(error: unknown): string {
  return (error as Error).message.replace(/^(\w+): ([^,]*),.*/s, "$2");
}
