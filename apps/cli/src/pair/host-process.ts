// A host of a pair as a process: leads or follows, as the arbiter has it.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { Adapter, announcement, defaultSettings, EdgeClient, Host } from "@doppel/ha-checkpoint";
import type { Arbiter, EpochCounts, PairEvent } from "@doppel/ha-checkpoint";
import { dial, EtcdArbiter, listen, nodeTimers, zstdCodec } from "@doppel/ha-checkpoint/node";
import type { Message } from "@doppel/mirror-storage";
import type { LoadedConfig } from "./config.ts";
import { serveControl } from "./control.ts";
import { EDGE_PATIENCE, etcdKey } from "./edge-process.ts";
import { EDGE, keyOf, keysOf } from "./keys.ts";
import { createMachine } from "./machines.ts";
import type { PairMachine } from "./machines.ts";
import { openDisk } from "./replicated-disk.ts";

const ADAPTER_BYTES = 16 << 20;
/** Released frames in a row while an ordinary machine's wait. */
const BURST = 32;
/** How long what the last epochs cost is remembered, for percentiles. */
const HISTORY = 1000;

/** Runs until it is told to stop; `log` hears every event, several for each epoch. Returns false if it cannot go on and should be started anew. */
export async function runHost(
  { config, resolve }: LoadedConfig,
  name: string,
  log: (event: object) => void,
): Promise<boolean> {
  collectByAllMemory();
  const { edge, machine: machineConfig, timing, pair, etcd } = config;
  const own = config.hosts[name];
  const others = Object.keys(config.hosts).filter((other) => other !== name);
  const directory = resolve(own.directory);
  const keysFolder = resolve(config.keys);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const timers = nodeTimers();
  const statistics = new Statistics();
  let ended: (again: boolean) => void = () => undefined;

  const adapter: Adapter = new Adapter({
    buffered: ["epochs"],
    maximumBytes: ADAPTER_BYTES,
    burst: BURST,
    ready: () => setImmediate(() => drain(adapter, client)),
  });
  const output = adapter.addFunction(
    { mac: machineConfig.mac, protection: { kind: "checkpointed", technology: "epochs" } },
    { checkpointWanted: () => host.leader?.wantCheckpoint(), room: () => machine.writable() },
  );
  const machine: PairMachine = createMachine(machineConfig, {
    transmit: (frame) => output.send(frame),
    checkpointWanted: () => host.leader?.wantCheckpoint(),
    resolve,
    directory,
    log,
  });
  const client: EdgeClient = new EdgeClient({
    pair,
    host: name,
    timers,
    heartbeatMs: timing.heartbeatMs,
    timeoutMs: EDGE_PATIENCE * timing.leaderTimeoutMs,
    retryMs: defaultSettings.retryMs,
    dial: (done) => dial({ host: edge.address, port: edge.port }, name, keyOf(keysFolder, name, EDGE), done),
    receive: (frame) => {
      if (host.leader !== undefined) machine.receive(frame);
    },
    event: (event) => log(event),
  });
  const arbiter: Arbiter =
    etcd === undefined
      ? client
      : new EtcdArbiter({ endpoints: etcd.endpoints, key: etcdKey(pair), timeoutMs: timing.leaderTimeoutMs });
  const settings = { ...defaultSettings, ...timing, pair, host: name };
  const host: Host<Message> = new Host<Message>(
    { ...settings, coldStartAfterMs: timing.coldStartAfterMs },
    {
      machine: machine.checkpointable,
      outputs: machine.output === undefined ? [output] : [output, machine.output],
      codec: zstdCodec,
      timers,
      arbiter,
      disk: await openDisk(directory, machine),
      event: (event) => {
        statistics.note(event);
        log(event);
        if (event.kind === "leading") output.send(announcement(machineConfig.mac));
        if (event.kind === "failed") ended(true);
      },
      dial: (to, done) => {
        const target = config.hosts[to];
        if (target === undefined) timers.after(0, () => done(undefined));
        else dial({ host: target.address, port: target.port }, name, keyOf(keysFolder, name, to), done);
      },
      boot: (done) =>
        machine.boot((complaint) => {
          if (complaint === undefined) return done();
          log({ kind: "failed", text: complaint });
          ended(true);
        }),
    },
    { initial: name === config.initial },
  );
  const listener = await listen(
    { host: own.address, port: own.port },
    keysOf(keysFolder, name, others),
    (link) => host.accept(link),
    (text) => log({ kind: "not-authenticated", text }),
  );
  client.start();
  host.start();
  const again = await new Promise<boolean>((resolveEnd) => {
    const control = serveControl(join(directory, "control.sock"), (command) => {
      if (command === "stop") ended(false);
      const { leader } = host;
      if (command === "failover") leader?.handOver("a failover was asked for");
      return {
        ...describe(host, name),
        heldFrames: output.heldFrames,
        heldBytes: output.heldBytes,
        ...statistics.summary(),
      };
    });
    ended = (restart): void => {
      control.close();
      resolveEnd(restart);
    };
    log({ kind: "ready", host: name, port: listener.port });
  });
  host.end();
  client.end();
  listener.close();
  return !again;
}

/** Hands frames to the edge as long as the connection takes them. */
function drain(adapter: Adapter, client: EdgeClient): void {
  while (adapter.hasFrames) {
    // A connection that is behind: the adapter holds, bounded, and the machine's network card notices.
    if (!client.isWritable) {
      setTimeout(() => drain(adapter, client), 1);
      return;
    }
    client.transmit(adapter.next()!);
  }
}

/** What this host is doing, for people and programs. */
function describe(host: Host<Message>, name: string): Record<string, unknown> {
  const { leader, standby } = host;
  if (leader !== undefined) {
    const { record, pagesLeft, epochsInFlight } = leader;
    // Protected is what somebody can take over.
    const mode = leader.mode === "protected" && !leader.isCovered ? "joining" : leader.mode;
    return {
      host: name,
      role: "leader",
      mode,
      token: record.token,
      standby: leader.standby,
      pagesLeft,
      epochsInFlight,
    };
  }
  return { host: name, role: "standby", phase: standby?.phase, complete: standby?.complete, epoch: standby?.epoch };
}

/**
 * Messages and pages pass through buffers outside of V8's heap. V8 collects all of the heap, which the translator has filled, after
 * every 64 MB of them; with this it does when heap and buffers together have grown by a share of what they are.
 */
function collectByAllMemory(): void {
  setFlagsFromString("--external-memory-accounted-in-global-limit");
}

/** What epochs cost, lately and in all. */
class Statistics {
  #epoch = 0;
  #checkpoints = 0;
  #behind = 0;
  readonly #pausesMs: number[] = [];
  readonly #latenciesMs: number[] = [];
  readonly #capturedMs = new Map<number, number>();
  #last: EpochCounts | undefined;
  #sentBytes = 0;

  note(event: PairEvent): void {
    if (event.kind === "captured") this.#capturedMs.set(event.epoch, performance.now());
    else if (event.kind === "resumed") push(this.#pausesMs, event.pauseMs);
    else if (event.kind === "behind") this.#behind++;
    else if (event.kind === "sent") {
      this.#last = event.counts;
      this.#sentBytes += event.counts.sentBytes + event.counts.stateBytes;
    } else if (event.kind === "committed") {
      this.#epoch = event.epoch;
      this.#checkpoints++;
      const captured = this.#capturedMs.get(event.epoch);
      this.#capturedMs.delete(event.epoch);
      if (captured !== undefined) push(this.#latenciesMs, performance.now() - captured);
    } else if (event.kind === "unprotected" || event.kind === "deposed") this.#capturedMs.clear();
  }

  summary(): Record<string, unknown> {
    return {
      epoch: this.#epoch,
      checkpoints: this.#checkpoints,
      behind: this.#behind,
      pauseMs: percentiles(this.#pausesMs),
      commitMs: percentiles(this.#latenciesMs),
      lastEpoch: this.#last,
      sentBytes: this.#sentBytes,
    };
  }
}

function push(values: number[], value: number): void {
  values.push(value);
  if (values.length > HISTORY) values.shift();
}

function percentiles(values: readonly number[]): { p50: number; p99: number } | undefined {
  if (values.length === 0) return undefined;
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): number => {
    const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
    return Math.round(value * 100) / 100;
  };
  return { p50: at(0.5), p99: at(0.99) };
}
