// An edge and hosts as processes, a proxy between each two of them, and, if it is to decide who leads, etcd.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Command } from "../src/pair/control.ts";
import { askControl } from "../src/pair/control.ts";
import { EDGE, makeKeys } from "../src/pair/keys.ts";
import { Proxy } from "./proxy.ts";
import type { Blocked } from "./proxy.ts";

/** What a host or the edge said: an event of the protocol, and when. */
export interface ClusterEvent {
  readonly ms: number;
  readonly from: string;
  readonly kind: string;
  readonly [field: string]: unknown;
}

/** Has a process send itself a signal at the next event of that kind (and role, where there are two). */
export interface Trap {
  readonly step: string;
  readonly role?: "leader" | "standby";
  readonly signal: "SIGKILL" | "SIGSTOP";
}

export interface ClusterOptions {
  readonly folder: string;
  readonly hosts: readonly string[];
  /** `machine:` of the configuration. */
  readonly machine: Readonly<Record<string, unknown>>;
  /** Ports of the machine that clients reach. */
  readonly machinePorts: readonly number[];
  readonly timing: Readonly<Record<string, number>>;
  readonly arbiter: "edge" | "etcd";
}

export interface HostStatus {
  readonly role: "leader" | "standby";
  readonly mode?: string;
  readonly token?: number;
  readonly standby?: string;
  readonly phase?: string;
  readonly complete?: boolean;
  readonly [field: string]: unknown;
}

const ARBITER = "etcd";

export class Cluster {
  readonly #options: ClusterOptions;
  readonly #children = new Map<string, ChildProcess>();
  readonly #proxies = new Map<string, Proxy>();
  readonly #listeners = new Set<(event: ClusterEvent) => void>();
  readonly #ports: ReadonlyMap<string, number>;
  /** What processes said that was no event: warnings, and reasons for their end. */
  readonly complaints: string[] = [];
  #ended = false;

  private constructor(options: ClusterOptions, ports: ReadonlyMap<string, number>) {
    this.#options = options;
    this.#ports = ports;
  }

  static async create(options: ClusterOptions): Promise<Cluster> {
    const { folder, hosts, machinePorts } = options;
    const services = machinePorts.map((port) => `service ${port}`);
    const names = [EDGE, ...hosts, ...services, ARBITER, "etcd peer"];
    const numbers = await freePorts(names.length);
    const cluster = new Cluster(options, new Map(names.map((name, at) => [name, numbers[at]])));
    mkdirSync(folder, { recursive: true });
    makeKeys(join(folder, "keys"), hosts);
    for (const from of [EDGE, ...hosts]) {
      for (const to of [EDGE, ...hosts, ARBITER]) {
        if (from !== to) cluster.#proxies.set(`${from}>${to}`, await Proxy.listen(cluster.#portOf(to)));
      }
      writeFileSync(cluster.#configOf(from), JSON.stringify(cluster.#configuration(from), undefined, 2));
    }
    return cluster;
  }

  get hosts(): readonly string[] {
    return this.#options.hosts;
  }

  get arbiter(): "edge" | "etcd" {
    return this.#options.arbiter;
  }

  get captureFile(): string {
    return join(this.#options.folder, "edge.pcapng");
  }

  /** Where clients reach a port of the machine. */
  servicePort(machinePort: number): number {
    return this.#portOf(`service ${machinePort}`);
  }

  #portOf(name: string): number {
    const port = this.#ports.get(name);
    if (port === undefined) throw new Error(`nothing is called ${name}`);
    return port;
  }

  #configOf(name: string): string {
    return join(this.#options.folder, `${name}.yaml`);
  }

  /** As the process called `self` sees the others: through its own proxies. */
  #configuration(self: string): unknown {
    const { folder, hosts, machine, machinePorts, timing, arbiter } = this.#options;
    const address = "127.0.0.1";
    const at = (to: string): { address: string; port: number; directory: string } => ({
      address,
      port: self === to ? this.#portOf(to) : (this.#proxies.get(`${self}>${to}`)?.port ?? this.#portOf(to)),
      directory: join(folder, to),
    });
    const forwards = machinePorts.map((machinePort) => ({ address, port: this.servicePort(machinePort), machinePort }));
    const etcd = `http://${address}:${this.#proxies.get(`${self}>${ARBITER}`)?.port ?? 0}`;
    return {
      pair: "campaign",
      keys: join(folder, "keys"),
      edge: { ...at(EDGE), capture: this.captureFile, forwards },
      ...(arbiter === "etcd" ? { etcd: { endpoints: [etcd] } } : {}),
      machine,
      initial: hosts[0],
      hosts: Object.fromEntries(hosts.map((host) => [host, at(host)])),
      timing,
    };
  }

  // --- Processes ------------------------------------------------------------------------------------------------------

  start(name: string): void {
    if (this.#ended || this.isAlive(name)) return;
    const child = name === ARBITER ? this.#spawnEtcd() : this.#spawn(name);
    this.#children.set(name, child);
    child.once("exit", (code, signal) => {
      this.#event({ kind: "exit", code, signal, from: name, ms: performance.timeOrigin + performance.now() });
    });
  }

  #spawn(name: string): ChildProcess {
    const args = [
      "--conditions=source",
      "--no-warnings",
      join(import.meta.dirname, "process.ts"),
      this.#configOf(name),
      name,
    ];
    // Hosts start often here: what was compiled once is kept.
    const env = { ...process.env, NODE_COMPILE_CACHE: join(this.#options.folder, "compile-cache") };
    const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "pipe", "ipc"], env });
    if (child.stderr === null) throw new Error("a child has standard error");
    createInterface({ input: child.stderr }).on("line", (line) => {
      let event: ClusterEvent;
      try {
        event = { ...(JSON.parse(line) as ClusterEvent), from: name };
      } catch {
        this.complaints.push(`${name}: ${line}`);
        return;
      }
      this.#event(event);
    });
    return child;
  }

  #spawnEtcd(): ChildProcess {
    const [client, peer] = [ARBITER, "etcd peer"].map((name) => `http://127.0.0.1:${this.#portOf(name)}`);
    const urls = ["--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer];
    const cluster = ["--initial-advertise-peer-urls", peer, "--initial-cluster", `default=${peer}`];
    const args = ["--data-dir", join(this.#options.folder, "etcd"), ...urls, ...cluster, "--log-level", "error"];
    return spawn("etcd", args, { stdio: "ignore" });
  }

  isAlive(name: string): boolean {
    const child = this.#children.get(name);
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  pidOf(name: string): number {
    const pid = this.#children.get(name)?.pid;
    if (pid === undefined) throw new Error(`${name} was never started`);
    return pid;
  }

  kill(name: string, signal: NodeJS.Signals = "SIGKILL"): void {
    this.#children.get(name)?.kill(signal);
  }

  /** Has whoever is stopped go on. */
  wake(): void {
    for (const [name, child] of this.#children) {
      if (child.pid === undefined || !this.isAlive(name) || !isStopped(child.pid)) continue;
      this.note(`${name} is stopped, and goes on`);
      child.kill("SIGCONT");
    }
  }

  setTrap(name: string, trap: Trap): void {
    this.#children.get(name)?.send(trap);
  }

  /** What passes between two; both ways are blocked unless told otherwise. */
  partition(one: string, other: string, { there, back }: Blocked = { there: true, back: true }): void {
    this.#proxies.get(`${one}>${other}`)?.block({ there, back });
    this.#proxies.get(`${other}>${one}`)?.block({ there: back, back: there });
  }

  cut(one: string, other: string): void {
    this.#proxies.get(`${one}>${other}`)?.cut();
    this.#proxies.get(`${other}>${one}`)?.cut();
  }

  heal(): void {
    for (const proxy of this.#proxies.values()) proxy.block({ there: false, back: false });
  }

  async end(): Promise<void> {
    this.#ended = true;
    const gone = [...this.#children]
      .filter(([name]) => this.isAlive(name))
      .map(([, child]) => new Promise((resolve) => child.once("exit", resolve)));
    for (const child of this.#children.values()) {
      child.kill("SIGKILL");
    }
    await Promise.all(gone);
    for (const proxy of this.#proxies.values()) proxy.close();
  }

  // --- What they say --------------------------------------------------------------------------------------------------

  #event(event: ClusterEvent): void {
    appendFileSync(join(this.#options.folder, "events.jsonl"), `${JSON.stringify(event)}\n`);
    for (const listener of this.#listeners) listener(event);
  }

  /** Into the record of what happened. */
  note(text: string): void {
    this.#event({ kind: "note", text, from: "campaign", ms: performance.timeOrigin + performance.now() });
  }

  listen(listener: (event: ClusterEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The next event that the condition holds of; undefined if there is none in time. */
  next(condition: (event: ClusterEvent) => boolean, patienceMs: number): Promise<ClusterEvent | undefined> {
    return new Promise((resolve) => {
      const finish = (event?: ClusterEvent): void => {
        clearTimeout(timer);
        unlisten();
        resolve(event);
      };
      const timer = setTimeout(() => finish(), patienceMs);
      const unlisten = this.listen((event) => {
        if (condition(event)) finish(event);
      });
    });
  }

  async ask(name: string, command: Command): Promise<unknown> {
    return askControl(join(this.#options.folder, name, "control.sock"), command);
  }

  /** Undefined if it does not answer: dead, stopped, or starting. */
  async status(name: string): Promise<HostStatus | undefined> {
    if (!this.isAlive(name)) return undefined;
    const late = new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), 1000).unref());
    const answer = this.ask(name, "status").catch(() => undefined) as Promise<HostStatus | undefined>;
    return Promise.race([answer, late]);
  }
}

/** Ports that are free now. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve, reject) => {
          server.once("error", reject);
          server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
        }),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** State T of proc_pid_stat(5). */
function isStopped(pid: number): boolean {
  try {
    return / T /.test(readFileSync(`/proc/${pid}/stat`, "latin1").replace(/^.*\)/s, ""));
  } catch {
    return false;
  }
}
