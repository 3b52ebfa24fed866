/** `doppel pair`: a machine on two hosts. */
import { join } from "node:path";
import { parseOptions } from "../options.ts";
import { print } from "../output.ts";
import { UsageError } from "../usage-error.ts";
import { loadConfig } from "./config.ts";
import type { LoadedConfig } from "./config.ts";
import { askControl } from "./control.ts";
import type { Command } from "./control.ts";
import { runDemo } from "./demo.ts";
import { runEdge } from "./edge-process.ts";
import { runHost } from "./host-process.ts";
import { initPair } from "./init.ts";
import { showStatus } from "./status.ts";

const USAGE = `usage: doppel pair COMMAND [options]

  init [--name NAME] [--dir DIR] [--port N]   write pair.yaml and the keys
  edge                                        run the edge: where clients connect, and who leads is decided
  host NAME                                   run a host: it leads or follows, as the edge has it
  status [--watch] [--json]                   who leads, and what checkpoints cost
  failover                                    have the machine go on where its standby is
  stop [NAME]                                 end a host or the edge; without a name, all that are on this computer
  demo [--guest DIR]                          a pair on this computer, whose host is killed while a client talks to it;
                                              DIR: a guest that doppel guest debian has made

  --config FILE   the pair's configuration (pair.yaml)
  --log           events, one JSON object a line, on standard error
`;

const WATCH_MS = 1000;
const DEFAULT_PORT = 7470;
/** Events of every epoch, of which `status` gives the sum; "committed" stands for them in a log. */
const everyEpoch: ReadonlySet<unknown> = new Set(["captured", "resumed", "sent"]);

export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseOptions("pair", args, {
    help: { type: "boolean" },
    config: { type: "string", default: "pair.yaml" },
    log: { type: "boolean" },
    name: { type: "string", default: "pair" },
    dir: { type: "string", default: "." },
    guest: { type: "string" },
    port: { type: "string", default: String(DEFAULT_PORT) },
    watch: { type: "boolean" },
    json: { type: "boolean" },
  });
  const [command, name] = positionals;
  if (values.help === true || command === undefined) {
    print(USAGE);
    return command === undefined && values.help !== true ? 2 : 0;
  }
  const log = (event: object): void => {
    if (values.log !== true || ("kind" in event && everyEpoch.has(event.kind))) return;
    process.stderr.write(
      `${JSON.stringify({ ms: Math.round(performance.timeOrigin + performance.now()), ...event })}\n`,
    );
  };
  switch (command) {
    case "init": {
      const port = Number(values.port);
      if (!Number.isInteger(port) || port < 1 || port > 65_532) throw new UsageError("--port: 1 to 65532");
      const { path, keys } = initPair({ pair: values.name, folder: values.dir, port });
      print(`${path} written, and ${keys.length} keys\n`);
      return 0;
    }
    case "demo":
      return runDemo(print, values.guest);
    case "edge":
      endWithParent();
      await runEdge(loadConfig(values.config), log);
      return 0;
    case "host":
    case "primary":
    case "secondary": {
      endWithParent();
      const loaded = loadConfig(values.config);
      const host = hostNamed(loaded, command, name);
      return (await runHost(loaded, host, log)) ? 0 : 75;
    }
    case "status":
      return status(loadConfig(values.config), values.watch === true, values.json === true);
    case "failover":
    case "stop":
      return tell(loadConfig(values.config), command, name);
    default:
      throw new UsageError(`pair: there is no command ${command}; doppel pair --help lists them`);
  }
}

/** For a program that starts hosts as its children, over a channel: none is left behind. */
function endWithParent(): void {
  if (process.connected) process.once("disconnect", () => process.exit(1));
}

/** `primary` and `secondary` name hosts by the role they have in the beginning. */
function hostNamed({ config }: LoadedConfig, command: string, name: string | undefined): string {
  const names = Object.keys(config.hosts);
  const host = name ?? { primary: config.initial, secondary: names.find((one) => one !== config.initial) }[command];
  if (host === undefined) throw new UsageError(`pair host: which one? There are ${names.join(", ")}`);
  if (config.hosts[host] === undefined) throw new UsageError(`there is no host ${host}, but ${names.join(", ")}`);
  return host;
}

const socketsOf = ({ config, resolve }: LoadedConfig): Map<string, string> =>
  new Map(
    [
      ["edge", config.edge.directory],
      ...Object.entries(config.hosts).map(([host, { directory }]) => [host, directory]),
    ].map(([one, directory]) => [one, join(resolve(directory), "control.sock")]),
  );

async function askAll(loaded: LoadedConfig, command: Command, only?: string): Promise<Map<string, unknown>> {
  const answers = new Map<string, unknown>();
  for (const [name, path] of socketsOf(loaded)) {
    if (only !== undefined && name !== only) continue;
    try {
      answers.set(name, await askControl(path, command));
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
    }
  }
  return answers;
}

async function status(loaded: LoadedConfig, watch: boolean, json: boolean): Promise<number> {
  for (;;) {
    const answers = await askAll(loaded, "status");
    if (answers.size === 0) throw new UsageError(`nothing of pair ${loaded.config.pair} runs on this computer`, 1);
    print(json ? `${JSON.stringify(Object.fromEntries(answers))}\n` : showStatus(loaded.config.pair, answers));
    if (!watch) return 0;
    await new Promise((resolve) => setTimeout(resolve, WATCH_MS));
  }
}

async function tell(loaded: LoadedConfig, command: "failover" | "stop", name: string | undefined): Promise<number> {
  const answers = await askAll(loaded, command, name);
  const hosts = [...answers.keys()];
  if (hosts.length === 0) throw new UsageError(`nothing of pair ${loaded.config.pair} answers on this computer`, 1);
  print(`told ${hosts.join(", ")}\n`);
  return 0;
}
