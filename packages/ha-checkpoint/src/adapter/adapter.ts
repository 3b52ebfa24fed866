// The network adapter that several machines share, checkpointed or not: the part that holds a machine's output until the
// checkpoint which it belongs to is safe.
//
// It is told, before anything is sent, which checkpointing technologies buffer their output (N1). Every machine has a virtual
// function with a MAC of its own, which says whether and how the machine is checkpointed (N2). The link takes frames one by
// one, so that priority is decided as late as can be:
// - released frames before ordinary ones (N5): they have waited for a checkpoint already;
// - but after `burst` released frames in a row an ordinary one that waits has its turn (N6);
// - among machines of one kind, in turns.
import { macError } from "./mac.ts";
import type { MacAddress } from "./mac.ts";
import { VirtualFunction } from "./virtual-function.ts";
import type { VirtualFunctionEvents, VirtualFunctionSettings } from "./virtual-function.ts";

export interface AdapterOptions {
  /** Checkpointing technologies whose machines' output is held. */
  readonly buffered: readonly string[];
  /** Most bytes that wait in the adapter for one machine, held or not: some epochs' worth at the speed of the link. */
  readonly maximumBytes: number;
  /** Most released frames in a row while an ordinary one waits. Infinity: strict priority without a bound. */
  readonly burst: number;
  /** There is a frame for the link where there was none. */
  readonly ready?: () => void;
}

export interface OutgoingFrame {
  readonly mac: MacAddress;
  /** Epoch token of the machine's host, for the edge. */
  readonly token: number;
  readonly frame: Uint8Array;
  /** It was held, and a checkpoint released it. */
  readonly released: boolean;
}

export class Adapter {
  readonly #options: AdapterOptions;
  readonly #functions: VirtualFunction[] = [];
  #turn = 0;
  /** Released frames since the last ordinary one. */
  #run = 0;
  #wasReady = false;

  constructor(options: AdapterOptions) {
    this.#options = options;
  }

  get functions(): readonly VirtualFunction[] {
    return this.#functions;
  }

  /** @throws RangeError if the MAC is no machine's or is taken, or the adapter does not know the technology */
  addFunction(settings: VirtualFunctionSettings, events: VirtualFunctionEvents = {}): VirtualFunction {
    const { mac, protection } = settings;
    const error = macError(mac);
    if (error !== undefined) throw new RangeError(error);
    if (this.#functions.some((other) => other.mac === mac)) throw new RangeError(`${mac} is another machine's`);
    if (protection.kind === "checkpointed" && !this.#options.buffered.includes(protection.technology)) {
      throw new RangeError(`the adapter was not configured to buffer for "${protection.technology}"`);
    }
    const added = new VirtualFunction(settings, this.#options.maximumBytes, events, () => this.#tellReady());
    this.#functions.push(added);
    return added;
  }

  get hasFrames(): boolean {
    return this.#functions.some((one) => one.hasReleased || one.hasOrdinary);
  }

  /** The frame that the link sends next. */
  next(): OutgoingFrame | undefined {
    const ordinaryWaits = this.#functions.some((one) => one.hasOrdinary && !one.hasReleased);
    const releasedFirst = !ordinaryWaits || this.#run < this.#options.burst;
    const chosen =
      (releasedFirst ? this.#inTurn((one) => one.hasReleased) : undefined) ??
      this.#inTurn((one) => one.hasOrdinary && !one.hasReleased) ??
      this.#inTurn((one) => one.hasReleased);
    const taken = chosen?.take();
    this.#wasReady = this.hasFrames;
    if (chosen === undefined || taken === undefined) return undefined;
    this.#run = taken.released ? this.#run + 1 : 0;
    return { mac: chosen.mac, token: chosen.token, frame: taken.frame, released: taken.released };
  }

  #inTurn(wanted: (one: VirtualFunction) => boolean): VirtualFunction | undefined {
    const count = this.#functions.length;
    for (let i = 0; i < count; i++) {
      const at = (this.#turn + i) % count;
      const one = this.#functions[at];
      if (!wanted(one)) continue;
      this.#turn = (at + 1) % count;
      return one;
    }
    return undefined;
  }

  #tellReady(): void {
    const wasReady = this.#wasReady;
    this.#wasReady = this.hasFrames;
    if (this.#wasReady && !wasReady) this.#options.ready?.();
  }
}
