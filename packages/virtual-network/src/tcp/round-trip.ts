/** How long to wait for an acknowledgement (RFC 6298), from measured round trips. */

/** The RFC recommends a second for the Internet; the peer here is a few function calls away. */
const MINIMUM_MS = 200;
const MAXIMUM_MS = 60_000;
const INITIAL_MS = 1000;
const ALPHA = 1 / 8;
const BETA = 1 / 4;
/** Times of this clock are good to about a millisecond. */
const GRANULARITY_MS = 1;

export class RetransmissionTimeout {
  #smoothedMs: number | undefined;
  #variationMs = 0;
  #timeoutMs = INITIAL_MS;

  get milliseconds(): number {
    return this.#timeoutMs;
  }

  /** A round trip of a segment sent once (Karn's algorithm, section 3). */
  measured(roundTripMs: number): void {
    if (this.#smoothedMs === undefined) {
      this.#smoothedMs = roundTripMs;
      this.#variationMs = roundTripMs / 2;
    } else {
      this.#variationMs = (1 - BETA) * this.#variationMs + BETA * Math.abs(this.#smoothedMs - roundTripMs);
      this.#smoothedMs = (1 - ALPHA) * this.#smoothedMs + ALPHA * roundTripMs;
    }
    this.#derive(this.#smoothedMs);
  }

  /** What was lost says nothing of the way any more: as long as round trips were measured to take, again. */
  restart(): void {
    if (this.#smoothedMs === undefined) this.#timeoutMs = INITIAL_MS;
    else this.#derive(this.#smoothedMs);
  }

  #derive(smoothedMs: number): void {
    const timeoutMs = smoothedMs + Math.max(GRANULARITY_MS, 4 * this.#variationMs);
    this.#timeoutMs = Math.min(MAXIMUM_MS, Math.max(MINIMUM_MS, timeoutMs));
  }

  /** Nothing came in time (5.5). */
  backOff(): void {
    this.#timeoutMs = Math.min(MAXIMUM_MS, this.#timeoutMs * 2);
  }
}
