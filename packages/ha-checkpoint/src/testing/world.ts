// Hosts, their disks, an edge with its arbiter, clients, a network: all simulated but for the code under test, which is
// what runs in production: host, adapter, disk, and both sides of the connection to the edge. What happens follows from a
// seed. Who leads is decided by the edge, or apart from it, as by etcd: then its answers may overtake each other, and the
// edge hears of them by asking.
//
// The checkers see frames at the edge, what clients are told, memory when a checkpoint is taken, memory and disks when a
// host goes on from it; nothing of the protocol's own state:
// - history is linear: of all frames that passed the edge, each follows from the one before it, or is older (C3);
// - a client's acknowledged value is never lost, its connection never reset but by a start from the disk (C3);
// - a host that goes on from a checkpoint has its memory and its disk (C2, S4);
// - a machine that was replaced never passes the edge again: never two active (C3).
import { journalSectors, Primary, Secondary } from "@doppel/mirror-storage";
import type { BlockDevice, FencedDevice, Message as MirrorMessage } from "@doppel/mirror-storage";
import { decodeMessage, encodeMessage } from "@doppel/mirror-storage";
import { Clock, Random, SimulatedDisk } from "@doppel/mirror-storage/testing";
import { Adapter } from "../adapter/adapter.ts";
import { EdgeClient } from "../edge/edge-client.ts";
import { EdgeServer } from "../edge/edge-server.ts";
import { plainCodec } from "../epochs/codec.ts";
import { LeadershipRegister } from "../failover/arbiter.ts";
import type { Arbiter, ArbiterAnswer, Leadership } from "../failover/arbiter.ts";
import type { DiskRoles } from "../failover/disk.ts";
import { Host } from "../failover/host.ts";
import type { OutputPort, PairEvent, PairSettings } from "../failover/settings.ts";
import { Client } from "./client.ts";
import { History } from "./history.ts";
import { Network, Place } from "./network.ts";
import { decodeReply, toyClients, ToyMachine, toyPageBytes, toySectorBytes, toySectors } from "./toy-machine.ts";

/** What is switched off, for the checkers to notice. */
export type Control = "buffering" | "fencing" | "arbitration" | "rollback" | "dirty-bit" | "zeroing";

export type WorldTopology = "mirrored" | "shared" | "diskless";

export interface WorldOptions {
  readonly seed: number;
  readonly topology: WorldTopology;
  /** Two, or more: one leads, one follows, the others wait. */
  readonly hosts?: number;
  readonly without?: Control | undefined;
  /** Who decides who leads; the edge unless given. */
  readonly arbiter?: "edge" | "apart";
}

/** What the checkers found. */
export class Violation extends Error {}

const mac = "02:00:00:00:00:01";
const sectorsPerBlock = 4;
const rollbackBlocks = 16;

const settings: Omit<PairSettings, "host"> = {
  pair: "simulated",
  intervalMs: 20,
  maximumInFlight: 2,
  stagedPages: 64,
  cachePages: 8,
  heartbeatMs: 10,
  leaderTimeoutMs: 60,
  standbyTimeoutMs: 90,
  joiningTimeoutMs: 90,
  graceMs: 5,
  retryMs: 15,
  coldStartAfterMs: 400,
};

/** The machine's memory as it should be found again. */
interface Snapshot {
  readonly memory: Uint8Array;
  readonly node: number;
}

export class SimulatedHost extends Place {
  readonly disk: SimulatedDisk;
  readonly journal: SimulatedDisk;
  machine: ToyMachine | undefined;
  host: Host<MirrorMessage> | undefined;
  edgeClient: EdgeClient | undefined;
  /** Which of the machines that ran in this world it runs, in order. */
  instance = 0;

  constructor(name: string, clock: Clock, disk: SimulatedDisk, journal: SimulatedDisk) {
    super(name, clock);
    this.disk = disk;
    this.journal = journal;
  }

  get isLeading(): boolean {
    return this.alive && this.machine?.isRunning === true && this.host?.leader !== undefined;
  }
}

export class World {
  readonly clock: Clock = new Clock();
  readonly random: Random;
  readonly network: Network;
  readonly edge: Place;
  /** Where somebody else than the edge decides. */
  readonly #arbiter: Place;
  #server: EdgeServer | undefined;
  readonly hosts: readonly SimulatedHost[];
  readonly clients: readonly Client[];
  readonly history: History = new History();
  /** What happened, by name. */
  readonly counts: Map<string, number> = new Map();
  readonly log: string[] = [];
  violation: Violation | undefined;
  readonly #options: WorldOptions;
  /** As it is durable. */
  readonly #register: LeadershipRegister;
  /** Which machine carries a token. */
  readonly #instanceOf = new Map<number, number>();
  readonly #snapshots = new Map<string, Snapshot>();
  #instances = 0;
  /** Of frames that passed the edge: the newest in the machine's history, and the newest machine. */
  #newest = 0;
  #newestInstance = 0;
  coldStarts = 0;

  constructor(options: WorldOptions) {
    this.#options = options;
    this.random = new Random(options.seed);
    this.network = new Network(this.clock, this.random);
    this.edge = new Place("edge", this.clock);
    this.#arbiter = options.arbiter === "apart" ? new Place("arbiter", this.clock) : this.edge;
    this.#register = this.#newRegister(undefined);
    const geometry = { sectorSize: toySectorBytes, sectorCount: toySectors };
    const journalGeometry = {
      sectorSize: toySectorBytes,
      sectorCount: Math.min(200, journalSectors(2 * rollbackBlocks, toySectorBytes * sectorsPerBlock, toySectorBytes)),
    };
    const disk = (): SimulatedDisk => new SimulatedDisk(geometry, this.clock, this.random);
    const shared = disk();
    if (options.without === "fencing") shared.fencing = false;
    const names = ["A", "B", "C"].slice(0, options.hosts ?? 2);
    this.hosts = names.map((name) => {
      const own = options.topology === "shared" ? shared : disk();
      return new SimulatedHost(name, this.clock, own, new SimulatedDisk(journalGeometry, this.clock, this.random));
    });
    this.clients = Array.from(
      { length: toyClients },
      (_, number) =>
        new Client(number, {
          send: (frame) => this.#toMachine(frame),
          violate: (text) => this.violate(text),
          remembers: options.topology !== "diskless",
        }),
    );
  }

  count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
    if (this.log.length < 5000) this.log.push(`${this.clock.now} ${what}`);
  }

  violate(text: string): void {
    this.violation ??= new Violation(`seed ${this.#options.seed}: ${text}`);
  }

  /** The record of the arbiter. */
  get leadership(): Leadership | undefined {
    return this.#register.record;
  }

  /** The host that the arbiter says leads. */
  get leading(): SimulatedHost | undefined {
    return this.hosts.find((host) => host.name === this.leadership?.leader && host.isLeading);
  }

  get isProtected(): boolean {
    return this.leading?.host?.leader?.mode === "protected";
  }

  start(): void {
    this.#startEdge();
    for (const host of this.hosts) this.#startHost(host);
  }

  /** Runs until the condition holds, at most so many steps; false if it never did. Throws what a checker found. */
  async runUntil(condition: () => boolean, maximumSteps = 20_000): Promise<boolean> {
    for (let step = 0; step < maximumSteps; step++) {
      if (this.violation !== undefined) throw this.violation;
      if (condition()) return true;
      if (!(await this.clock.step())) return condition();
    }
    return condition();
  }

  async runFor(milliseconds: number): Promise<void> {
    const end = this.clock.now + milliseconds;
    this.clock.schedule(milliseconds, () => undefined);
    await this.runUntil(() => this.clock.now >= end);
  }

  // --- Hosts ----------------------------------------------------------------------------------------------------------

  #startHost(place: SimulatedHost): void {
    const { without, topology } = this.#options;
    const adapter = new Adapter({
      buffered: ["epochs"],
      maximumBytes: 100_000,
      burst: 8,
      ready: () => this.#transmit(place, adapter),
    });
    const port = adapter.addFunction(
      { mac, protection: { kind: "checkpointed", technology: "epochs" } },
      { checkpointWanted: () => place.host?.leader?.wantCheckpoint() },
    );
    const machine = new ToyMachine({ history: this.history, transmit: (frame) => port.send(frame) });
    if (topology === "diskless") machine.disk = forgetful;
    if (without === "dirty-bit") machine.blindPage = 3 + (this.#options.seed % 4);
    // Without buffering, the port never holds anything back.
    const unbuffered: OutputPort = {
      protect: () => undefined,
      seal: () => undefined,
      release: () => undefined,
      goUnprotected: (token) => port.goUnprotected(token),
      discard: () => port.discard(),
    };
    const client = new EdgeClient({
      pair: settings.pair,
      host: place.name,
      timers: place.timers(),
      heartbeatMs: settings.heartbeatMs,
      timeoutMs: settings.leaderTimeoutMs,
      retryMs: settings.retryMs,
      dial: (done) => {
        const accept: Parameters<Network["dial"]>[2] = (link) => this.#server?.accept(link, place.name);
        this.network.dial(place, this.edge, accept, done);
      },
      receive: (frame) => {
        if (place.isLeading) machine.receive(frame);
      },
      event: (event) => {
        if (event.kind === "edge-refused") this.violate(`the edge refused ${place.name}: ${event.text}`);
      },
    });
    place.edgeClient = client;
    client.start();
    place.machine = machine;
    place.host = new Host<MirrorMessage>(
      { ...settings, host: place.name },
      {
        machine,
        outputs: [without === "buffering" ? unbuffered : port],
        codec: plainCodec,
        timers: place.timers(),
        arbiter: this.#options.arbiter === "apart" ? this.#arbiterOf(place) : client,
        disk: topology === "diskless" ? undefined : this.#diskOf(place, machine),
        event: (event) => this.#event(place, event),
        dial: (name, done) => this.#dial(place, name, done),
        boot: (done) => this.#boot(place, machine, done),
      },
      { initial: place === this.hosts[0] },
    );
    place.host.start();
  }

  #dial(place: SimulatedHost, name: string, done: Parameters<Network["dial"]>[3]): void {
    const target = this.hosts.find((host) => host.name === name)!;
    const accept: Parameters<Network["dial"]>[2] = (link) => {
      if (target.host !== undefined) return target.host.accept(link);
      link.close();
      return undefined;
    };
    this.network.dial(place, target, accept, done);
  }

  #boot(place: SimulatedHost, machine: ToyMachine, done: () => void): void {
    this.coldStarts++;
    this.count("cold start");
    const { topology } = this.#options;
    const boot = (): void =>
      machine.boot(() => {
        // A new history begins, and nobody may see more of the old one.
        this.#newest = machine.node;
        this.#newestInstance = this.#instances + 1;
        done();
      });
    if (topology !== "shared") return boot();
    const token = place.host?.leader?.record.token ?? 0;
    place.disk.viewOf(place).fence(token, () => place.enter(boot));
  }

  /** The host loses power, or its process is killed; it comes back if a delay is given. */
  crash(place: SimulatedHost, restartAfter: number | undefined, silently: boolean): void {
    if (!place.alive) return;
    this.count(`crash of the ${this.#roleOf(place)}`);
    place.die();
    place.machine?.halt();
    place.machine = undefined;
    place.host = undefined;
    place.edgeClient = undefined;
    for (const disk of [place.journal, place.disk]) disk.cut(place);
    place.journal.losePower();
    if (this.#options.topology !== "shared") place.disk.losePower();
    this.network.cut(place, silently);
    if (restartAfter !== undefined) this.clock.schedule(restartAfter, () => this.restart(place));
  }

  restart(place: SimulatedHost): void {
    if (place.alive) return;
    place.alive = true;
    this.#startHost(place);
  }

  #roleOf(place: SimulatedHost): string {
    if (place.host?.leader !== undefined) return `leader, ${place.host.leader.mode}`;
    return place.host?.standby?.complete === true ? "standby" : "standby, incomplete";
  }

  /** SIGSTOP, and SIGCONT after a while. */
  pause(place: Place, milliseconds: number): void {
    if (!place.alive || place.isStopped) return;
    this.count(`pause of the ${place instanceof SimulatedHost ? this.#roleOf(place) : place.name}`);
    place.stop();
    const { incarnation } = place;
    this.clock.schedule(milliseconds, () => {
      if (place.incarnation === incarnation) place.goOn();
    });
  }

  // --- Disks ----------------------------------------------------------------------------------------------------------

  #diskOf(place: SimulatedHost, machine: ToyMachine): DiskRoles<MirrorMessage> {
    const topology = this.#options.topology === "shared" ? "shared" : "mirrored";
    const disk = new CountedDevice(place.disk.viewOf(place), place);
    const common = { name: "disk", topology, sectorsPerBlock } as const;
    return {
      lead: (options) => {
        const primary = new Primary({ ...common, ...options, disk, maximumRequestBytes: 8 * toySectorBytes });
        machine.disk = primary;
        return primary;
      },
      follow: (options) => {
        const restoring = (): boolean => place.host?.standby?.phase === "promoting";
        const secondary: Secondary = new Secondary({
          ...common,
          ...options,
          disk: this.#options.without === "rollback" ? deaf(disk, restoring) : disk,
          journal: new CountedDevice(place.journal.viewOf(place), place),
          rollbackBlocks,
          writeBufferBlocks: rollbackBlocks,
          salt: this.random.below(2 ** 31),
        });
        return secondary;
      },
      whenIdle: (done) => disk.whenIdle(done),
      encode: (message) => encodeMessage(message),
      decode: (bytes) => decodeMessage(bytes.subarray(4)),
    };
  }

  // --- The edge -------------------------------------------------------------------------------------------------------

  #newRegister(record: Leadership | undefined): LeadershipRegister {
    return this.#options.without === "arbitration" ? new LenientRegister(record) : new LeadershipRegister(record);
  }

  #startEdge(): void {
    const { without, arbiter } = this.#options;
    this.#server = new EdgeServer({
      pair: settings.pair,
      mac,
      register: this.#newRegister(this.leadership),
      save: (record, done) => this.#save(record, done),
      timers: this.edge.timers(),
      heartbeatMs: settings.heartbeatMs,
      timeoutMs: settings.standbyTimeoutMs,
      deliver: (frame, { token }) => this.#atEdge(frame, token),
      dropped: (frame, { token }) => {
        this.count("stale frame dropped");
        if (without === "fencing") this.#atEdge(frame, token);
      },
      event: (event) => {
        if (event.kind === "refused") this.violate(`the edge refused ${event.host}: ${event.text}`);
      },
    });
    if (arbiter === "apart") this.#observe();
  }

  /** To the arbiter's file: at times it takes long, and whoever asked does not wait any more. */
  #save(record: Leadership, done: (error: string | undefined) => void): void {
    const { incarnation } = this.edge;
    const delay = this.random.chance(0.05) ? this.random.below(200) : 1 + this.random.below(4);
    this.clock.schedule(delay, () => {
      // A crash on the way leaves it durable or not.
      if (this.edge.incarnation === incarnation || this.random.chance(0.5)) this.#register.adopt(record);
      if (this.edge.incarnation === incarnation) this.edge.enter(() => done(undefined));
    });
  }

  /** The edge's process is killed, and comes back with what was durable. */
  crashEdge(restartAfter: number): void {
    if (!this.edge.alive) return;
    this.count("crash of the edge");
    this.edge.die();
    this.#server = undefined;
    this.network.cut(this.edge, false);
    this.clock.schedule(restartAfter, () => this.restartEdge());
  }

  restartEdge(): void {
    if (this.edge.alive) return;
    this.edge.alive = true;
    this.#startEdge();
  }

  /** Learns who leads from an arbiter that is elsewhere. */
  #observe(): void {
    this.network.datagram(this.#arbiter, this.edge, () => {
      if (this.leadership !== undefined) this.#server?.observe(this.leadership);
    });
    this.edge.later(settings.heartbeatMs, () => this.#observe());
  }

  /** An arbiter apart from the edge. */
  #arbiterOf(place: SimulatedHost): Arbiter {
    const ask = (apply: () => ArbiterAnswer, done: (answer: ArbiterAnswer) => void): void => {
      let open = true;
      const { incarnation } = place;
      const answer = (given: ArbiterAnswer): void => {
        if (!open || place.incarnation !== incarnation) return;
        open = false;
        done(given);
      };
      place.later(60, () => answer({ ok: false, text: "no answer" }));
      this.network.datagram(place, this.#arbiter, () => {
        // Some requests dawdle, and are carried out when nobody waits for them any more.
        this.#arbiter.later(this.random.chance(0.05) ? this.random.below(200) : 0, () => {
          const given = apply();
          this.network.datagram(this.#arbiter, place, () => answer(given));
        });
      });
    };
    return {
      read: (done) => ask(() => ({ ok: true, record: this.leadership, swapped: false }), done),
      compareAndSwap: (expected, next, done) => ask(() => this.#swap(expected, next), done),
    };
  }

  #swap(expected: Leadership | undefined, next: Leadership): ArbiterAnswer {
    const proposed = this.#register.proposed(expected, next);
    if (proposed === undefined) return { ok: true, record: this.leadership, swapped: false };
    this.#register.adopt(proposed);
    return { ok: true, record: proposed, swapped: true };
  }

  /** The host's network card sends what its adapter has, a frame at a time. */
  #transmit(place: SimulatedHost, adapter: Adapter): void {
    place.later(1, () => {
      const client = place.edgeClient;
      if (client?.isWritable !== true) return adapter.hasFrames ? this.#transmit(place, adapter) : undefined;
      const next = adapter.next();
      if (next === undefined) return;
      this.#instanceOf.set(next.token, place.instance);
      if (!this.random.chance(0.02)) client.transmit(next);
      if (adapter.hasFrames) this.#transmit(place, adapter);
    });
  }

  #atEdge(frame: Uint8Array, token: number): void {
    const reply = decodeReply(frame);
    const instance = this.#instanceOf.get(token) ?? 0;
    if (instance < this.#newestInstance) this.violate(`a machine that was replaced is seen outside`);
    this.#newestInstance = Math.max(instance, this.#newestInstance);
    const { history } = this;
    const isNewer = history.depth(reply.node) >= history.depth(this.#newest);
    const [later, earlier] = isNewer ? [reply.node, this.#newest] : [this.#newest, reply.node];
    if (!history.follows(later, earlier)) this.violate(`a frame of a history that was rolled back is seen outside`);
    this.#newest = later;
    const client = this.clients[reply.client];
    if (client === undefined) return;
    const { coldStarts } = this;
    this.edge.later(this.network.travelTime, () => client.receive(reply, coldStarts));
  }

  #toMachine(frame: Uint8Array): void {
    if (this.random.chance(0.02)) return;
    this.edge.later(this.network.travelTime, () => this.#server?.toMachine(frame));
  }

  // --- What the hosts tell --------------------------------------------------------------------------------------------

  #event(place: SimulatedHost, event: PairEvent): void {
    switch (event.kind) {
      case "captured":
        return this.#captured(place, event.epoch);
      case "promoted":
        this.count("promoted");
        return this.#promoted(place, event.epoch);
      case "leading":
        place.instance = ++this.#instances;
        return this.count(`leading from ${event.from}`);
      case "refused":
        return this.violate(`refused: ${event.reason}: ${event.text}`);
      case "failed":
        this.count("failed");
        return place.later(1, () => this.crash(place, 30, false));
      case "committed":
        if (event.role === "leader" && this.isProtected) this.count("committed while protected");
        return;
      case "protected":
        this.counts.delete("committed while protected");
        return this.count("protected");
      case "resumed":
      case "sent":
        return;
      case "session-ended":
      case "undecided":
      case "suspected":
        if (this.log.length < 5000) this.log.push(`${this.clock.now} ${place.name} ${event.kind}: ${event.reason}`);
        if (/epoch|write|block|version|disk's|no message|out of turn/.test(event.reason)) {
          const expected = /the standby failed: the disk failed|the peer|the connection|simulated/.test(event.reason);
          if (!expected) this.violate(`a session ended by a complaint: ${event.reason}`);
        }
        return;
      default:
        return this.count(event.kind);
    }
  }

  #captured(place: SimulatedHost, epoch: number): void {
    const { machine, host } = place;
    const token = host?.leader?.record.token;
    if (machine === undefined || token === undefined) return;
    this.#snapshots.set(`${token} ${epoch}`, { memory: keptMemory(machine), node: machine.node });
    if (this.#snapshots.size > 64) this.#snapshots.delete(this.#snapshots.keys().next().value!);
  }

  #promoted(place: SimulatedHost, epoch: number): void {
    const { machine, host } = place;
    const session = host?.standby?.session;
    if (machine === undefined || session === undefined) return this.violate("promoted without a session");
    const snapshot = this.#snapshots.get(`${session.token} ${epoch}`);
    if (snapshot === undefined) return this.violate(`went back to epoch ${epoch}, which is no checkpoint`);
    const memory = keptMemory(machine);
    const different = memory.findIndex((byte, at) => byte !== snapshot.memory[at]);
    if (different >= 0) {
      this.violate(`page ${Math.floor(different / toyPageBytes)} is not that of epoch ${epoch}`);
    }
    if (machine.node !== snapshot.node) this.violate(`the state is not that of epoch ${epoch}`);
    if (this.#options.topology === "diskless") return;
    const complaint = machine.checkDisk(place.disk.bytes);
    if (complaint !== undefined) this.violate(`after going back to epoch ${epoch}: ${complaint}`);
  }

  /** At the end: the disk of the machine that runs is what it made of it. */
  checkNow(): void {
    const place = this.leading;
    if (place?.machine !== undefined && this.#options.topology !== "diskless") {
      const complaint = place.machine.checkDisk(place.disk.bytes);
      if (complaint !== undefined) this.violate(`at the end: ${complaint}`);
    }
    if (this.violation !== undefined) throw this.violation;
  }
}

/** Memory without what the guest gave up. */
function keptMemory(machine: ToyMachine): Uint8Array {
  const memory = machine.memory.slice();
  for (let page = 0; page < machine.pageCount; page++) {
    if (machine.standing(page) !== "kept") memory.fill(0, page * toyPageBytes, (page + 1) * toyPageBytes);
  }
  return memory;
}

/** Makes whatever it is asked to: arbitration disabled. */
class LenientRegister extends LeadershipRegister {
  override proposed(_expected: Leadership | undefined, next: Leadership): Leadership {
    return next;
  }
}

/** A host's disk: completions wait while it is stopped, and what is under way is counted. */
class CountedDevice implements FencedDevice {
  readonly geometry: BlockDevice["geometry"];
  readonly #device: FencedDevice;
  readonly #place: Place;
  #underWay = 0;
  #idle: (() => void)[] = [];

  constructor(device: FencedDevice, place: Place) {
    this.geometry = device.geometry;
    this.#device = device;
    this.#place = place;
  }

  whenIdle(done: () => void): void {
    if (this.#underWay === 0) done();
    else this.#idle.push(done);
  }

  #counted<A>(done: (result: A) => void): (result: A) => void {
    this.#underWay++;
    return (result) =>
      this.#place.enter(() => {
        this.#underWay--;
        done(result);
        if (this.#underWay === 0) for (const idle of this.#idle.splice(0)) idle();
      });
  }

  read: BlockDevice["read"] = (sector, count, done) => this.#device.read(sector, count, this.#counted(done));
  write: BlockDevice["write"] = (sector, data, options, done) =>
    this.#device.write(sector, data, options, this.#counted(done));
  flush: BlockDevice["flush"] = (done) => this.#device.flush(this.#counted(done));
  discard: BlockDevice["discard"] = (sector, count, options, done) =>
    this.#device.discard(sector, count, options, this.#counted(done));
  fence: FencedDevice["fence"] = (token, done) => this.#device.fence(token, this.#counted(done));
}

/** A disk that forgets writes while it is restored: rollback disabled. */
function deaf(disk: FencedDevice, restoring: () => boolean): FencedDevice {
  return {
    geometry: disk.geometry,
    read: (sector, count, done) => disk.read(sector, count, done),
    write: (sector, data, options, done) => {
      if (restoring()) disk.flush(done);
      else disk.write(sector, data, options, done);
    },
    flush: (done) => disk.flush(done),
    discard: (sector, count, options, done) => disk.discard(sector, count, options, done),
    fence: (token, done) => disk.fence(token, done),
  };
}

/** Of a machine without a disk: takes everything, knows nothing. */
const forgetful: BlockDevice = {
  geometry: { sectorSize: toySectorBytes, sectorCount: toySectors },
  read: (_sector, count, done) =>
    queueMicrotask(() => done({ ok: true, value: new Uint8Array(count * toySectorBytes) })),
  write: (_sector, _data, _options, done) => queueMicrotask(() => done({ ok: true, value: undefined })),
  flush: (done) => queueMicrotask(() => done({ ok: true, value: undefined })),
  discard: (_sector, _count, _options, done) => queueMicrotask(() => done({ ok: true, value: undefined })),
};
