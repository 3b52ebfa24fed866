// A campaign: clients at work, and one fault after the other. After each the pair must be protected again, by itself; at
// the end nothing may have been lost, taken back, or cut off.
import { rmSync } from "node:fs";
import { EDGE } from "../src/pair/keys.ts";
import { CaptureReader } from "./capture-reader.ts";
import { Client } from "./clients.ts";
import type { Service } from "./clients.ts";
import { Cluster } from "./cluster.ts";
import type { ClusterEvent, ClusterOptions } from "./cluster.ts";
import { faults } from "./faults.ts";
import type { Fault, Scene } from "./faults.ts";
import { History } from "./history.ts";
import { Tap } from "./tap.ts";

export interface CampaignOptions extends ClusterOptions {
  /** Failovers after which it ends: machines that went on elsewhere, whatever made them. */
  readonly failovers: number;
  readonly seed: number;
  readonly clients: number;
  /** By turns, for a client each. */
  readonly services: readonly Service[];
  /** Only faults whose name contains this. */
  readonly only?: string | undefined;
  readonly print: (line: string) => void;
  /** Waits until the machine's services answer, and sets them up; for one that takes a while. */
  readonly ready?: ((cluster: Cluster) => Promise<void>) | undefined;
  /** How long a pair may take to be protected. */
  readonly patienceMs: number;
}

/** What one fault did. Times in milliseconds; undefined where there was none. */
export interface Round {
  readonly fault: string;
  readonly failovers: number;
  /** The longest that a client waited for an answer, from the fault on. */
  readonly outageMs: number;
  /** From the fault until a host gave another up; until it was allowed to go on; until it did; until a client heard. */
  readonly detectMs: number | undefined;
  readonly arbitrateMs: number | undefined;
  readonly restoreMs: number | undefined;
  readonly resumeMs: number | undefined;
  readonly protectedMs: number;
}

export interface CampaignResult {
  readonly rounds: readonly Round[];
  readonly answered: number;
  readonly framesSeen: number;
  readonly framesFenced: number;
  /** Connections that the death of the edge ended. */
  readonly endedWithEdge: number;
  readonly violations: readonly string[];
}

const TAKEOVER_PATIENCE_MS = 30_000;
const POLL_MS = 40;
/** Between two faults, at most. */
const REST_MS = 600;

const now = (): number => performance.timeOrigin + performance.now();
const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Mulberry32: the same faults for the same seed; when they strike is up to the processes. */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export async function runCampaign(options: CampaignOptions): Promise<CampaignResult> {
  rmSync(options.folder, { recursive: true, force: true });
  const cluster = await Cluster.create(options);
  try {
    return await new Campaign(options, cluster).run();
  } finally {
    await cluster.end();
  }
}

class Campaign {
  readonly #options: CampaignOptions;
  readonly #cluster: Cluster;
  readonly #random: () => number;
  readonly #history = new History();
  readonly #tap = new Tap();
  readonly #capture: CaptureReader;
  readonly #clients: readonly Client[];
  readonly #rounds: Round[] = [];
  readonly #violations: string[] = [];
  /** Who led, by token. */
  readonly #leaders = new Map<number, string>();
  #failovers = 0;
  #endedWithEdge = 0;
  /** Of this round. */
  #struckMs = 0;
  #events: ClusterEvent[] = [];
  #waits: { readonly ms: number; readonly waitedMs: number }[] = [];

  constructor(options: CampaignOptions, cluster: Cluster) {
    this.#options = options;
    this.#cluster = cluster;
    this.#random = generator(options.seed);
    this.#capture = new CaptureReader(cluster.captureFile);
    const { services } = options;
    const random = generator(options.seed + 1);
    this.#clients = Array.from({ length: options.clients }, (_, number) => {
      const { machinePort, protocol } = services[number % services.length];
      return new Client(number, {
        port: cluster.servicePort(machinePort),
        protocol,
        prefix: services.length === 1 ? "" : `${machinePort}.`,
        history: this.#history,
        random,
        answered: (ms, waitedMs) => this.#waits.push({ ms, waitedMs }),
      });
    });
    cluster.listen((event) => this.#heard(event));
  }

  async run(): Promise<CampaignResult> {
    const cluster = this.#cluster;
    if (cluster.arbiter === "etcd") cluster.start("etcd");
    cluster.start(EDGE);
    // A machine that is set up has nothing to lose yet, and runs faster alone.
    cluster.start(cluster.hosts[0]);
    await this.#options.ready?.(cluster);
    await this.#protected();
    for (const client of this.#clients) client.start();
    await pause(1000);
    try {
      await this.#faults();
      await Promise.all(this.#clients.map((client) => client.stop()));
      await Promise.all(this.#clients.map((client) => client.readAll()));
    } catch (error) {
      this.#violations.push((error as Error).message);
    }
    for (const client of this.#clients) client.close();
    this.#look();
    return this.#result();
  }

  #result(): CampaignResult {
    const { rolledBack, doubleActive, resets, frames, fenced } = this.#tap;
    const clientResets = this.#clients.reduce((sum, { resets: ended }) => sum + ended, 0) - this.#endedWithEdge;
    return {
      rounds: this.#rounds,
      answered: this.#history.answered,
      framesSeen: frames,
      framesFenced: fenced,
      endedWithEdge: this.#endedWithEdge,
      violations: [
        ...this.#violations,
        ...this.#history.violations.map((text) => `history: ${text}`),
        ...rolledBack.map((text) => `rolled back: ${text}`),
        ...doubleActive.map((text) => `double-active: ${text}`),
        ...(this.#endedWithEdge === 0 ? resets.map((text) => `reset: ${text}`) : []),
        ...(clientResets > 0 ? [`reset: ${clientResets} connections of clients ended`] : []),
        ...this.#clients.flatMap(({ complaints }) => complaints),
      ],
    };
  }

  /** Faults by turns, so that each kind comes as often as any other, in an order that follows from the seed. */
  async #faults(): Promise<void> {
    const { failovers, only = "", hosts, arbiter, print } = this.#options;
    const usable = faults.filter(
      (fault) =>
        fault.name.includes(only) && hosts.length >= (fault.hosts ?? 2) && (fault.arbiter ?? arbiter) === arbiter,
    );
    if (usable.length === 0) throw new Error(`no fault is called "${only}"`);
    let turn: Fault[] = [];
    while (this.#failovers < failovers) {
      if (turn.length === 0) {
        turn = usable
          .map((fault) => [this.#random(), fault] as const)
          .toSorted(([a], [b]) => a - b)
          .map(([, fault]) => fault);
      }
      const fault = turn.pop();
      if (fault === undefined) break;
      const round = await this.#round(fault);
      this.#rounds.push(round);
      print(`${String(this.#failovers).padStart(4)}  ${fault.name}: ${describe(round)}`);
      this.#look();
      if (this.#violationCount() > 0) throw new Error(`ends after ${fault.name}`);
    }
  }

  #violationCount(): number {
    const { rolledBack, doubleActive } = this.#tap;
    const complaints = this.#clients.reduce((sum, client) => sum + client.complaints.length, 0);
    const seen = rolledBack.length + doubleActive.length + complaints;
    return this.#violations.length + this.#history.violations.length + seen;
  }

  async #round(fault: Fault): Promise<Round> {
    const { leader, standby } = await this.#protected();
    await pause(this.#random() * REST_MS);
    this.#events = [];
    this.#waits = [];
    this.#struckMs = now();
    const [failovers, ended] = [this.#failovers, this.#resets()];
    const cluster = this.#cluster;
    const scene: Scene = {
      cluster,
      leader,
      standby,
      random: this.#random,
      pause,
      struck: (ms = now()) => {
        this.#struckMs = ms;
      },
      takenOver: () => this.#takenOver(leader),
      protectedAgain: () => this.#protected(),
    };
    cluster.note(`fault: ${fault.name}; ${leader} leads, ${standby} follows`);
    try {
      await fault.run(scene);
    } catch (error) {
      throw new Error(`${fault.name}: ${(error as Error).message}`, { cause: error });
    } finally {
      cluster.heal();
      cluster.wake();
    }
    // What died comes back after a while, and finds its place; nobody tells it which.
    for (const name of this.#processes()) {
      if (cluster.isAlive(name)) continue;
      await pause(this.#random() * REST_MS);
      cluster.start(name);
    }
    await this.#protected(fault);
    const protectedMs = now() - this.#struckMs;
    await this.#everyClientAnswered();
    if (fault.endsConnections === true) this.#endedWithEdge += this.#resets() - ended;
    return { fault: fault.name, failovers: this.#failovers - failovers, protectedMs, ...this.#outage() };
  }

  #processes(): string[] {
    return [...(this.#cluster.arbiter === "etcd" ? ["etcd"] : []), EDGE, ...this.#cluster.hosts];
  }

  #resets(): number {
    return this.#clients.reduce((sum, { resets }) => sum + resets, 0);
  }

  /** Another host than this one leads, or led already since the round began. */
  async #takenOver(before: string): Promise<ClusterEvent | undefined> {
    const isTakeover = ({ kind, from }: ClusterEvent): boolean => kind === "leading" && from !== before;
    const until = now() + TAKEOVER_PATIENCE_MS;
    const since = this.#events.length;
    return this.#events.slice(0, since).findLast(isTakeover) ?? (await this.#cluster.next(isTakeover, until - now()));
  }

  /** Waits until a host leads that another can take over for. @throws Error if that takes too long */
  async #protected(after?: Fault): Promise<{ leader: string; standby: string }> {
    const until = now() + this.#options.patienceMs;
    while (now() < until) {
      // A host that says it cannot go on is started anew, as a service manager does.
      for (const name of this.#processes()) this.#cluster.start(name);
      this.#cluster.wake();
      const answers = await Promise.all(this.#cluster.hosts.map((host) => this.#cluster.status(host)));
      const at = answers.findIndex((answer) => answer?.role === "leader" && answer.mode === "protected");
      const { standby, token } = answers[at] ?? {};
      if (
        at >= 0 &&
        standby !== undefined &&
        token !== undefined &&
        this.#leaders.get(token) === this.#cluster.hosts[at]
      ) {
        return { leader: this.#cluster.hosts[at], standby };
      }
      await pause(POLL_MS);
    }
    const answers = await Promise.all(this.#cluster.hosts.map((host) => this.#cluster.status(host)));
    const said = this.#events.slice(-20).map((event) => JSON.stringify(event));
    throw new Error(
      `${after?.name ?? "start"}: not protected after ${this.#options.patienceMs / 1000} s: ${JSON.stringify(answers)}; ` +
        `${said.join(" ")}; ${this.#cluster.complaints.slice(-5).join("; ")}`,
    );
  }

  async #everyClientAnswered(): Promise<void> {
    const since = this.#waits.length;
    const until = now() + TAKEOVER_PATIENCE_MS;
    while (this.#waits.length < since + 2 * this.#clients.length && now() < until) await pause(POLL_MS);
  }

  #heard(event: ClusterEvent): void {
    const { kind, from } = event;
    if (kind !== "captured" && kind !== "resumed" && kind !== "sent" && kind !== "committed") this.#events.push(event);
    if (kind === "leading" || kind === "unprotected") {
      const token = event["token"] as number;
      const leader = this.#leaders.get(token);
      if (leader !== undefined)
        this.#violations.push(`double-active: ${leader} and ${from} both lead with token ${token}`);
      this.#leaders.set(token, from);
      if (event["from"] === "power-on" && this.#leaders.size > 1)
        this.#violations.push(`${from} started the machine anew`);
      if (kind === "leading" && this.#leaders.size > 1) this.#failovers++;
    }
  }

  #look(): void {
    for (const frame of this.#capture.read()) this.#tap.see(frame);
  }

  /** What clients saw of the fault, and where the time went: by what hosts said of it. */
  #outage(): Omit<Round, "fault" | "failovers" | "protectedMs"> {
    const struck = this.#struckMs;
    const events = this.#events.filter(({ ms }) => ms >= struck);
    const at = (...kinds: readonly string[]): number | undefined => events.find(({ kind }) => kinds.includes(kind))?.ms;
    let [outageMs, endMs] = [0, struck];
    for (const { ms, waitedMs } of this.#waits) {
      // What was asked when somebody led again has waited for other things.
      if (ms - waitedMs > (at("leading", "unprotected") ?? Infinity)) continue;
      const waited = Math.min(waitedMs, ms - struck);
      if (waited > outageMs) [outageMs, endMs] = [waited, ms];
    }
    const detected = at("suspected", "undecided");
    const decided = at("claimed", "unprotected");
    const leads = at("leading", "unprotected");
    const span = (from: number | undefined, to: number | undefined): number | undefined =>
      from === undefined || to === undefined || to < from ? undefined : to - from;
    return {
      outageMs,
      detectMs: span(struck, detected),
      arbitrateMs: span(detected, decided),
      restoreMs: span(decided, leads),
      resumeMs: leads === undefined || endMs < leads ? undefined : endMs - leads,
    };
  }
}

const describe = ({ outageMs, protectedMs, failovers }: Round): string =>
  `${failovers} failovers, outage ${Math.round(outageMs)} ms, protected after ${Math.round(protectedMs)} ms`;
