/** How much may be under way: slow start, congestion avoidance, fast recovery (RFC 5681, with RFC 6582's partial acks). */

/** RFC 6928. */
const INITIAL_SEGMENTS = 10;
const DUPLICATES_THAT_MEAN_LOSS = 3;

export class CongestionWindow {
  readonly #segmentBytes: number;
  #window: number;
  #threshold = Number.POSITIVE_INFINITY;
  #duplicates = 0;
  #recovering = false;

  constructor(segmentBytes: number) {
    this.#segmentBytes = segmentBytes;
    this.#window = INITIAL_SEGMENTS * segmentBytes;
  }

  get bytes(): number {
    return this.#window;
  }

  /** Between a fast retransmit and the acknowledgement of all that was under way then. */
  get isRecovering(): boolean {
    return this.#recovering;
  }

  /** New data was acknowledged. `recovered`: all that was under way at the fast retransmit. */
  acknowledged(bytes: number, recovered: boolean): void {
    this.#duplicates = 0;
    if (this.#recovering) {
      if (recovered) {
        this.#recovering = false;
        this.#window = this.#threshold;
      } else {
        this.#window = Math.max(this.#segmentBytes, this.#window - bytes + this.#segmentBytes);
      }
    } else if (this.#window < this.#threshold) {
      this.#window += Math.min(bytes, this.#segmentBytes);
    } else {
      this.#window += Math.max(1, (this.#segmentBytes * this.#segmentBytes) / this.#window);
    }
  }

  /** The same acknowledgement once more. True when a segment is to be taken for lost and sent again. */
  duplicated(flightBytes: number): boolean {
    if (this.#recovering) {
      this.#window += this.#segmentBytes;
      return false;
    }
    this.#duplicates++;
    if (this.#duplicates < DUPLICATES_THAT_MEAN_LOSS) return false;
    this.#recovering = true;
    this.#threshold = this.#halved(flightBytes);
    this.#window = this.#threshold + DUPLICATES_THAT_MEAN_LOSS * this.#segmentBytes;
    return true;
  }

  timedOut(flightBytes: number): void {
    this.#threshold = this.#halved(flightBytes);
    this.#window = this.#segmentBytes;
    this.#duplicates = 0;
    this.#recovering = false;
  }

  #halved(flightBytes: number): number {
    return Math.max(flightBytes / 2, 2 * this.#segmentBytes);
  }
}
