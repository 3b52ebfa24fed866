// Simulated hosts as far as a network and a clock know them: they die, are stopped, go on; connections between them delay,
// stall and break.
import { Clock, Random } from "@doppel/mirror-storage/testing";
import type { Link, LinkHandler } from "../failover/link.ts";
import type { Timers } from "../timers.ts";

export { Clock, Random };

/** Where something happens: whatever is due there waits while it is stopped, and is forgotten when it dies. */
export class Place {
  readonly name: string;
  readonly #clock: Clock;
  alive = true;
  /** Counts its starts. */
  incarnation = 0;
  #stopped = false;
  #deferred: (() => void)[] = [];

  constructor(name: string, clock: Clock) {
    this.name = name;
    this.#clock = clock;
  }

  get isStopped(): boolean {
    return this.#stopped;
  }

  /** Does it now, if nothing keeps the place from it. */
  enter(run: () => void): void {
    if (this.#stopped) this.#deferred.push(run);
    else run();
  }

  later(delay: number, run: () => void): void {
    const { incarnation } = this;
    this.#clock.schedule(delay, () => {
      if (this.alive && this.incarnation === incarnation) this.enter(run);
    });
  }

  timers(): Timers {
    return {
      now: () => this.#clock.now,
      after: (milliseconds, run) => {
        let cancelled = false;
        this.later(milliseconds, () => {
          if (!cancelled) run();
        });
        return () => {
          cancelled = true;
        };
      },
    };
  }

  die(): void {
    this.alive = false;
    this.incarnation++;
    this.#stopped = false;
    this.#deferred = [];
  }

  stop(): void {
    this.#stopped = true;
  }

  goOn(): void {
    this.#stopped = false;
    while (!this.#stopped && this.#deferred.length > 0) this.#deferred.shift()!();
  }
}

interface Direction {
  readonly to: Place;
  readonly from: Place;
  readonly queue: { readonly at: number; readonly frame: Uint8Array }[];
  pumping: boolean;
  handler: LinkHandler | undefined;
  wasFull: boolean;
}

/** Frames that wait on a connection before its sender is asked to wait. */
const fullFrames = 24;

export class Network {
  readonly #clock: Clock;
  readonly #random: Random;
  /** "from>to" where nothing passes. */
  readonly #blocked = new Set<string>();
  readonly #connections = new Set<Connection>();
  /** Longest time of a frame or datagram. */
  delay = 8;

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  block(from: string, to: string): void {
    this.#blocked.add(`${from}>${to}`);
  }

  heal(): void {
    this.#blocked.clear();
  }

  passes(from: string, to: string): boolean {
    return !this.#blocked.has(`${from}>${to}`);
  }

  get travelTime(): number {
    return 1 + this.#random.below(this.delay);
  }

  /** May be lost, and overtaken. */
  datagram(from: Place, to: Place, run: () => void, loss = 0): void {
    if (!this.passes(from.name, to.name) || this.#random.chance(loss)) return;
    to.later(this.travelTime, run);
  }

  dial(
    from: Place,
    to: Place,
    accept: (link: Link) => LinkHandler | undefined,
    done: (link: Link | undefined) => LinkHandler | undefined,
  ): void {
    // Whatever becomes of the other host, the one who dials is told.
    from.later(this.travelTime, () => {
      const passes = this.passes(from.name, to.name) && this.passes(to.name, from.name);
      if (!passes || !to.alive || to.isStopped) {
        done(undefined);
        return;
      }
      const connection = new Connection(this, this.#clock, from, to);
      this.#connections.add(connection);
      connection.forward.handler = done(connection.linkOf(from));
      connection.backward.handler = accept(connection.linkOf(to));
    });
  }

  forget(connection: Connection): void {
    this.#connections.delete(connection);
  }

  /** Breaks all connections of a host; the others notice, or must find out. */
  cut(place: Place, silently: boolean): void {
    for (const connection of [...this.#connections]) connection.break(place, silently);
  }
}

class Connection {
  readonly #network: Network;
  readonly #clock: Clock;
  /** To whom it was dialled, and what the one who dialled hears: named after the side whose handler it has. */
  readonly forward: Direction;
  readonly backward: Direction;
  #open = true;
  /** Who is ending it, while something is still on its way. */
  #closing: Place | undefined;

  constructor(network: Network, clock: Clock, dialler: Place, dialled: Place) {
    this.#network = network;
    this.#clock = clock;
    const direction = (from: Place, to: Place): Direction => ({
      from,
      to,
      queue: [],
      pumping: false,
      handler: undefined,
      wasFull: false,
    });
    this.forward = direction(dialled, dialler);
    this.backward = direction(dialler, dialled);
  }

  linkOf(place: Place): Link {
    const out = place === this.forward.from ? this.forward : this.backward;
    return {
      send: (frame) => this.#send(out, frame),
      get isWritable() {
        out.wasFull ||= out.queue.length >= fullFrames;
        return out.queue.length < fullFrames;
      },
      close: () => this.#close(place, out),
    };
  }

  /** What was sent before arrives before the end does. */
  #close(place: Place, out: Direction): void {
    if (!this.#open || this.#closing !== undefined) return;
    const mine = this.#other(out);
    mine.handler = undefined;
    mine.queue.length = 0;
    this.#closing = place;
    if (out.queue.length === 0) this.break(place, false);
  }

  #other(direction: Direction): Direction {
    return direction === this.forward ? this.backward : this.forward;
  }

  #send(direction: Direction, frame: Uint8Array): void {
    if (!this.#open || this.#closing === direction.from) return;
    const last = direction.queue.at(-1)?.at ?? 0;
    const at = Math.max(this.#clock.now + this.#network.travelTime, last);
    direction.queue.push({ at, frame: frame.slice(4) });
    this.#pump(direction);
  }

  #pump(direction: Direction): void {
    const first = direction.queue[0];
    if (direction.pumping || first === undefined || !this.#open) return;
    direction.pumping = true;
    const { from, to, queue } = direction;
    const stalled = !this.#network.passes(from.name, to.name);
    // What a partition holds up is sent again, until one side gives the connection up.
    to.later(stalled ? 15 : Math.max(0, first.at - this.#clock.now), () => {
      direction.pumping = false;
      if (!this.#open) return;
      if (this.#network.passes(from.name, to.name)) {
        queue.shift();
        direction.handler?.frame(first.frame);
        if (this.#closing === from && queue.length === 0) return this.break(from, false);
        if (direction.wasFull && queue.length < fullFrames / 2) {
          direction.wasFull = false;
          from.later(0, () => {
            if (this.#open) this.#other(direction).handler?.drained();
          });
        }
      }
      this.#pump(direction);
    });
  }

  /** One side ends it, or died. */
  break(place: Place, silently: boolean): void {
    const mine = [this.forward, this.backward].find((direction) => direction.to === place);
    if (mine === undefined || !this.#open) return;
    this.#open = false;
    this.#network.forget(this);
    const theirs = this.#other(mine);
    if (silently) {
      // Its detector finds out; or a later attempt to send.
      theirs.to.later(400, () => theirs.handler?.closed("timed out"));
    } else theirs.to.later(this.#network.travelTime, () => theirs.handler?.closed("the peer closed the connection"));
    if (place.alive) place.later(0, () => mine.handler?.closed("the connection broke"));
  }
}
