/** `doppel disk`: a disk for others, over NBD. */
import { existsSync, statSync } from "node:fs";
import { FileDevice, serveNbd } from "@doppel/mirror-storage/node";
import { parseOptions, systemMessage } from "../options.ts";
import { print } from "../output.ts";
import { addressOf } from "../pair/address.ts";
import { loadConfig } from "../pair/config.ts";
import { runHost } from "../pair/host-process.ts";
import { UsageError } from "../usage-error.ts";

const USAGE = `usage: doppel disk serve FILE [options]
       doppel disk serve --pair FILE --host NAME

  serve FILE           serve a raw image over NBD until interrupted
    --size SIZE        make it this long if it is shorter or not there: 64M, 2G
    --listen ADDRESS   HOST:PORT, PORT, or the path of a socket (127.0.0.1:10809)
    --name NAME        of the export; clients may also ask for none
    --read-only        nobody writes
  serve --pair FILE    serve the mirrored disk of a pair, on the host that leads: a configuration of
    --host NAME        "doppel pair" whose machine is { kind: disk, sizeMiB: N, listen: ADDRESS }
    --log              events, one JSON object a line, on standard error
`;

const DEFAULT_ADDRESS = "127.0.0.1:10809";
const SECTOR_BYTES = 512;
const suffixes = ["", "K", "M", "G", "T"];

export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseOptions("disk", args, {
    help: { type: "boolean" },
    size: { type: "string" },
    listen: { type: "string", default: DEFAULT_ADDRESS },
    name: { type: "string", default: "" },
    "read-only": { type: "boolean" },
    pair: { type: "string" },
    host: { type: "string" },
    log: { type: "boolean" },
  });
  const [command, path, ...rest] = positionals;
  if (values.help === true || command === undefined) {
    print(USAGE);
    return command === undefined && values.help !== true ? 2 : 0;
  }
  if (command !== "serve") throw new UsageError(`disk: there is no command ${command}; doppel disk --help lists them`);
  if (values.pair !== undefined) return serveMirrored(values.pair, values.host, values.log === true);
  if (path === undefined || rest.length > 0) throw new UsageError("disk serve: give one image");
  const size = values.size === undefined ? undefined : sizeOf(values.size);
  const disk = await openImage(path, size);
  const at = addressOf(values.listen);
  const chosen = { disk, readOnly: values["read-only"] === true };
  const exports = new Map(["", values.name].map((name) => [name, chosen]));
  const complained = (text: string): void => void process.stderr.write(`doppel: ${text}\n`);
  const server = await serveNbd({ at, exports, complained }).catch((error: unknown) => {
    throw new UsageError(`--listen ${values.listen}: ${systemMessage(error)}`);
  });
  const where = "path" in at ? at.path : `${at.host}:${server.port}`;
  print(`${path}: ${disk.geometry.sectorCount * SECTOR_BYTES} bytes at ${where}\n`);
  await new Promise((resolve) => {
    process.once("SIGINT", resolve);
    process.once("SIGTERM", resolve);
  });
  await server.close();
  await disk.close();
  return 0;
}

async function serveMirrored(path: string, host: string | undefined, logs: boolean): Promise<number> {
  const loaded = loadConfig(path);
  if (loaded.config.machine.kind !== "disk") throw new UsageError(`${path}: its machine is no disk`);
  if (host === undefined || loaded.config.hosts[host] === undefined) {
    throw new UsageError(`--host: one of ${Object.keys(loaded.config.hosts).join(", ")}`);
  }
  const log = (event: object): void => {
    if (logs) process.stderr.write(`${JSON.stringify(event)}\n`);
  };
  return (await runHost(loaded, host, log)) ? 0 : 75;
}

/** @throws UsageError unless it is a whole number of sectors */
function sizeOf(text: string): number {
  const match = /^(\d+)([KMGT]?)$/i.exec(text);
  const size = match === null ? 0 : Number(match[1]) * 1024 ** suffixes.indexOf(match[2].toUpperCase());
  if (size > 0 && size % SECTOR_BYTES === 0 && Number.isSafeInteger(size)) return size;
  throw new UsageError(`--size ${text}: a number of bytes, K, M, G or T, and a multiple of ${SECTOR_BYTES}`);
}

async function openImage(path: string, size: number | undefined): Promise<FileDevice> {
  if (size === undefined) {
    const bytes = existsSync(path) ? statSync(path).size : undefined;
    if (bytes === undefined) throw new UsageError(`${path}: there is no such image; --size makes one`);
    if (bytes === 0 || bytes % SECTOR_BYTES !== 0) {
      throw new UsageError(
        `${path}: ${bytes} bytes are no number of sectors of ${SECTOR_BYTES}; --size makes it longer`,
      );
    }
  }
  try {
    return await FileDevice.open(path, size === undefined ? {} : { sectorCount: size / SECTOR_BYTES });
  } catch (error) {
    throw new UsageError(`${path}: ${systemMessage(error)}`);
  }
}
