/**
 * One TCP connection (RFC 9293), without input or output of its own: segments, data and time are given to it, and it
 * says what to send. Urgent data is taken for ordinary data; selective acknowledgements and timestamps are not offered.
 *
 * States are the RFC's. A connection is made by `connect` or by `accept`, and is over when `closed` was called, which
 * happens once, and after which nothing happens.
 */
import { Deadline, type NetworkClock } from "../clock.ts";
import { TcpFlag, type TcpSegment } from "../ethernet/tcp.ts";
import { TcpReceiver } from "./receiver.ts";
import { TcpSender } from "./sender.ts";
import { sequenceAdd, sequenceDifference } from "./sequence.ts";

/** RFC 9293, 4.2: at most half a second, and at least every second full segment. */
const DELAYED_ACKNOWLEDGEMENT_MS = 40;
/** Twice the longest time that a segment lives on this network: it has one hop. */
const TIME_WAIT_MS = 30_000;
/** Answers to segments that do not belong: more often than this, two confused peers would keep each other busy. */
const CHALLENGE_INTERVAL_MS = 50;
/** What a peer takes that does not say (RFC 9293, 3.7.1). */
const DEFAULT_SEGMENT_BYTES = 536;
/** A peer that says less than this wants headers, not data, to be sent. */
const MINIMUM_SEGMENT_BYTES = 64;

export type TcpState =
  | "syn-sent"
  | "syn-received"
  | "established"
  | "fin-wait-1"
  | "fin-wait-2"
  | "close-wait"
  | "closing"
  | "last-ack"
  | "time-wait"
  | "closed";

/** Both sides closed; the peer reset it, or refused it; it did not answer any more; this side aborted it. */
export type TcpEnd = "finished" | "reset" | "refused" | "timeout" | "aborted";

export interface TcpEvents {
  established(): void;
  /** Data in order. The window stays smaller by it until `consumed` is told. */
  data(bytes: Uint8Array): void;
  /** The peer sends nothing more. */
  ended(): void;
  /** After `write` said false: there is room again. */
  drained(): void;
  closed(end: TcpEnd): void;
}

export interface TcpOptions {
  readonly localPort: number;
  readonly remotePort: number;
  /** The largest segment that fits into the network's packets. */
  readonly segmentBytes: number;
  /** Bounds of what is received and not consumed, and of what is written and not acknowledged. */
  readonly receiveBytes: number;
  readonly sendBytes: number;
  readonly initialSequence: number;
  readonly clock: NetworkClock;
  /** Puts a segment on the wire. It may not call back into the connection before it returns. */
  readonly emit: (segment: TcpSegment) => void;
  readonly events: TcpEvents;
}

export class TcpConnection {
  readonly #options: TcpOptions;
  readonly #sender: TcpSender;
  readonly #timeWait: Deadline;
  readonly #delayedAcknowledgement: Deadline;
  #receiver: TcpReceiver | undefined;
  #state: TcpState;
  /** The peer's shift of the windows it tells, once both offered to scale. */
  #peerScale = 0;
  #scaling = true;
  #unacknowledgedSegments = 0;
  #acknowledgeNow = false;
  #challengedMs = Number.NEGATIVE_INFINITY;
  #wantsDrain = false;
  /** `end` was called, perhaps before the connection was established. */
  #ending = false;

  private constructor(state: TcpState, options: TcpOptions) {
    this.#options = options;
    this.#state = state;
    const { clock, initialSequence, segmentBytes } = options;
    this.#sender = new TcpSender(initialSequence, segmentBytes, clock, {
      emit: (sequence, flags, payload) => this.#emit(sequence, flags, payload),
      timedOut: () => {
        this.#emit(this.#sender.sequence, TcpFlag.rst, new Uint8Array(0));
        this.#close("timeout");
      },
    });
    this.#timeWait = new Deadline(clock, () => this.#close("finished"));
    this.#delayedAcknowledgement = new Deadline(clock, () => this.#acknowledge());
  }

  /** Opens a connection: sends SYN. */
  static connect(options: TcpOptions): TcpConnection {
    const connection = new TcpConnection("syn-sent", options);
    connection.#sender.sendSyn();
    return connection;
  }

  /** Answers a peer's SYN. */
  static accept(options: TcpOptions, syn: TcpSegment): TcpConnection {
    const connection = new TcpConnection("syn-received", options);
    connection.#scaling = syn.windowScale !== undefined;
    connection.#takeSyn(syn);
    connection.#sender.sendSyn();
    return connection;
  }

  get state(): TcpState {
    return this.#state;
  }

  /** False: take a rest until `drained`, more than `sendBytes` are waiting. Data after `end` is a mistake. */
  write(bytes: Uint8Array): boolean {
    if (this.#state === "closed") return true;
    this.#sender.append(bytes);
    this.#wantsDrain = this.#sender.queuedBytes >= this.#options.sendBytes;
    return !this.#wantsDrain;
  }

  /** Sends FIN behind what was written. Data still comes in. */
  end(): void {
    if (this.#state === "established" || this.#state === "syn-received" || this.#state === "syn-sent") {
      this.#state = this.#state === "established" ? "fin-wait-1" : this.#state;
      this.#ending = true;
    } else if (this.#state === "close-wait") {
      this.#state = "last-ack";
    } else {
      return;
    }
    this.#sender.finish();
  }
  /** The application is done with this many bytes of what `data` gave it. */
  consumed(bytes: number): void {
    if (this.#state === "closed" || this.#receiver === undefined) return;
    if (this.#receiver.consumed(bytes)) this.#acknowledge();
  }

  /** The way to the peer was cut, and is whole again: does at once what it would do in time. */
  resume(): void {
    if (this.#state !== "closed" && this.#state !== "time-wait") this.#sender.resume();
  }

  /** Resets the connection. */
  abort(): void {
    if (this.#state === "closed") return;
    if (this.#state !== "time-wait") this.#emit(this.#sender.sequence, TcpFlag.rst, new Uint8Array(0));
    this.#close("aborted");
  }

  /** Whether a SYN may open a new connection where this one waits out its time (RFC 9293, 3.10.7.4; RFC 1122, 4.2.2.13). */
  mayGiveWayTo(syn: TcpSegment): boolean {
    return this.#state === "time-wait" && sequenceDifference(syn.sequence, this.#receiver?.next ?? 0) > 0;
  }

  receive(segment: TcpSegment): void {
    if (this.#state === "closed") return;
    if (this.#state === "syn-sent") this.#receiveInSynSent(segment);
    else if (this.#receiver !== undefined) this.#receiveSynchronised(segment, this.#receiver);
    if (this.#acknowledgeNow) this.#acknowledge();
  }

  #receiveInSynSent(segment: TcpSegment): void {
    const { flags, acknowledgement } = segment;
    const hasAcknowledgement = (flags & TcpFlag.ack) !== 0;
    if (hasAcknowledgement && !this.#sender.isNewAcknowledgement(acknowledgement)) {
      if ((flags & TcpFlag.rst) === 0) this.#emitReset(acknowledgement);
      return;
    }
    if ((flags & TcpFlag.rst) !== 0) {
      if (hasAcknowledgement) this.#close("refused");
      return;
    }
    if ((flags & TcpFlag.syn) === 0) return;
    this.#scaling = segment.windowScale !== undefined;
    this.#takeSyn(segment);
    if (hasAcknowledgement) {
      this.#sender.acknowledge(acknowledgement, segment.window, segment.sequence, false);
      this.#acknowledgeNow = true;
      this.#establish();
    } else {
      // Both opened at once (3.5).
      this.#state = "syn-received";
      this.#sender.sendSyn();
    }
  }

  #takeSyn(syn: TcpSegment): void {
    const { receiveBytes, segmentBytes } = this.#options;
    this.#receiver = new TcpReceiver(sequenceAdd(syn.sequence, 1), receiveBytes, segmentBytes, this.#scaling);
    this.#peerScale = this.#scaling ? (syn.windowScale ?? 0) : 0;
    this.#sender.limitSegments(Math.max(MINIMUM_SEGMENT_BYTES, syn.maximumSegmentSize ?? DEFAULT_SEGMENT_BYTES));
    this.#sender.openWindow(syn.window, syn.sequence, syn.acknowledgement);
  }

  #establish(): void {
    this.#state = this.#ending ? "fin-wait-1" : "established";
    this.#options.events.established();
    this.#sender.transmit();
  }

  /** RFC 9293, 3.10.7.4, with the precautions of RFC 5961. */
  #receiveSynchronised(segment: TcpSegment, receiver: TcpReceiver): void {
    const { flags, sequence, acknowledgement, payload } = segment;
    const [syn, fin, rst] = [TcpFlag.syn, TcpFlag.fin, TcpFlag.rst].map((flag) => (flags & flag) !== 0);
    const length = payload.length + (syn ? 1 : 0) + (fin ? 1 : 0);
    if (!receiver.accepts(sequence, length)) {
      if (syn && this.#state === "syn-received" && sequenceAdd(sequence, 1) === receiver.next) this.#sender.sendSyn();
      else if (!rst) this.#challenge(fin);
      return;
    }
    if (rst) {
      if (sequence === receiver.next) this.#close("reset");
      else this.#challenge(false);
      return;
    }
    if (syn) {
      this.#challenge(false);
      return;
    }
    if ((flags & TcpFlag.ack) === 0) return;
    if (this.#state === "syn-received" && !this.#sender.isNewAcknowledgement(acknowledgement)) {
      this.#emitReset(acknowledgement);
      return;
    }
    if (this.#sender.isAhead(acknowledgement)) {
      this.#challenge(false);
      return;
    }
    this.#sender.acknowledge(acknowledgement, segment.window * 2 ** this.#peerScale, sequence, length === 0);
    if (this.#state === "syn-received") this.#establish();
    this.#afterAcknowledgement();
    if (length > 0 && this.#isOpen()) this.#receiveData(segment, receiver, fin);
    if (this.#isOpen()) this.#sender.transmit();
  }

  #isOpen(): boolean {
    return this.#state !== "closed";
  }

  #afterAcknowledgement(): void {
    if (this.#sender.isFinAcknowledged) {
      if (this.#state === "fin-wait-1") this.#state = "fin-wait-2";
      else if (this.#state === "closing") this.#wait();
      else if (this.#state === "last-ack") this.#close("finished");
    }
    if (this.#wantsDrain && this.#sender.queuedBytes <= this.#options.sendBytes / 2) {
      this.#wantsDrain = false;
      this.#options.events.drained();
    }
  }

  #receiveData({ sequence, payload }: TcpSegment, receiver: TcpReceiver, fin: boolean): void {
    const wasFinished = receiver.isFinished;
    const before = receiver.next;
    receiver.receive(sequence, payload, fin, (data) => {
      if (this.#isOpen()) this.#options.events.data(data);
    });
    // At once where the sender waits for it: something is missing or has come late, or this is the end (RFC 5681, 4.2).
    const inOrder = receiver.next !== before && !receiver.hasGap && !fin;
    if (!inOrder || ++this.#unacknowledgedSegments >= 2) this.#acknowledgeNow = true;
    else this.#delayedAcknowledgement.set(DELAYED_ACKNOWLEDGEMENT_MS);
    if (!receiver.isFinished || wasFinished || !this.#isOpen()) return;
    if (this.#state === "established") this.#state = "close-wait";
    else if (this.#state === "fin-wait-1") this.#state = "closing";
    else if (this.#state === "fin-wait-2") this.#wait();
    this.#options.events.ended();
  }

  #wait(): void {
    this.#state = "time-wait";
    this.#sender.stop();
    this.#timeWait.set(TIME_WAIT_MS);
  }

  /** Says where this side stands to a segment that is out of place; one that sends FIN again waits for that. */
  #challenge(fin: boolean): void {
    if (fin && this.#state === "time-wait") this.#timeWait.set(TIME_WAIT_MS);
    const nowMs = this.#options.clock.now();
    if (nowMs - this.#challengedMs < CHALLENGE_INTERVAL_MS) return;
    this.#challengedMs = nowMs;
    this.#acknowledgeNow = true;
  }

  #acknowledge(): void {
    if (this.#state === "closed" || this.#receiver === undefined) return;
    this.#emit(this.#sender.sequence, 0, new Uint8Array(0));
  }

  /** @param flags but for ACK, which every segment has that can */
  #emit(sequence: number, flags: number, payload: Uint8Array): void {
    const { localPort, remotePort, segmentBytes, receiveBytes } = this.#options;
    const receiver = this.#receiver;
    const syn = (flags & TcpFlag.syn) !== 0;
    this.#acknowledgeNow = false;
    this.#unacknowledgedSegments = 0;
    this.#delayedAcknowledgement.clear();
    this.#options.emit({
      sourcePort: localPort,
      destinationPort: remotePort,
      sequence,
      acknowledgement: receiver?.next ?? 0,
      flags: flags | (receiver === undefined ? 0 : TcpFlag.ack),
      window: receiver?.offer(syn) ?? Math.min(receiveBytes, 0xffff),
      ...(syn ? { maximumSegmentSize: segmentBytes } : {}),
      ...(syn && this.#scaling ? { windowScale: TcpReceiver.scaleFor(receiveBytes) } : {}),
      payload,
    });
  }

  /** To a segment that acknowledges what was never sent (3.10.7.3). */
  #emitReset(acknowledgement: number): void {
    const { localPort, remotePort } = this.#options;
    this.#options.emit({
      sourcePort: localPort,
      destinationPort: remotePort,
      sequence: acknowledgement,
      acknowledgement: 0,
      flags: TcpFlag.rst,
      window: 0,
      payload: new Uint8Array(0),
    });
  }

  #close(end: TcpEnd): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#acknowledgeNow = false;
    this.#sender.stop();
    this.#timeWait.cancel();
    this.#delayedAcknowledgement.cancel();
    this.#options.events.closed(end);
  }
}

/** The answer to a segment that no connection wants (RFC 9293, 3.10.7.1); none to a reset. */
export function resetFor(segment: TcpSegment): TcpSegment | undefined {
  const { flags, payload } = segment;
  if ((flags & TcpFlag.rst) !== 0) return undefined;
  const hasAcknowledgement = (flags & TcpFlag.ack) !== 0;
  const length = payload.length + ((flags & TcpFlag.syn) !== 0 ? 1 : 0) + ((flags & TcpFlag.fin) !== 0 ? 1 : 0);
  return {
    sourcePort: segment.destinationPort,
    destinationPort: segment.sourcePort,
    sequence: hasAcknowledgement ? segment.acknowledgement : 0,
    acknowledgement: hasAcknowledgement ? 0 : sequenceAdd(segment.sequence, length),
    flags: hasAcknowledgement ? TcpFlag.rst : TcpFlag.rst | TcpFlag.ack,
    window: 0,
    payload: new Uint8Array(0),
  };
}
