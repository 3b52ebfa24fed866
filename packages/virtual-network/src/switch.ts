/**
 * A learning Ethernet switch (IEEE 802.1D, 7.8: the filtering database).
 *
 * Invariants:
 * - A frame never goes back out of the port it came in by.
 * - A station that a port holds (`hold`) is reached there and nowhere else: it does not age, other ports cannot take it
 *   by sending in its name, and frames that a holding port sends in other names are dropped. So whoever says which port
 *   holds a machine's address decides who that machine is.
 * - The table of learned stations, the frames under way and the frames' size have bounds.
 *
 * There is no spanning tree: switches cabled into a ring would send broadcasts around it for ever.
 */
import { formatMac, isGroupMac, type MacAddress, macAt } from "./ethernet/addresses.ts";
import { FRAME_HEADER_BYTES } from "./ethernet/frame.ts";
import type { NetworkPort } from "./network-port.ts";

/** What IEEE 802.1D recommends (7.9.2). */
const AGEING_MS = 300_000;
/** A small network's worth; beyond it the station not heard of for longest is forgotten, and reached by flooding. */
const MAXIMUM_STATIONS = 1024;
/** Frames that handlers may have caused before the first of them is delivered. */
const MAXIMUM_QUEUED = 4096;
/** A full Ethernet frame with a VLAN tag. */
const MAXIMUM_FRAME_BYTES = 1518;
/** For bridges alone, not to be forwarded (802.1D, 7.12.6): spanning tree, flow control. */
const RESERVED_FIRST = 0x0180_c200_0000;
const RESERVED_LAST = 0x0180_c200_000f;

export interface SwitchOptions {
  /** Milliseconds, from any beginning. */
  readonly now: () => number;
  readonly ageingMs?: number;
  readonly maximumStations?: number;
  readonly maximumFrameBytes?: number;
}

export interface SwitchPortOptions {
  /** For people: "gateway", "vm 1". */
  readonly name?: string;
  /** Asked of every frame that comes in by the port; what it refuses is dropped, and nothing is learned from it. */
  readonly admit?: (frame: Uint8Array) => boolean;
}

export interface SwitchPortStatistics {
  /** Frames that came in by the port, went out by it, and came in but were dropped. */
  readonly received: number;
  readonly sent: number;
  readonly dropped: number;
}

export interface SwitchPort extends NetworkPort {
  readonly name: string;
  readonly statistics: SwitchPortStatistics;
  /** This port alone holds the station from now on; another that did so holds it no longer. */
  hold(station: MacAddress): void;
  /** The station is learned like any other again. */
  release(station: MacAddress): void;
  /** Takes the cable out: what was learned or held here is forgotten. */
  disconnect(): void;
}

/** A port cannot hold the address of a group. */
export class SwitchError extends Error {
  override name = "SwitchError";
}

export class EthernetSwitch {
  readonly #now: () => number;
  readonly #ageingMs: number;
  readonly #maximumStations: number;
  readonly #maximumFrameBytes: number;
  readonly #ports = new Set<Port>();
  /** In the order in which stations were last heard of. */
  readonly #learned = new Map<MacAddress, { readonly port: Port; readonly heardMs: number }>();
  readonly #held = new Map<MacAddress, Port>();
  #queue: { readonly port: Port; readonly frame: Uint8Array }[] = [];
  #delivering = false;

  constructor(options: SwitchOptions) {
    this.#now = options.now;
    this.#ageingMs = options.ageingMs ?? AGEING_MS;
    this.#maximumStations = options.maximumStations ?? MAXIMUM_STATIONS;
    this.#maximumFrameBytes = options.maximumFrameBytes ?? MAXIMUM_FRAME_BYTES;
  }

  /** A new port; what is sent to it goes into the switch. */
  connect(options: SwitchPortOptions = {}): SwitchPort {
    const port = new Port(options, {
      input: (frame) => this.#input(port, frame),
      hold: (station) => {
        if (isGroupMac(station)) throw new SwitchError(`${formatMac(station)} is the address of a group`);
        this.#learned.delete(station);
        const holder = this.#held.get(station);
        if (holder !== undefined) holder.held.delete(station);
        this.#held.set(station, port);
        port.held.add(station);
      },
      release: (station) => {
        if (port.held.delete(station)) this.#held.delete(station);
      },
      disconnect: () => this.#disconnect(port),
    });
    this.#ports.add(port);
    return port;
  }

  /** Stations whose port is known, with its name. */
  stations(): { readonly station: MacAddress; readonly port: string; readonly held: boolean }[] {
    this.#forgetAged();
    return [
      ...[...this.#held].map(([station, { name }]) => ({ station, port: name, held: true })),
      ...[...this.#learned].map(([station, { port }]) => ({ station, port: port.name, held: false })),
    ];
  }

  #disconnect(port: Port): void {
    this.#ports.delete(port);
    for (const station of port.held) this.#held.delete(station);
    port.held.clear();
    for (const [station, learned] of this.#learned) if (learned.port === port) this.#learned.delete(station);
  }

  #input(port: Port, frame: Uint8Array): void {
    if (!this.#ports.has(port)) return;
    port.received++;
    if (!this.#accepts(port, frame) || this.#queue.length >= MAXIMUM_QUEUED) {
      port.dropped++;
      return;
    }
    // Handlers answer from within their call; delivering in turn keeps the order and the stack flat.
    this.#queue.push({ port, frame });
    if (this.#delivering) return;
    this.#delivering = true;
    try {
      for (const queued of this.#queue) this.#forward(queued.port, queued.frame);
    } finally {
      this.#queue = [];
      this.#delivering = false;
    }
  }

  #accepts(port: Port, frame: Uint8Array): boolean {
    if (frame.length < FRAME_HEADER_BYTES || frame.length > this.#maximumFrameBytes) return false;
    const source = macAt(frame, 6);
    if (isGroupMac(source) || source === 0) return false;
    const holder = this.#held.get(source);
    if (port.held.size > 0 || holder !== undefined) {
      if (holder !== port) return false;
    }
    return port.admit?.(frame) ?? true;
  }

  #forward(from: Port, frame: Uint8Array): void {
    // It may have been disconnected while the frame was queued.
    if (!this.#ports.has(from)) return;
    this.#learn(macAt(frame, 6), from);
    const destination = macAt(frame, 0);
    if (destination >= RESERVED_FIRST && destination <= RESERVED_LAST) return;
    const known = isGroupMac(destination) ? undefined : this.#portOf(destination);
    if (known !== undefined) {
      if (known !== from) known.deliver(frame);
      return;
    }
    for (const port of this.#ports) if (port !== from) port.deliver(frame);
  }

  #learn(station: MacAddress, port: Port): void {
    if (this.#held.has(station)) return;
    this.#learned.delete(station);
    if (this.#learned.size >= this.#maximumStations) {
      const [oldest] = this.#learned.keys();
      this.#learned.delete(oldest);
    }
    this.#learned.set(station, { port, heardMs: this.#now() });
  }

  #portOf(station: MacAddress): Port | undefined {
    const holder = this.#held.get(station);
    if (holder !== undefined) return holder;
    const learned = this.#learned.get(station);
    if (learned === undefined) return undefined;
    if (this.#now() - learned.heardMs < this.#ageingMs) return learned.port;
    this.#learned.delete(station);
    return undefined;
  }

  #forgetAged(): void {
    for (const station of [...this.#learned.keys()]) this.#portOf(station);
  }
}

interface PortControl {
  input(frame: Uint8Array): void;
  hold(station: MacAddress): void;
  release(station: MacAddress): void;
  disconnect(): void;
}

class Port implements SwitchPort {
  readonly name: string;
  readonly admit: ((frame: Uint8Array) => boolean) | undefined;
  readonly held = new Set<MacAddress>();
  received = 0;
  sent = 0;
  dropped = 0;
  readonly #control: PortControl;
  #handler: ((frame: Uint8Array) => void) | undefined;

  constructor({ name = "port", admit }: SwitchPortOptions, control: PortControl) {
    this.name = name;
    this.admit = admit;
    this.#control = control;
  }

  get statistics(): SwitchPortStatistics {
    return { received: this.received, sent: this.sent, dropped: this.dropped };
  }

  send(frame: Uint8Array): void {
    this.#control.input(frame);
  }

  onReceive(handler: (frame: Uint8Array) => void): void {
    this.#handler = handler;
  }

  deliver(frame: Uint8Array): void {
    this.sent++;
    this.#handler?.(frame);
  }

  hold(station: MacAddress): void {
    this.#control.hold(station);
  }

  release(station: MacAddress): void {
    this.#control.release(station);
  }

  disconnect(): void {
    this.#control.disconnect();
    this.#handler = undefined;
  }
}
