// `doppel pair demo`: edge and two hosts as processes of this computer, a client that counts over one TCP connection, and
// SIGKILL for whichever host leads; twice.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { UsageError } from "../usage-error.ts";
import { CountingClient, plainDialect, redisDialect } from "./counting-client.ts";
import type { Dialect } from "./counting-client.ts";
import { freePorts, LocalPair } from "./local-pair.ts";
import type { LocalPairOptions } from "./local-pair.ts";

const endings = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Increments before, between and after the kills. */
const ROUND = 25;

interface DemoGuest {
  readonly summary: string;
  readonly pair: LocalPairOptions;
  readonly dialect: Dialect;
  /** What is said to the service first. */
  readonly settings: readonly string[];
  /** Most that it takes to start, or to be copied to another host. */
  readonly patienceMs: number;
}

const own: DemoGuest = {
  summary: "a key-value service with drivers of its own",
  pair: {},
  dialect: plainDialect,
  settings: [],
  patienceMs: 60_000,
};

/** What `doppel guest debian` has made. */
function debian(folder: string): DemoGuest {
  const file = (name: string): string => {
    const path = resolve(folder, name);
    if (!existsSync(path)) throw new UsageError(`${path} is not there: doppel guest debian --out ${folder}`);
    return path;
  };
  const machine = {
    kind: "vm",
    kernel: file("vmlinuz"),
    initrd: file("initrd.img"),
    append: "console=ttyS0 quiet",
    memoryMiB: 256,
    disk: { image: file("root.img") },
  };
  return {
    summary: "Debian, with redis-server, which has every change on the disk before it answers",
    pair: { machine, machinePort: 6379 },
    dialect: redisDialect,
    settings: ["CONFIG SET appendonly yes", "CONFIG SET appendfsync always"],
    patienceMs: 600_000,
  };
}

/** @param folder of a guest that `doppel guest debian` made; undefined: this command line's own */
export async function runDemo(print: (text: string) => void, folder: string | undefined): Promise<number> {
  const guest = folder === undefined ? own : debian(folder);
  const place = mkdtempSync(join(tmpdir(), "doppel-pair-"));
  const pair = new LocalPair(place, await freePorts(), [...process.execArgv, process.argv[1]], guest.pair);
  const tidy = async (): Promise<void> => {
    await pair.end();
    rmSync(place, { recursive: true, force: true });
  };
  const interrupted = (signal: NodeJS.Signals): void => {
    void tidy().then(() => process.exit(128 + constants.signals[signal]));
  };
  for (const signal of endings) process.once(signal, interrupted);
  try {
    return await demonstrate(pair, guest, print);
  } catch (error) {
    // Whatever did not come in time: what hosts and edge said last tells why.
    const said = pair.errors.slice(-5).join("");
    throw new UsageError(`pair demo: ${(error as Error).message}${said === "" ? "" : `\n${said}`}`, 1);
  } finally {
    for (const signal of endings) process.off(signal, interrupted);
    await tidy();
  }
}

async function demonstrate(pair: LocalPair, guest: DemoGuest, print: (text: string) => void): Promise<number> {
  print(`starting an edge and two hosts, each a process of its own; the machine: ${guest.summary}\n`);
  pair.start("edge");
  pair.start("a");
  await pair.serves(guest.patienceMs);
  pair.start("b");
  await pair.protectedBy("a", guest.patienceMs);
  const client = new CountingClient(pair.port + 3, "visits", guest.dialect);
  for (const line of guest.settings) await client.ask(line);
  await client.count(ROUND);
  print(`a leads, b follows; a client has counted to ${client.answered} over one TCP connection\n`);
  for (const [leader, next] of [
    ["a", "b"],
    ["b", "a"],
  ] as const) {
    client.longestGapMs = 0;
    pair.kill(leader);
    await client.count(ROUND);
    print(
      `${leader} was killed (SIGKILL); ${next} went on, and the client on its connection to ${client.answered}; ` +
        `the longest wait for an answer was ${Math.round(client.longestGapMs)} ms\n`,
    );
    pair.start(leader);
    await pair.protectedBy(next, guest.patienceMs);
    print(`${leader} is back, and follows ${next}\n`);
  }
  const kept = await client.read();
  const { staleFrames } = (await pair.ask("edge", "status")) as { staleFrames: number };
  client.close();
  const isRight = Number(kept) === client.answered && client.complaints.length === 0;
  print(
    `checked: ${client.answered} answers, each one more than the one before it; the machine says ${kept}; ` +
      `connections reset: ${client.resets}; frames of a host that was replaced, dropped at the edge: ${staleFrames}\n`,
  );
  for (const complaint of client.complaints) print(`WRONG: ${complaint}\n`);
  return isRight && client.resets === 0 ? 0 : 1;
}
