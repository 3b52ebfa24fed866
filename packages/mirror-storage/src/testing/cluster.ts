// Two hosts, their disks, a network and an arbiter, all simulated: what runs on them is the code that runs in production.
//
// Hosts die and come back, connections break, disks misbehave; a guest writes, and checkpoints are taken. The checkers see
// the guest's side of it and the bytes on the disks, nothing else:
// - a promoted disk equals its checkpoint, in every sector;
// - no epoch whose output left is lost;
// - a machine that ran on alone finds on its disk what it flushed;
// - reads see what was written;
// - output leaves one machine only.
import { decodeMessage, encodeMessage } from "../messages.ts";
import type { Message, Topology } from "../messages.ts";
import { Primary } from "../primary.ts";
import type { PrimaryEvent } from "../primary-types.ts";
import { Secondary } from "../secondary.ts";
import type { SecondaryEvent } from "../secondary.ts";
import type { FencedDevice } from "../block-device.ts";
import { journalSectors } from "../journal.ts";
import type { Checksum } from "../journal.ts";
import { Clock } from "./clock.ts";
import { DiskModel } from "./disk-model.ts";
import type { Snapshot } from "./disk-model.ts";
import { Random } from "./random.ts";
import { SimulatedDisk } from "./simulated-disk.ts";

export interface ClusterOptions {
  readonly seed: number;
  readonly topology: Topology;
  readonly blocks?: number;
  readonly rollbackBlocks?: number;
  readonly writeBufferBlocks?: number;
  /** Negative controls (C4): what is switched off. */
  readonly without?: "rollback" | "write-buffer" | "fencing" | "journal-checksum";
}

/** What the checkers found. */
export class Violation extends Error {}

const sectorSize = 64;
const sectorsPerBlock = 4;
const requestSectors = 6;

class Host {
  readonly name: string;
  readonly disk: SimulatedDisk;
  readonly journal: SimulatedDisk;
  alive = true;
  incarnation = 0;
  primary: Primary | undefined;
  secondary: Secondary | undefined;
  recovered = false;
  /** It is being promoted, or died of that: no machine has run since. */
  promoting = false;

  constructor(name: string, disk: SimulatedDisk, journal: SimulatedDisk) {
    this.name = name;
    this.disk = disk;
    this.journal = journal;
  }
}

interface Connection {
  open: boolean;
}

export class Cluster {
  readonly clock: Clock = new Clock();
  readonly random: Random;
  readonly hosts: readonly [Host, Host];
  readonly model: DiskModel;
  readonly topology: Topology;
  /** What happened, by name. */
  readonly counts: Map<string, number> = new Map();
  readonly log: string[] = [];
  violation: Violation | undefined;
  readonly #options: ClusterOptions;
  #connection: Connection | undefined;
  /** The arbiter's register. */
  #arbiter: { token: number; leader: Host; standby: Host | undefined };
  /** The machine's disk, while a machine runs. */
  #leader: Host | undefined;
  #snapshots = new Map<number, Snapshot>();
  #released = 0;
  /** From here on output waits; undefined: it does not. */
  #protectedFrom: number | undefined;
  #nextWrite = 1;
  /** Counts machines: late completions of one that is gone are ignored. */
  #machine = 0;
  #outstanding = 0;
  checkpointing = true;

  constructor(options: ClusterOptions) {
    this.#options = options;
    this.topology = options.topology;
    this.random = new Random(options.seed);
    const blocks = options.blocks ?? 12;
    const geometry = { sectorSize, sectorCount: blocks * sectorsPerBlock };
    const journalGeometry = { sectorSize, sectorCount: this.#journalSectors() };
    const disk = (): SimulatedDisk => new SimulatedDisk(geometry, this.clock, this.random);
    const journal = (): SimulatedDisk => new SimulatedDisk(journalGeometry, this.clock, this.random);
    const first = disk();
    const second = options.topology === "shared" ? first : disk();
    if (options.without === "fencing") first.fencing = false;
    this.hosts = [new Host("A", first, journal()), new Host("B", second, journal())];
    this.model = new DiskModel(sectorSize, geometry.sectorCount);
    this.#arbiter = { token: 1, leader: this.hosts[0], standby: undefined };
  }

  #journalSectors(): number {
    // Below the recommended size, so that compaction is frequent: twice the state it must hold.
    const { rollbackBlocks = 8, writeBufferBlocks = 8 } = this.#options;
    const blocks = rollbackBlocks + writeBufferBlocks;
    const half = Math.ceil((blocks * (sectorSize + 32) * sectorsPerBlock * 2 + 1024) / sectorSize) + 2;
    return Math.min(2 * half, journalSectors(blocks, sectorSize * sectorsPerBlock, sectorSize));
  }

  get leader(): Host | undefined {
    return this.#leader;
  }

  get standby(): Host {
    return this.#leader === this.hosts[0] ? this.hosts[1] : this.hosts[0];
  }

  get isProtected(): boolean {
    return this.#leader?.primary?.mode === "protected" && (this.#protectedFrom ?? Infinity) <= this.#released;
  }

  get released(): number {
    return this.#released;
  }

  count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
    this.log.push(`${this.clock.now} ${what}`);
  }

  #violate(text: string): void {
    this.violation ??= new Violation(`seed ${this.#options.seed}: ${text}`);
  }

  /** A machine on the first host, a standby on the second. */
  start(): void {
    this.#runMachine(this.hosts[0], 1, 1);
    this.#startSecondary(this.hosts[1]);
  }

  /** Runs until the condition holds, at most so many steps; false if it never did. */
  async runUntil(condition: () => boolean, maximumSteps = 5000): Promise<boolean> {
    for (let step = 0; step < maximumSteps; step++) {
      if (this.violation !== undefined) throw this.violation;
      if (condition()) return true;
      if (!(await this.clock.step())) return condition();
    }
    if (this.violation !== undefined) throw this.violation;
    return condition();
  }

  // --- Hosts ----------------------------------------------------------------------------------------------------------

  /** Calls back unless the host died meanwhile. */
  #later(host: Host, delay: number, run: () => void): void {
    const { incarnation } = host;
    this.clock.schedule(delay, () => {
      if (host.alive && host.incarnation === incarnation) run();
    });
  }

  #runMachine(host: Host, token: number, epoch: number): void {
    this.#machine++;
    host.promoting = false;
    this.#leader = host;
    this.#protectedFrom = undefined;
    this.#snapshots = new Map();
    this.#outstanding = 0;
    host.secondary = undefined;
    host.primary = new Primary({
      name: "disk",
      topology: this.topology,
      disk: host.disk.viewOf(host),
      sectorsPerBlock,
      token,
      epoch,
      maximumRequestBytes: requestSectors * sectorSize,
      send: (message) => this.#send(host, message),
      event: (event) => this.#primaryEvent(host, event),
    });
    this.#offerStandby(host);
  }

  #startSecondary(host: Host): void {
    const { rollbackBlocks = 8, writeBufferBlocks = 8, without } = this.#options;
    host.primary = undefined;
    host.recovered = false;
    let disk = host.disk.viewOf(host);
    if (without === "rollback") disk = deaf(disk, () => host.secondary?.complete ?? false);
    const none: Checksum = () => 0;
    host.secondary = new Secondary({
      name: "disk",
      topology: this.topology,
      disk,
      journal: host.journal.viewOf(host),
      sectorsPerBlock,
      rollbackBlocks,
      writeBufferBlocks,
      salt: this.random.below(2 ** 31),
      ...(without === "journal-checksum" && { checksum: none }),
      send: (message) => this.#send(host, message),
      event: (event) => this.#secondaryEvent(host, event),
    });
    host.secondary.start();
  }

  /** The host loses power; it comes back if a delay is given. */
  crash(host: Host, restartAfter?: number, diskToo: boolean = this.topology === "mirrored"): void {
    if (!host.alive) return;
    this.count(host === this.#leader ? "crash of the leader" : "crash of the standby");
    host.alive = false;
    host.incarnation++;
    host.primary = undefined;
    host.secondary = undefined;
    host.journal.cut(host);
    host.journal.losePower();
    host.disk.cut(host);
    if (diskToo) host.disk.losePower();
    if (host === this.#leader) this.#leader = undefined;
    this.cutConnection();
    if (restartAfter !== undefined) this.clock.schedule(restartAfter, () => this.restart(host));
  }

  restart(host: Host): void {
    if (host.alive) return;
    host.alive = true;
    this.#startSecondary(host);
  }

  #primaryEvent(host: Host, event: PrimaryEvent): void {
    if (host !== this.#leader && event.kind !== "halted") {
      if (event.kind === "committed" && event.epoch > this.#released) {
        this.#violate(`a machine that was replaced releases epoch ${event.epoch}`);
      }
      if (event.kind !== "session-lost") return;
    }
    switch (event.kind) {
      case "synchronised":
        this.count("synchronised");
        if (this.#arbiter.leader === host) this.#arbiter.standby = this.#other(host);
        break;
      case "protected":
        this.#protectedFrom = event.epoch;
        break;
      case "committed":
        if (this.#protectedFrom !== undefined && event.epoch >= this.#protectedFrom) this.#released = event.epoch;
        break;
      case "checkpoint-wanted":
        this.count(`wanted: ${event.buffer}`);
        this.#later(host, 1 + this.random.below(20), () => this.checkpoint());
        break;
      case "session-lost":
        this.cutConnection();
        if (event.undecided) this.#later(host, 1 + this.random.below(80), () => this.#claimSolo(host));
        else if (host.primary?.mode === "solo") {
          // A join that came to nothing: nobody can take over.
          if (this.#arbiter.leader === host) this.#arbiter.standby = undefined;
          this.#offerStandby(host);
        }
        break;
      case "halted":
        this.count("halted");
        if (host === this.#leader) this.#leader = undefined;
        this.#later(host, 20 + this.random.below(50), () => {
          host.incarnation++;
          host.disk.cut(host);
          this.#startSecondary(host);
        });
        break;
      case "refused":
        this.#violate(`refused: ${event.text}`);
        break;
      case "disk-error":
        this.count("disk error");
        break;
    }
  }

  #claimSolo(host: Host): void {
    const { primary } = host;
    if (primary?.mode !== "undecided") return;
    if (this.#arbiter.token !== primary.token) return primary.halt("the arbiter gave the disk to another host");
    this.count("solo");
    this.#arbiter = { token: primary.token + 1, leader: host, standby: undefined };
    this.#protectedFrom = undefined;
    primary.goSolo(this.#arbiter.token);
    this.#offerStandby(host);
  }

  #secondaryEvent(host: Host, event: SecondaryEvent): void {
    switch (event.kind) {
      case "recovered":
        host.recovered = true;
        this.#decide(host);
        break;
      case "prepared":
        this.#later(host, this.random.below(5), () => host.secondary?.commit(event.epoch));
        break;
      case "committed":
        this.count("commit");
        break;
      case "protocol-error":
        this.#violate(`protocol error: ${event.text}`);
        break;
      case "promoted":
        this.#promoted(host, event.epoch, event.token);
        break;
      case "restore-failed":
        this.count("restore failed");
        this.#later(host, 20, () => this.#decide(host));
        break;
      case "failed":
        this.count(`standby failed: ${event.error.message.replaceAll(/\d+/g, "n")}`);
        if (event.error.message.includes("damaged")) this.#violate(event.error.message);
        this.crash(host, 30);
        break;
    }
  }

  /** A host that is no primary finds its place. */
  #decide(host: Host): void {
    const { secondary } = host;
    if (secondary === undefined || !host.recovered) return;
    if (this.#arbiter.leader === host && this.#leader === undefined) {
      // It led when it died, or was about to.
      if (secondary.complete) return this.#promote(host);
      if (this.#arbiter.standby !== undefined) return this.#later(host, 30, () => this.#decide(host));
      return this.#restartAlone(host);
    }
    if (this.#connection !== undefined) return;
    if (!secondary.complete) {
      // It was about to become a standby that can take over, and never told that it did: it withdraws.
      if (this.#arbiter.standby === host) this.#arbiter.standby = undefined;
      return;
    }
    this.#later(host, 1 + this.random.below(80), () => this.#claim(host));
  }

  /** The standby's heartbeat ran out. */
  #claim(host: Host): void {
    const { secondary } = host;
    if (secondary === undefined || this.#connection !== undefined || !secondary.complete) return;
    if (this.#arbiter.standby !== host || this.#arbiter.token !== secondary.session?.token) return;
    this.#promote(host);
  }

  #promote(host: Host): void {
    this.count("promote");
    this.#arbiter = { token: this.#arbiter.token + 1, leader: host, standby: undefined };
    // The machine on the other host, if it runs, is a ghost from here on.
    this.#leader = undefined;
    this.#machine++;
    host.promoting = true;
    host.secondary?.promote(this.#arbiter.token);
  }

  #promoted(host: Host, epoch: number, token: number): void {
    this.count("promoted");
    const snapshot = this.#checkPromoted(host, epoch);
    if (snapshot === undefined) return;
    this.model.resetTo(host.disk.bytes);
    this.#released = epoch;
    this.#runMachine(host, token, epoch + 1);
    for (const { sector, count } of snapshot.outstanding) this.write(sector, count);
  }

  #checkPromoted(host: Host, epoch: number): Snapshot | undefined {
    if (epoch < this.#released) this.#violate(`went back to epoch ${epoch}, but output of ${this.#released} had left`);
    const snapshot = this.#snapshots.get(epoch);
    if (snapshot === undefined) this.#violate(`went back to epoch ${epoch}, which is no checkpoint`);
    else {
      const complaint = this.model.check(snapshot, host.disk.bytes);
      if (complaint !== undefined) this.#violate(`after going back to epoch ${epoch}: ${complaint}`);
    }
    return snapshot;
  }

  /** Both were down, and the machine had no standby: an ordinary restart on its own disk. */
  #restartAlone(host: Host): void {
    this.count("restart alone");
    // Promotion ended, and the machine died before it ran: its disk is still the checkpoint.
    if (host.promoting && host.secondary !== undefined) this.#checkPromoted(host, host.secondary.epoch);
    else {
      const complaint = this.model.check(this.model.afterPowerLoss(), host.disk.bytes);
      if (complaint !== undefined) this.#violate(`after a restart: ${complaint}`);
    }
    const token = this.#arbiter.token + 1;
    this.#arbiter = { token, leader: host, standby: undefined };
    const view = host.disk.viewOf(host);
    const run = (): void =>
      view.flush((result) => {
        if (!result.ok) return run();
        this.model.resetTo(host.disk.bytes);
        this.#runMachine(host, token, this.#released + 100);
      });
    view.fence(token, run);
  }

  #other(host: Host): Host {
    return host === this.hosts[0] ? this.hosts[1] : this.hosts[0];
  }

  // --- Network --------------------------------------------------------------------------------------------------------

  /** Connects the machine's host with the other one when that can be a standby. */
  #offerStandby(host: Host): void {
    this.#later(host, 20 + this.random.below(40), () => {
      const other = this.#other(host);
      const mode = host.primary?.mode;
      if ((mode !== "solo" && mode !== "undecided") || host !== this.#leader || this.#connection !== undefined) return;
      if (host.primary === undefined || mode !== "solo") return this.#offerStandby(host);
      if (!other.alive || !other.recovered || other.secondary === undefined) return this.#offerStandby(host);
      // A new connection from the same peer ends the one before.
      other.secondary.disconnected();
      this.#connection = { open: true };
      host.primary.attach();
    });
  }

  #send(from: Host, message: Message): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    const to = this.#other(from);
    const frame = encodeMessage(message).subarray(4);
    const { incarnation } = to;
    const at = Math.max(this.clock.now + 1 + this.random.below(12), this.#lastDelivery.get(to) ?? 0);
    this.#lastDelivery.set(to, at);
    this.clock.schedule(at - this.clock.now, () => {
      if (!connection.open || !to.alive || to.incarnation !== incarnation) return;
      const received = decodeMessage(frame);
      if (received === undefined) return this.#violate(`"${message.kind}" cannot be decoded`);
      if (to.primary !== undefined) to.primary.receive(received);
      else this.#toSecondary(to, received);
    });
  }

  readonly #lastDelivery = new Map<Host, number>();

  #toSecondary(host: Host, message: Message): void {
    if (this.#options.without !== "write-buffer") return host.secondary?.receive(message);
    // The writes of an epoch never reach the buffer.
    if (message.kind === "write" || message.kind === "zeroes") return;
    host.secondary?.receive(message.kind === "checkpoint" ? { ...message, writes: 0 } : message);
  }

  /** What is on its way is lost; either side notices in its own time. */
  cutConnection(): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    connection.open = false;
    this.#connection = undefined;
    for (const host of this.hosts) {
      if (!host.alive) continue;
      this.#later(host, 1 + this.random.below(60), () => {
        if (this.#connection !== undefined) return;
        host.primary?.disconnected();
        host.secondary?.disconnected();
        this.#decide(host);
      });
    }
  }

  // --- The guest ------------------------------------------------------------------------------------------------------

  /** Writes a range; a random one if none is given. */
  write(sector?: number, count?: number, fua = false, done?: (ok: boolean) => void): void {
    const primary = this.#leader?.primary;
    if (primary === undefined || this.#outstanding >= 12) return;
    const sectors = count ?? 1 + this.random.below(requestSectors);
    const first = sector ?? this.random.below(this.model.sectorCount - sectors + 1);
    const write = this.#nextWrite++;
    const machine = this.#machine;
    this.#outstanding++;
    this.model.submitted(write, first, sectors);
    const discard = sector === undefined && this.random.chance(0.1);
    const finish = (result: { ok: boolean }): void => {
      if (machine !== this.#machine) return;
      this.#outstanding--;
      this.model.completed(write, result.ok, discard ? 0 : write);
      done?.(result.ok);
    };
    if (discard) primary.discard(first, sectors, {}, finish);
    else primary.write(first, this.model.pattern(write, first, sectors), { fua }, finish);
  }

  read(): void {
    const primary = this.#leader?.primary;
    if (primary === undefined) return;
    const count = 1 + this.random.below(requestSectors);
    const sector = this.random.below(this.model.sectorCount - count + 1);
    const machine = this.#machine;
    const before = this.model.snapshot();
    primary.read(sector, count, (result) => {
      if (machine !== this.#machine || !result.ok) return;
      const after = this.model.snapshot();
      const allowed = before.allowed.map((set, at) => set.union(after.allowed[at]));
      const complaint = this.model.check({ allowed, outstanding: [] }, result.value, sector);
      if (complaint !== undefined) this.#violate(`a read: ${complaint}`);
    });
  }

  flush(done?: () => void): void {
    const machine = this.#machine;
    const submitted = this.model.flushSubmitted();
    this.#leader?.primary?.flush((result) => {
      if (machine !== this.#machine || !result.ok) return;
      this.model.flushed(submitted);
      done?.();
    });
  }

  /** Takes a checkpoint every so often, for ever. */
  tick(interval: number): void {
    this.clock.schedule(interval, () => {
      this.checkpoint();
      this.tick(interval);
    });
  }

  /** A checkpoint, if one can be taken now. */
  checkpoint(): boolean {
    const primary = this.#leader?.primary;
    if (primary === undefined || !this.checkpointing) return false;
    const snapshot = this.model.snapshot();
    const result = primary.checkpoint();
    if (result.ok) this.#snapshots.set(result.value, snapshot);
    return result.ok;
  }

  get outstanding(): number {
    return this.#outstanding;
  }

  /** The bytes of the machine's disk against what the guest did: nobody else wrote it. */
  checkNow(): void {
    const host = this.#leader;
    if (host === undefined) return;
    const complaint = this.model.check(this.model.snapshot(), host.disk.bytes);
    if (complaint !== undefined) this.#violate(`at the end: ${complaint}`);
    if (this.violation !== undefined) throw this.violation;
  }
}

/** A disk that forgets writes while it is restored: rollback disabled. */
function deaf(disk: FencedDevice, restoring: () => boolean): FencedDevice {
  return {
    ...disk,
    write: (sector, data, options, done) => {
      if (restoring() && options.token !== undefined) disk.flush(done);
      else disk.write(sector, data, options, done);
    },
  };
}
