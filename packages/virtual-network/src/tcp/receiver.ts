/**
 * The receiving half of a connection: what may come, what has come in order, and which window is offered
 * (RFC 9293, 3.8.6.2.2: the window's edge never goes back and moves in steps worth a segment).
 *
 * Data counts against the window until the application says that it consumed it, so that a slow application slows the
 * sender down and nothing is kept without bound.
 */
import { Reassembly } from "./reassembly.ts";
import { laterOf, sequenceAdd, sequenceDifference } from "./sequence.ts";

const MAXIMUM_WINDOW = 0xffff;

export class TcpReceiver {
  readonly #capacity: number;
  readonly #segmentBytes: number;
  readonly #reassembly = new Reassembly();
  #next: number;
  /** First sequence number beyond what was ever offered. */
  #edge: number;
  #unconsumed = 0;
  #finSequence: number | undefined;
  #finished = false;
  readonly #scale: number;

  /**
   * @param next the sequence number behind the peer's SYN
   * @param scaling whether both sides scale windows
   */
  constructor(next: number, capacity: number, segmentBytes: number, scaling: boolean) {
    this.#capacity = scaling ? capacity : Math.min(capacity, MAXIMUM_WINDOW);
    this.#scale = scaling ? TcpReceiver.scaleFor(capacity) : 0;
    this.#segmentBytes = segmentBytes;
    this.#next = next;
    this.#edge = sequenceAdd(next, Math.min(capacity, MAXIMUM_WINDOW));
  }

  /** The scale that lets a window of this many bytes be offered (RFC 7323, 2.2). */
  static scaleFor(capacity: number): number {
    let scale = 0;
    while (capacity >> scale > MAXIMUM_WINDOW) scale++;
    return scale;
  }

  /** What the next acknowledgement says. */
  get next(): number {
    return this.#next;
  }

  /** Everything up to the peer's FIN has come. */
  get isFinished(): boolean {
    return this.#finished;
  }

  /** Data is missing before some that has come. */
  get hasGap(): boolean {
    return !this.#reassembly.isEmpty;
  }

  /** RFC 9293, 3.10.7.4, first step; one that begins right at the edge of a full window still brings its acknowledgement. */
  accepts(sequence: number, length: number): boolean {
    if (sequenceDifference(sequence, this.#edge) > 0) return false;
    const end = sequenceDifference(sequenceAdd(sequence, length), this.#next);
    return length === 0 ? end >= 0 : end > 0;
  }

  /** Takes in a segment's data and FIN, delivers what is in order now. */
  receive(sequence: number, payload: Uint8Array, fin: boolean, deliver: (data: Uint8Array) => void): void {
    if (this.#finished) return;
    const finSequence = sequenceAdd(sequence, payload.length);
    if (fin && sequenceDifference(finSequence, this.#edge) <= 0) this.#finSequence ??= finSequence;
    const start = Math.max(0, sequenceDifference(this.#next, sequence));
    const end = Math.min(payload.length, sequenceDifference(this.#edge, sequence));
    if (start < end) this.#insert(sequenceAdd(sequence, start), payload.subarray(start, end), deliver);
    if (this.#finSequence !== undefined && sequenceDifference(this.#next, this.#finSequence) >= 0) {
      this.#finished = true;
      this.#next = sequenceAdd(this.#next, 1);
      this.#edge = laterOf(this.#edge, this.#next);
      this.#reassembly.clear();
    }
  }

  #insert(sequence: number, data: Uint8Array, deliver: (data: Uint8Array) => void): void {
    if (sequence !== this.#next) {
      this.#reassembly.insert(sequence, data);
      return;
    }
    for (let part: Uint8Array | undefined = data; part !== undefined; part = this.#reassembly.take(this.#next)) {
      const room = this.#finSequence === undefined ? part.length : sequenceDifference(this.#finSequence, this.#next);
      const wanted = part.subarray(0, Math.max(0, room));
      this.#next = sequenceAdd(this.#next, wanted.length);
      this.#unconsumed += wanted.length;
      if (wanted.length > 0) deliver(wanted);
      if (wanted.length < part.length) return;
    }
  }

  /** The application is done with this many bytes. True when the window grew so much that the peer should hear of it. */
  consumed(bytes: number): boolean {
    this.#unconsumed -= bytes;
    if (this.#finished) return false;
    const gain = this.#gain();
    const offered = sequenceDifference(this.#edge, this.#next);
    return gain >= this.#capacity / 4 || (offered < this.#segmentBytes && gain >= this.#segmentBytes);
  }

  /** The window field of the segment that is sent now. In one with SYN it is never scaled (RFC 7323, 2.2). */
  offer(syn: boolean): number {
    if (syn) return Math.min(MAXIMUM_WINDOW, sequenceDifference(this.#edge, this.#next));
    const gain = this.#gain();
    if (gain >= Math.min(this.#segmentBytes, this.#capacity / 2)) this.#edge = sequenceAdd(this.#edge, gain);
    const unit = 2 ** this.#scale;
    // Rounded up, so that the edge does not go back; a few bytes more than the capacity do no harm.
    const window = Math.ceil(sequenceDifference(this.#edge, this.#next) / unit);
    this.#edge = laterOf(this.#edge, sequenceAdd(this.#next, window * unit));
    return Math.min(MAXIMUM_WINDOW, window);
  }

  /** How far the edge could move. */
  #gain(): number {
    const free = Math.max(0, this.#capacity - this.#unconsumed);
    return free - sequenceDifference(this.#edge, this.#next);
  }
}
