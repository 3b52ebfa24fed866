/**
 * The sending half of a connection: data until it is acknowledged, what of it is sent when, and what is sent again.
 *
 * In sequence numbers: `#unacknowledged` <= `#next` <= `#highest` <= `#maximum`. The queue begins at `#unacknowledged`; FIN
 * takes the number behind its end. `#next` goes back when segments are taken for lost, the other two never do; a probe
 * beyond the peer's window counts for `#maximum` alone.
 *
 * One deadline serves retransmission, and, when nothing is under way but the peer's window is shut, the probes that
 * find out when it opens (RFC 9293, 3.8.6.1).
 */
import { Deadline, type NetworkClock } from "../clock.ts";
import { TcpFlag } from "../ethernet/tcp.ts";
import { ByteQueue } from "./byte-queue.ts";
import { CongestionWindow } from "./congestion.ts";
import { RetransmissionTimeout } from "./round-trip.ts";
import { laterOf, sequenceAdd, sequenceDifference } from "./sequence.ts";

/** Timeouts in a row without a sign of life: with 200 ms at first, the last one ends after some nine minutes. */
const MAXIMUM_TIMEOUTS = 15;
/** The same for SYN, which begins with a second: two minutes. */
const MAXIMUM_SYN_TIMEOUTS = 6;
/** Most doublings between two probes of a shut window; from 200 ms it is 51 seconds. */
const MAXIMUM_PROBE_DOUBLINGS = 8;

export interface SenderEvents {
  /** A segment to send; what it acknowledges is for the connection to say. */
  emit(sequence: number, flags: number, payload: Uint8Array): void;
  /** The peer does not answer any more. */
  timedOut(): void;
}

export class TcpSender {
  readonly #clock: NetworkClock;
  readonly #events: SenderEvents;
  readonly #queue = new ByteQueue();
  readonly #deadline: Deadline;
  readonly #timeout = new RetransmissionTimeout();
  #congestion: CongestionWindow;
  #segmentBytes: number;
  #unacknowledged: number;
  #next: number;
  #highest: number;
  #maximum: number;
  /** The peer's window, scaled, and the segment that told of it (RFC 9293, SND.WL1 and SND.WL2). */
  #window = 0;
  #largestWindow = 0;
  #windowSequence = 0;
  #windowAcknowledgement = 0;
  #synAcknowledged = false;
  #finQueued = false;
  #finSequence: number | undefined;
  /** The end of what was under way at the last fast retransmit. */
  #recoverUntil: number;
  /** A segment whose round trip is being measured. */
  #timed: { readonly sequence: number; readonly sentMs: number } | undefined;
  #timeoutsInRow = 0;
  /** Probes of a shut window in a row. */
  #probes = 0;

  constructor(initialSequence: number, segmentBytes: number, clock: NetworkClock, events: SenderEvents) {
    this.#clock = clock;
    this.#events = events;
    this.#segmentBytes = segmentBytes;
    this.#congestion = new CongestionWindow(segmentBytes);
    this.#unacknowledged = initialSequence;
    this.#next = initialSequence;
    this.#highest = initialSequence;
    this.#maximum = initialSequence;
    this.#recoverUntil = initialSequence;
    this.#deadline = new Deadline(clock, () => this.#onDeadline());
  }

  /** For segments without data: behind all that was sent, and within the peer's window. */
  get sequence(): number {
    return this.#highest;
  }

  /** Bytes waiting, or under way and not acknowledged. */
  get queuedBytes(): number {
    return this.#queue.length;
  }

  get isFinAcknowledged(): boolean {
    return this.#finSequence !== undefined && sequenceDifference(this.#unacknowledged, this.#finSequence) > 0;
  }

  /** Whether the acknowledgement is one of something sent, and not of something already acknowledged. */
  isNewAcknowledgement(acknowledgement: number): boolean {
    return sequenceDifference(acknowledgement, this.#unacknowledged) > 0 && !this.isAhead(acknowledgement);
  }

  /** Whether it acknowledges what was never sent. */
  isAhead(acknowledgement: number): boolean {
    return sequenceDifference(acknowledgement, this.#maximum) > 0;
  }

  /** Sends SYN, with ACK if the connection says so; it takes a sequence number of its own. */
  sendSyn(): void {
    const again = this.#next !== this.#unacknowledged;
    this.#next = sequenceAdd(this.#unacknowledged, 1);
    this.#highest = this.#next;
    this.#maximum = this.#next;
    this.#timed = again ? undefined : { sequence: this.#next, sentMs: this.#clock.now() };
    this.#events.emit(this.#unacknowledged, TcpFlag.syn, new Uint8Array(0));
    this.#deadline.set(this.#timeout.milliseconds);
  }

  /** The peer takes segments of this size only (RFC 9293, 3.7.1). */
  limitSegments(bytes: number): void {
    if (bytes >= this.#segmentBytes) return;
    this.#segmentBytes = bytes;
    this.#congestion = new CongestionWindow(bytes);
  }

  append(bytes: Uint8Array): void {
    this.#queue.append(bytes);
    this.transmit();
  }

  /** Nothing is appended from here on. */
  finish(): void {
    this.#finQueued = true;
    this.transmit();
  }

  /** The peer's SYN, or an acknowledgement of ours, tells its window. */
  openWindow(window: number, sequence: number, acknowledgement: number): void {
    this.#window = window;
    this.#largestWindow = Math.max(this.#largestWindow, window);
    this.#windowSequence = sequence;
    this.#windowAcknowledgement = acknowledgement;
  }

  /**
   * An acceptable segment's acknowledgement and window (RFC 9293, 3.10.7.4, fifth step).
   * @param isBare it carries neither data nor SYN or FIN
   */
  acknowledge(acknowledgement: number, window: number, sequence: number, isBare: boolean): void {
    this.#timeoutsInRow = 0;
    const windowBefore = this.#window;
    const newer = sequenceDifference(sequence, this.#windowSequence);
    if (
      sequenceDifference(acknowledgement, this.#unacknowledged) >= 0 &&
      (newer > 0 || (newer === 0 && sequenceDifference(acknowledgement, this.#windowAcknowledgement) >= 0))
    ) {
      this.openWindow(window, sequence, acknowledgement);
      // What is sent now waits for its acknowledgement, not for the next probe.
      if (this.#probes > 0 && window > 0) this.#deadline.clear();
      if (window > 0) this.#probes = 0;
    }
    if (this.isNewAcknowledgement(acknowledgement)) {
      this.#advance(acknowledgement);
    } else if (
      acknowledgement === this.#unacknowledged &&
      isBare &&
      window === windowBefore &&
      this.#next !== this.#unacknowledged
    ) {
      this.#duplicate();
    }
  }

  #advance(acknowledgement: number): void {
    const count = sequenceDifference(acknowledgement, this.#unacknowledged);
    // SYN has a sequence number too, and so has FIN.
    this.#queue.drop(Math.min(this.#synAcknowledged ? count : count - 1, this.#queue.length));
    this.#synAcknowledged = true;
    this.#unacknowledged = acknowledgement;
    this.#next = laterOf(this.#next, acknowledgement);
    this.#highest = laterOf(this.#highest, acknowledgement);
    if (this.#timed !== undefined && sequenceDifference(acknowledgement, this.#timed.sequence) >= 0) {
      this.#timeout.measured(this.#clock.now() - this.#timed.sentMs);
      this.#timed = undefined;
    }
    const recovered = sequenceDifference(acknowledgement, this.#recoverUntil) >= 0;
    this.#congestion.acknowledged(count, recovered);
    // What a partial acknowledgement stops before is lost too (RFC 6582, 3.2).
    if (this.#congestion.isRecovering) this.#resendFirst();
    if (this.#next === this.#unacknowledged) this.#deadline.clear();
    else this.#deadline.set(this.#timeout.milliseconds);
  }

  #duplicate(): void {
    // After a timeout everything is sent again, which the peer answers with duplicates (RFC 6582, 4).
    if (!this.#congestion.isRecovering && sequenceDifference(this.#unacknowledged, this.#recoverUntil) < 0) return;
    if (!this.#congestion.duplicated(sequenceDifference(this.#next, this.#unacknowledged))) return;
    this.#recoverUntil = this.#maximum;
    this.#resendFirst();
  }

  /** The first segment that is not acknowledged, once more, without going back. */
  #resendFirst(): void {
    const length = Math.min(this.#segmentBytes, this.#queue.length);
    this.#timed = undefined;
    this.#send(this.#unacknowledged, length, this.#finQueued && length === this.#queue.length);
  }

  /** Sends what may be sent now: within the peer's window and the congestion window, in segments worth sending. */
  transmit(): void {
    if (!this.#synAcknowledged) return;
    while (this.#transmitOne(false));
    if (this.#deadline.isSet) return;
    if (this.#next !== this.#unacknowledged || this.#isWaiting()) this.#deadline.set(this.#timeout.milliseconds);
  }

  /** Data or FIN that was not sent, or is to be sent again. */
  #isWaiting(): boolean {
    if (this.isFinAcknowledged) return false;
    const sent = sequenceDifference(this.#next, this.#unacknowledged);
    return sent < this.#queue.length || (this.#finQueued && sent === this.#queue.length);
  }

  #transmitOne(evenIfSmall: boolean): boolean {
    const sent = sequenceDifference(this.#next, this.#unacknowledged);
    const unsent = this.#queue.length - sent;
    const room = Math.min(this.#window, Math.floor(this.#congestion.bytes)) - sent;
    // Behind a FIN there is nothing; it takes a byte of the window itself.
    if (!this.#isWaiting() || room <= 0) return false;
    const length = Math.min(this.#segmentBytes, unsent, room);
    // RFC 9293, 3.8.6.2.1: full segments, the last of what there is, or a good part of the largest window.
    const worthIt = length === this.#segmentBytes || length === unsent || length >= this.#largestWindow / 2;
    if (!worthIt && !evenIfSmall) return false;
    const fin = this.#finQueued && length === unsent && length < room;
    const sequence = this.#next;
    this.#next = sequenceAdd(sequence, length + (fin ? 1 : 0));
    // Only what was never sent before: of the rest nobody knows which copy is acknowledged.
    if (sequence === this.#maximum) this.#timed ??= { sequence: this.#next, sentMs: this.#clock.now() };
    this.#highest = laterOf(this.#highest, this.#next);
    this.#maximum = laterOf(this.#maximum, this.#next);
    this.#send(sequence, length, fin);
    return length > 0 || fin;
  }

  #send(sequence: number, length: number, fin: boolean): void {
    if (length === 0 && !fin) return;
    const offset = sequenceDifference(sequence, this.#unacknowledged);
    const last = offset + length === this.#queue.length;
    if (fin) this.#finSequence = sequenceAdd(sequence, length);
    const flags = (fin ? TcpFlag.fin : 0) | (last && length > 0 ? TcpFlag.psh : 0);
    this.#events.emit(sequence, flags, this.#queue.copy(offset, length));
  }

  #onDeadline(): void {
    const limit = this.#synAcknowledged ? MAXIMUM_TIMEOUTS : MAXIMUM_SYN_TIMEOUTS;
    if (++this.#timeoutsInRow > limit) {
      this.#events.timedOut();
      return;
    }
    if (!this.#synAcknowledged) {
      this.#timeout.backOff();
      this.sendSyn();
      return;
    }
    const flight = sequenceDifference(this.#next, this.#unacknowledged);
    if (flight > 0) {
      this.#timeout.backOff();
      this.#timed = undefined;
      this.#congestion.timedOut(flight);
      this.#next = this.#unacknowledged;
      this.#recoverUntil = this.#maximum;
    }
    if (this.#transmitOne(true)) {
      this.#deadline.set(this.#timeout.milliseconds);
    } else {
      this.#deadline.set(this.#timeout.milliseconds * 2 ** Math.min(this.#probes, MAXIMUM_PROBE_DOUBLINGS));
      this.#probes++;
      this.#probe();
    }
  }

  /** The way to the peer was cut, and is whole again: what was lost on it is sent now, not when a deadline is over. */
  resume(): void {
    this.#timeoutsInRow = 0;
    this.#timeout.restart();
    if (!this.#synAcknowledged) {
      if (this.#next !== this.#unacknowledged) this.sendSyn();
      return;
    }
    this.#timed = undefined;
    this.#next = this.#unacknowledged;
    this.#recoverUntil = this.#maximum;
    this.#deadline.clear();
    this.transmit();
  }

  /** One byte, or the FIN, beyond a window that is shut: the answer tells what the window is now. */
  #probe(): void {
    if (!this.#isWaiting()) return;
    const length = Math.min(1, this.#queue.length);
    this.#maximum = laterOf(this.#maximum, sequenceAdd(this.#unacknowledged, 1));
    this.#send(this.#unacknowledged, length, length === 0);
  }

  /** No timer is left; what was not acknowledged is forgotten. */
  stop(): void {
    this.#deadline.cancel();
    this.#queue.clear();
  }
}
