/** What `--disk` and `--share` of `doppel vm` say. */
import { open } from "node:fs/promises";
import { systemMessage } from "../options.ts";
import { UsageError } from "../usage-error.ts";
import { parseSettings } from "./settings.ts";

export interface DiskOption {
  readonly path: string;
  readonly format: "raw" | "qcow2";
  /** What is written is gone afterwards. */
  readonly snapshot: boolean;
  readonly readOnly: boolean;
}

export interface ShareOption {
  readonly path: string;
  /** What the guest mounts it by. */
  readonly tag: string;
}

const qcow2Magic = "QFI\u00fb";
const maximumTagBytes = 31;

/** Reads `PATH[,format=raw|qcow2][,snapshot=on|off][,readonly=on|off]`. */
export async function parseDiskOption(text: string): Promise<DiskOption> {
  const { value: path, settings: pairs } = parseSettings("--disk", text, ["format", "snapshot", "readonly"]);
  const settings = new Map(pairs);
  const isOn = (name: string): boolean => {
    const value = settings.get(name) ?? "off";
    if (value !== "on" && value !== "off")
      throw new UsageError(`vm: --disk ${path}: ${name} is on or off, not ${value}`);
    return value === "on";
  };
  const format = settings.get("format") ?? (await formatOf(path));
  if (format !== "raw" && format !== "qcow2") {
    throw new UsageError(`vm: --disk ${path}: format is raw or qcow2, not ${format}`);
  }
  return { path, format, snapshot: isOn("snapshot"), readOnly: isOn("readonly") };
}

/** Reads `PATH[,tag=NAME]`. */
export function parseShareOption(text: string, index: number): ShareOption {
  const { value: path, settings } = parseSettings("--share", text, ["tag"]);
  const tag = settings.at(-1)?.[1] ?? (index === 0 ? "share" : `share${index}`);
  if (tag === "" || Buffer.byteLength(tag) > maximumTagBytes) {
    throw new UsageError(`vm: --share ${path}: a tag has 1 to ${maximumTagBytes} bytes`);
  }
  return { path, tag };
}

/**
 * The format a name promises. What a guest can write into a raw image must not decide that it is read as something
 * else the next time, so that a contradiction is the user's to resolve.
 */
async function formatOf(path: string): Promise<"raw" | "qcow2"> {
  if (/\.qcow2?$/.test(path)) return "qcow2";
  if ((await beginningOf(path)) === qcow2Magic) {
    throw new UsageError(`vm: --disk ${path} begins like a qcow2 image: add format=qcow2, or format=raw if it is none`);
  }
  return "raw";
}

async function beginningOf(path: string): Promise<string> {
  try {
    const file = await open(path);
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(qcow2Magic.length));
      return buffer.toString("latin1", 0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (error) {
    throw new UsageError(`vm: --disk ${path}: ${systemMessage(error)}`);
  }
}
