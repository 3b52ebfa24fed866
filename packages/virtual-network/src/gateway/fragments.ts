/** Packets that come in pieces, put together (RFC 791, 3.2; RFC 815). Bounded in packets, pieces and time. */
import type { IPv4Packet } from "../ethernet/ipv4.ts";

const MAXIMUM_PACKETS = 16;
/** An Ethernet frame holds a forty-fifth of the largest packet. */
const MAXIMUM_PIECES = 128;
/** RFC 1122, 3.3.2, has a minute; here there is one hop. */
const PATIENCE_MS = 15_000;

interface Partial {
  readonly pieces: IPv4Packet[];
  readonly sinceMs: number;
}

export class FragmentReassembly {
  readonly #now: () => number;
  readonly #partials = new Map<string, Partial>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** The packet that this one is, or completes. Pieces that overlap make a packet that is dropped (as RFC 5722 for IPv6). */
  receive(packet: IPv4Packet): IPv4Packet | undefined {
    if (packet.fragmentOffset === 0 && !packet.moreFragments) return packet;
    const { source, destination, protocol, identification } = packet;
    const key = `${source} ${destination} ${protocol} ${identification}`;
    const partial = this.#partial(key);
    partial.pieces.push(packet);
    if (partial.pieces.length > MAXIMUM_PIECES) this.#partials.delete(key);
    const ordered = partial.pieces.toSorted((a, b) => a.fragmentOffset - b.fragmentOffset);
    let end = 0;
    for (const { fragmentOffset, payload } of ordered) {
      if (fragmentOffset > end) return undefined;
      if (fragmentOffset < end) {
        this.#partials.delete(key);
        return undefined;
      }
      end += payload.length;
    }
    if (ordered.at(-1)?.moreFragments !== false) return undefined;
    this.#partials.delete(key);
    const payload = new Uint8Array(end);
    for (const piece of ordered) payload.set(piece.payload, piece.fragmentOffset);
    return { ...packet, fragmentOffset: 0, moreFragments: false, payload };
  }

  #partial(key: string): Partial {
    const nowMs = this.#now();
    for (const [each, { sinceMs }] of this.#partials) if (nowMs - sinceMs > PATIENCE_MS) this.#partials.delete(each);
    const known = this.#partials.get(key);
    if (known !== undefined) return known;
    if (this.#partials.size >= MAXIMUM_PACKETS) {
      const [oldest] = this.#partials.keys();
      this.#partials.delete(oldest);
    }
    const fresh = { pieces: [], sinceMs: nowMs };
    this.#partials.set(key, fresh);
    return fresh;
  }
}
