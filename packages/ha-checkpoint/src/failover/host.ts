// A host of a pair: follows, leads, is deposed and follows again, for as long as it lives.
import { sameLeadership } from "./arbiter.ts";
import type { Leadership } from "./arbiter.ts";
import type { Link, LinkHandler } from "./link.ts";
import { Leader } from "./leader.ts";
import type { PairPorts, PairSettings } from "./settings.ts";
import { Standby } from "./standby.ts";
import type { StandbyPorts } from "./standby.ts";

export interface HostPorts<M> extends PairPorts<M>, Pick<StandbyPorts, "dial"> {
  /** Switches the machine on: what it knows afterwards is on its disk. It stands when `done` is called. */
  readonly boot: (done: () => void) => void;
}

export interface HostOptions {
  /** If nobody ever led, this host does. */
  readonly initial: boolean;
}

export class Host<M> {
  readonly #settings: PairSettings;
  readonly #ports: HostPorts<M>;
  readonly #options: HostOptions;
  #leader: Leader<M> | undefined;
  #standby: Standby<M> | undefined;
  #unledSince: number | undefined;
  /** What this host, in its present role, asked the arbiter to let it start cold with. */
  #asked: Leadership | undefined;
  #ended = false;

  constructor(settings: PairSettings, ports: HostPorts<M>, options: HostOptions) {
    this.#settings = settings;
    this.#ports = ports;
    this.#options = options;
  }

  get leader(): Leader<M> | undefined {
    return this.#leader;
  }

  get standby(): Standby<M> | undefined {
    return this.#standby;
  }

  start(): void {
    const standby = new Standby<M>(this.#settings, {
      ...this.#ports,
      event: (event) => {
        if (!this.#ended) this.#ports.event(event);
      },
      promoted: (record, epoch) => this.#lead(record, epoch + 1, "checkpoint"),
      unled: (record, lookLater) => this.#unled(record, lookLater),
    });
    this.#standby = standby;
    this.#unledSince = undefined;
    this.#asked = undefined;
    standby.start();
  }

  end(): void {
    this.#ended = true;
    this.#standby?.end();
    this.#leader?.resign("this host ends");
  }

  /** Another host connects: only a leader takes it in. */
  accept(link: Link): LinkHandler | undefined {
    if (this.#leader !== undefined) return this.#leader.accept(link);
    link.close();
    return undefined;
  }

  /** Nobody leads, or this host does and has forgotten it. */
  #unled(record: Leadership | undefined, lookLater: () => void): void {
    const now = this.#ports.timers.now();
    this.#unledSince ??= now;
    // It was granted, and the answer lost.
    if (record !== undefined && sameLeadership(record, this.#asked)) return this.#startCold(record);
    const { coldStartAfterMs } = this.#settings;
    const isDue =
      record === undefined
        ? this.#options.initial
        : coldStartAfterMs !== undefined && now - this.#unledSince >= coldStartAfterMs;
    if (isDue) this.coldStart(record, lookLater);
    else lookLater();
  }

  /**
   * Starts the machine from its disk, as after a loss of power: what it had in memory is lost, what it had flushed is not.
   * The record is the arbiter's as it was last read; if it has changed since, `refused` is called and nothing happens.
   */
  coldStart(record: Leadership | undefined, refused: () => void): void {
    const standby = this.#standby;
    if (standby === undefined) return refused();
    const next: Leadership = { token: (record?.token ?? 0) + 1, leader: this.#settings.host, standby: undefined };
    this.#asked = next;
    this.#ports.arbiter.compareAndSwap(record, next, (answer) => {
      if (this.#ended || this.#standby !== standby) return;
      if (answer.ok && answer.swapped) this.#startCold(next);
      else refused();
    });
  }

  /** The record is the arbiter's. */
  #startCold(record: Leadership): void {
    this.#standby?.restoreDiskAlone(record.token, () => {
      const leader = this.#makeLeader(record, 1);
      this.#ports.boot(() => {
        if (this.#leader === leader) leader.start("power-on");
      });
    });
  }

  #makeLeader(record: Leadership, epoch: number): Leader<M> {
    this.#standby = undefined;
    const leader = new Leader<M>(
      this.#settings,
      {
        ...this.#ports,
        event: (event) => {
          if (!this.#ended) this.#ports.event(event);
          if (event.kind === "deposed" && this.#leader === leader) {
            this.#leader = undefined;
            this.#restart();
          }
        },
      },
      record,
      epoch,
    );
    this.#leader = leader;
    return leader;
  }

  #lead(record: Leadership, epoch: number, from: "checkpoint" | "power-on"): void {
    if (!this.#ended) this.#makeLeader(record, epoch).start(from);
  }

  /** Follows, once nothing that this host asked of its disk in its earlier role is under way. */
  #restart(): void {
    if (this.#ended) return;
    const { disk } = this.#ports;
    if (disk === undefined) this.start();
    else {
      disk.whenIdle(() => {
        if (!this.#ended) this.start();
      });
    }
  }
}
