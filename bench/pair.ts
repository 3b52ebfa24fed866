/**
 * What it costs that a machine outlives its host, beside the same machine and emulator without a second host: checkpoints a
 * second, pauses, throughput and latency of its service, bytes that cross to the standby; and what clients see of a failover.
 *
 *   ./doppel bench pair [--guest own|model|debian [--debian DIR]] [--seconds N] [--rounds N] [--failovers N] [--write docs]
 *
 * Edge and hosts are processes of this computer, and share its processors: a standby's work counts against the leader here.
 */
import { readFileSync, mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { runCampaign } from "../apps/cli/campaign/campaign.ts";
import { Cluster } from "../apps/cli/campaign/cluster.ts";
import type { ClusterEvent } from "../apps/cli/campaign/cluster.ts";
import { guests } from "../apps/cli/campaign/guests.ts";
import { redisProtocol } from "../apps/cli/campaign/clients.ts";
import type { Service } from "../apps/cli/campaign/clients.ts";
import type { CampaignGuest } from "../apps/cli/campaign/guests.ts";
import { percentile } from "../apps/cli/campaign/table.ts";
import { priorityRows } from "../apps/cli/campaign/priority.ts";
import { markdownTable } from "./report.ts";
import { keepText, writeDocument } from "./sections.ts";
import { median } from "./statistics.ts";

/** Checkpoints a second that are asked for; 0: no second host. */
const RATES = [0, 5, 20, 40] as const;
const CONNECTIONS = 12;
/** How long one connection asks one question at a time, for the latency. */
const LATENCY_MS = 5000;
const KEYS = 200;
/** Of a counter of processor time in /proc. */
const TICKS_PER_SECOND = 100;
const PATIENCE_MS = 1_200_000;

/** A service at a rate of checkpoints. */
interface Run {
  readonly service: string;
  readonly rate: number;
  readonly seconds: number;
  readonly answers: number;
  /** Processor time of the leader's process. */
  readonly leaderSeconds: number;
  readonly latenciesMs: readonly number[];
  readonly events: readonly ClusterEvent[];
}

const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** The n-th question: changes and others by turns, each answered with one line. */
type Question = (n: number) => string;

interface Asking {
  readonly question: Question;
  /**
   * Questions that a connection asks before it has the answer to the first. No answer leaves before the next checkpoint, so
   * all connections together have at most `CONNECTIONS * window` for each of them.
   */
  readonly window: number;
}

/** As many questions ahead as the own guest's TCP takes in. */
const lines: Asking = {
  question: (n) => (n % 2 === 0 ? `set k${n % KEYS} value-${n}\n` : `get k${n % KEYS}\n`),
  window: 100,
};
/** As redis takes them too: its "inline commands". With 400 a leader at 20 checkpoints a second waited for questions. */
const redisLines: Asking = {
  question: (n) => (n % 2 === 0 ? `SET k${n % KEYS} value-${n}\r\n` : `EXISTS k${n % KEYS}\r\n`),
  window: 1200,
};
const askingOf = (protocol: Service["protocol"]): Asking => (protocol === redisProtocol ? redisLines : lines);

/** A connection that always has questions on their way; answers come in order. */
class Load {
  readonly #socket: Socket;
  readonly #question: Question;
  readonly #window: number;
  readonly #askedMs: number[] = [];
  #next: number;
  latenciesMs: number[] = [];

  /** `number`: of the connection. `window`: questions on their way. */
  constructor(port: number, number: number, question: Question, window: number) {
    this.#question = question;
    this.#window = window;
    this.#next = number * KEYS;
    this.#socket = connect(port, "127.0.0.1", () => this.#ask(this.#window));
    this.#socket.setNoDelay(true);
    this.#socket.on("error", () => undefined);
    this.#socket.on("data", (chunk: Buffer) => {
      let answers = 0;
      for (const byte of chunk) if (byte === 10) answers++;
      for (let at = 0; at < answers; at++) this.latenciesMs.push(performance.now() - (this.#askedMs.shift() ?? 0));
      this.#ask(answers);
    });
  }

  #ask(count: number): void {
    const questions: string[] = [];
    for (let at = 0; at < count; at++) {
      questions.push(this.#question(this.#next++));
      this.#askedMs.push(performance.now());
    }
    this.#socket.write(questions.join(""));
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** User and system time of a process (proc_pid_stat(5), fields 14 and 15). */
function processorSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "latin1")
    .replace(/^.*\) /s, "")
    .split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

async function waitFor(what: string, condition: () => Promise<boolean>): Promise<void> {
  const until = performance.now() + PATIENCE_MS;
  while (!(await condition())) {
    if (performance.now() > until) throw new Error(`no ${what} in ${PATIENCE_MS / 1000} s`);
    await pause(50);
  }
}

/** Seconds until a guest's code has been translated with care, and throughput hardly rises any more. */
const warmUpSeconds = (guest: CampaignGuest): number => (guest === guests["debian"] ? 40 : 3);

/** One machine, and its services one after another. */
async function measure(
  guest: CampaignGuest,
  debian: string | undefined,
  rate: number,
  seconds: number,
): Promise<Run[]> {
  const folder = mkdtempSync(join(tmpdir(), "doppel-bench-pair-"));
  const timing = rate === 0 ? {} : { intervalMs: 1000 / rate };
  const made = guest.make(debian);
  const cluster = await Cluster.create({ folder, hosts: ["a", "b"], arbiter: "edge", timing, ...made });
  try {
    const mode = rate === 0 ? "solo" : "protected";
    for (const name of ["edge", "a"]) cluster.start(name);
    await waitFor("machine", async () => (await cluster.status("a"))?.mode === "solo");
    await made.ready?.(cluster);
    if (rate > 0) cluster.start("b");
    await waitFor(`${mode} machine`, async () => (await cluster.status("a"))?.mode === mode);
    const runs: Run[] = [];
    const warmUpMs = 1000 * warmUpSeconds(guest);
    for (const service of made.services) {
      runs.push({ service: service.name, rate, ...(await load(cluster, service, mode, seconds, warmUpMs)) });
    }
    return runs;
  } finally {
    await cluster.end();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What a service answers while all connections ask. */
async function load(
  cluster: Cluster,
  { machinePort, protocol }: Service,
  mode: string,
  duration: number,
  warmUpMs: number,
): Promise<Omit<Run, "service" | "rate">> {
  const { question, window } = askingOf(protocol);
  const port = cluster.servicePort(machinePort);
  const loads = Array.from({ length: CONNECTIONS }, (_, number) => new Load(port, number, question, window));
  const events: ClusterEvent[] = [];
  let unlisten: (() => void) | undefined;
  try {
    await waitFor("answer", () => Promise.resolve(loads.every(({ latenciesMs }) => latenciesMs.length > 0)));
    await pause(warmUpMs);
    unlisten = cluster.listen((event) => events.push(event));
    for (const one of loads) one.latenciesMs = [];
    const [began, before] = [performance.now(), processorSeconds(cluster.pidOf("a"))];
    await pause(1000 * duration);
    const answers = loads.reduce((sum, { latenciesMs }) => sum + latenciesMs.length, 0);
    const [ended, after] = [performance.now(), processorSeconds(cluster.pidOf("a"))];
    unlisten();
    for (const one of loads) one.close();
    const single = new Load(port, CONNECTIONS, question, 1);
    loads.push(single);
    // The first answer waits until those to the others' last questions are worked out.
    await waitFor("answer", () => Promise.resolve(single.latenciesMs.length > 0));
    single.latenciesMs = [];
    await pause(LATENCY_MS);
    const isRight = (await cluster.status("a"))?.mode === mode && !events.some(({ kind }) => kind === "unprotected");
    if (!isRight) throw new Error("a host was given up while it was measured");
    return {
      seconds: (ended - began) / 1000,
      answers,
      leaderSeconds: after - before,
      latenciesMs: single.latenciesMs,
      events,
    };
  } finally {
    unlisten?.();
    for (const one of loads) one.close();
  }
}

const number = (value: number | undefined, digits = 0): string => (value === undefined ? "" : value.toFixed(digits));
const spread = (values: readonly number[], digits = 0): string =>
  values.length === 0 ? "" : `${number(percentile(values, 0.5), digits)} / ${number(percentile(values, 0.99), digits)}`;

const change = (ratio: number): string => `${ratio < 1 ? "" : "+"}${number(100 * (ratio - 1))}%`;

/** What the leader said of a kind, from all runs. */
const said = (runs: readonly Run[], kind: string): ClusterEvent[] =>
  runs.flatMap(({ events }) => events.filter((event) => event.kind === kind && event.from === "a"));

function costRows(runs: readonly Run[]): string[][] {
  const of = (rate: number): readonly Run[] => runs.filter((run) => run.rate === rate);
  const perSecond = (some: readonly Run[]): number => median(some.map(({ answers, seconds }) => answers / seconds));
  const perAnswer = (some: readonly Run[]): number => median(some.map((run) => run.leaderSeconds / run.answers));
  const alone = of(0);
  return RATES.map((rate) => {
    const some = of(rate);
    const committed = said(some, "committed").length / some.reduce((sum, { seconds }) => sum + seconds, 0);
    const pauses = said(some, "resumed").map((event) => event["pauseMs"] as number);
    const latencies = some.flatMap(({ latenciesMs }) => latenciesMs);
    return [
      rate === 0 ? "no second host" : `${rate} checkpoints a second`,
      rate === 0 ? "" : number(committed, 1),
      rate === 0 ? "" : spread(pauses, 2),
      number(perSecond(some)),
      rate === 0 ? "" : change(perSecond(some) / perSecond(alone)),
      number(1e6 * perAnswer(some)),
      spread(latencies, 1),
    ];
  });
}

interface Counts {
  readonly dirty: number;
  readonly zero: number;
  readonly diff: number;
  readonly whole: number;
  readonly free: number;
  readonly purgeable: number;
  readonly rawBytes: number;
  readonly sentBytes: number;
  readonly stateBytes: number;
}

const PAGE_BYTES = 4096;

/** Bytes of an epoch, mean, by what becomes of them. */
function byteRows(runs: readonly Run[]): string[][] {
  return RATES.filter((rate) => rate > 0).map((rate) => {
    const counts = said(
      runs.filter((run) => run.rate === rate),
      "sent",
    ).map((event) => event["counts"] as Counts);
    const mean = (of: (one: Counts) => number): number =>
      counts.reduce((sum, one) => sum + of(one), 0) / Math.max(1, counts.length);
    const kib = (of: (one: Counts) => number): string => number(mean(of) / 1024, 1);
    return [
      `${rate} checkpoints a second`,
      number(
        mean(({ dirty }) => dirty),
        1,
      ),
      kib(({ dirty }) => dirty * PAGE_BYTES),
      kib(({ rawBytes }) => rawBytes),
      kib(({ sentBytes }) => sentBytes),
      kib(({ stateBytes }) => stateBytes),
      kib(({ free }) => free * PAGE_BYTES),
      kib(({ purgeable }) => purgeable * PAGE_BYTES),
    ];
  });
}

async function failovers(
  guest: CampaignGuest,
  debian: string | undefined,
  count: number,
  note: (text: string) => void,
): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "doppel-bench-pair-"));
  try {
    const result = await runCampaign({
      folder,
      hosts: ["a", "b", "c"].slice(0, guest.hosts),
      arbiter: "edge",
      timing: {},
      failovers: count,
      seed: 1,
      clients: 6,
      only: "leader killed: ",
      print: (line) => note(`${line}\n`),
      ...guest.make(debian),
    });
    if (result.violations.length > 0) throw new Error(result.violations.join("\n"));
    const { rounds } = result;
    const row = (title: string, of: (round: (typeof rounds)[number]) => number | undefined): string[] => {
      const values = rounds.map(of).filter((value) => value !== undefined);
      return [title, number(percentile(values, 0.5)), number(percentile(values, 0.99))];
    };
    return [
      `${rounds.length} times the leader was killed (SIGKILL) in the course of a checkpoint; ${result.answered} answers were checked, ` +
        "none lost, none taken back, no connection reset.",
      "",
      markdownTable(
        ["milliseconds", "p50", "p99"],
        [
          row("a client's longest wait", ({ outageMs }) => outageMs),
          row("until the standby gives the leader up", ({ detectMs }) => detectMs),
          row("until the arbiter has decided", ({ arbitrateMs }) => arbitrateMs),
          row("until the machine runs again", ({ restoreMs }) => restoreMs),
          row("until the client hears", ({ resumeMs }) => resumeMs),
          row("from the kill until it is protected again", ({ protectedMs }) => protectedMs),
        ],
      ),
    ].join("\n");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export interface PairBenchOptions {
  readonly guest: string;
  /** Folder of a Debian guest. */
  readonly debian?: string | undefined;
  readonly seconds: number;
  readonly rounds: number;
  readonly failovers: number;
  readonly write: string | undefined;
  readonly print: (text: string) => void;
  readonly note: (text: string) => void;
}

export async function benchPair({
  guest: name,
  seconds,
  rounds,
  write,
  print,
  note,
  ...more
}: PairBenchOptions): Promise<void> {
  const guest = guests[name];
  if (guest === undefined)
    throw new RangeError(`there is no guest ${name}; there are ${Object.keys(guests).join(", ")}`);
  const runs: Run[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const rate of RATES) {
      note(
        `pair: round ${round + 1} of ${rounds}, ${rate === 0 ? "no second host" : `${rate} checkpoints a second`}\n`,
      );
      runs.push(...(await measure(guest, more.debian, rate, seconds)));
    }
  }
  const services = [...new Set(runs.map(({ service }) => service))];
  const text = [
    `Guest: ${guest.summary}. ${CONNECTIONS} clients, ${lines.window} questions ahead each (of redis: ${redisLines.window}), half of them changes, which`,
    `are on the disk before they are answered; ${rounds} rounds of ${seconds} s after ${warmUpSeconds(guest)} s, taking turns. Then one client,`,
    "one question at a time: its latency. All questions ahead can be answered once a checkpoint, whatever it costs; what it",
    "costs is in the processor time of an answer. p50 / p99 where there are two numbers.",
    "",
    ...services.flatMap((service) => [
      markdownTable(
        [
          service,
          "committed a second",
          "pause, ms",
          "answers a second",
          "throughput",
          "processor time an answer, µs",
          "latency, ms",
        ],
        costRows(runs.filter((run) => run.service === service)),
      ),
      "",
    ]),
    "Kilobytes of an epoch, mean: pages that changed, what of them is left as differences, and compressed, which is what crosses;",
    "the state of processor and devices; and what was left out, because the guest gave it up or can rebuild it.",
    "",
    ...services.flatMap((service) => [
      markdownTable(
        [service, "pages", "raw", "differences", "compressed", "state", "free", "purgeable"],
        byteRows(runs.filter((run) => run.service === service)),
      ),
      "",
    ]),
    await failovers(guest, more.debian, more.failovers, note),
    "",
    "Frames that a checkpoint releases, twenty every hundred frame times, on a link that another machine keeps busy: how long",
    "they wait in the adapter, in frame times, and what share of the link is left to the other machine.",
    "",
    markdownTable(
      ["released frames in a row, at most", "mean", "longest", "other machine's share"],
      [...priorityRows()],
    ),
  ].join("\n");
  print(`${text}\n`);
  if (write === undefined) return;
  const isOwn = name === "own";
  keepText(isOwn ? "pair" : `pair-${name}`, {
    title: isOwn ? "A machine on two hosts" : `A machine on two hosts: ${name}`,
    command: `./doppel bench pair${isOwn ? "" : ` --guest ${name}`} --write docs`,
    text,
  });
  writeDocument(write);
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      guest: { type: "string", default: "own" },
      debian: { type: "string" },
      seconds: { type: "string", default: "15" },
      rounds: { type: "string", default: "3" },
      failovers: { type: "string", default: "20" },
      write: { type: "string" },
    },
  });
  const { seconds, rounds, failovers: count, ...rest } = values;
  await benchPair({
    write: undefined,
    ...rest,
    seconds: Number(seconds),
    rounds: Number(rounds),
    failovers: Number(count),
    print: (text) => process.stdout.write(text),
    note: (text) => process.stderr.write(text),
  });
}
