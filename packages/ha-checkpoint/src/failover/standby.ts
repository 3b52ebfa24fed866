// A host that does not run the machine: it follows whoever does, and takes over when the arbiter lets it.
//
//   looking ──the leader welcomes──> following ──connection lost──> claiming ──the arbiter: yes──> promoting ──> promoted
//      ^                                 │ (no complete checkpoint)     │
//      └─────────────────────────────────┴──────── the arbiter: no ─────┘
//
// Invariants:
// - The commit record of an epoch is written when its memory and its disk writes are all here; once that is durable,
//   memory follows, and then the leader is told. Each step may be done twice.
// - It claims to lead only with a complete checkpoint of the very session that the arbiter's record names.
import { MemoryReceiver } from "../epochs/memory-receiver.ts";
import { decodeMessage, encodeMessage, protocolVersion } from "../epochs/messages.ts";
import type { Hello, Message, RefuseReason, SessionId, StandbyMessage } from "../epochs/messages.ts";
import type { Leadership } from "./arbiter.ts";
import type { StandbyDisk, StandbyDiskEvent } from "./disk.ts";
import { FailureDetector } from "./failure-detector.ts";
import type { Link, LinkHandler } from "./link.ts";
import type { PairEvent, PairPorts, PairSettings } from "./settings.ts";

export interface StandbyPorts {
  /** Connects to the leader's host: calls back once with a link, whose handler is returned then, or without. */
  readonly dial: (host: string, done: (link: Link | undefined) => LinkHandler | undefined) => void;
  /** The machine is that of the epoch and stands; the arbiter's record says that this host leads. */
  readonly promoted: (record: Leadership, epoch: number) => void;
  /** The record names this host as the leader, or nobody: whoever runs this decides, or has it look again later. */
  readonly unled: (record: Leadership | undefined, lookLater: () => void) => void;
}

export type StandbyPhase = "starting" | "looking" | "following" | "claiming" | "promoting" | "ended";

interface Connection {
  readonly link: Link;
  readonly detector: FailureDetector;
  greeted: SessionId | undefined;
  begun: boolean;
  /** The leader has said something: it did not just close the door. */
  heard: boolean;
}

export class Standby<M> {
  readonly #settings: PairSettings;
  readonly #ports: PairPorts<M> & StandbyPorts;
  readonly #receiver: MemoryReceiver;
  readonly #disk: StandbyDisk<M> | undefined;
  #phase: StandbyPhase = "starting";
  #connection: Connection | undefined;
  /** The session that memory is of. */
  #session: SessionId | undefined;
  #highestToken = 0;
  /** Epochs whose memory, or whose disk, is prepared. */
  readonly #memoryPrepared: number[] = [];
  readonly #diskPrepared = new Set<number>();
  /** Epochs of this session whose commit record is on its way, and who waits for it; those before may still end, unheard. */
  readonly #committing = new Map<number, Connection | undefined>();
  #claim: Leadership | undefined;
  /** What to do once the disk's journal was read, or its content restored. */
  #diskReady: () => void = () => undefined;

  constructor(settings: PairSettings, ports: PairPorts<M> & StandbyPorts) {
    this.#settings = settings;
    this.#ports = ports;
    this.#receiver = new MemoryReceiver({
      machine: ports.machine,
      codec: ports.codec,
      stagedPages: 2 * ports.machine.pageCount,
      prepared: (epoch) => {
        this.#memoryPrepared.push(epoch);
        this.#commitNext();
      },
      complain: (text) => this.#lose(text, true),
    });
    this.#disk = ports.disk?.follow({
      send: (message) => this.#send({ kind: "disk", data: ports.disk!.encode(message) }),
      event: (event) => this.#diskEvent(event),
    });
  }

  get phase(): StandbyPhase {
    return this.#phase;
  }

  /** Whether there is a checkpoint to go on from. */
  get complete(): boolean {
    return this.#receiver.complete && (this.#disk?.complete ?? true);
  }

  get epoch(): number {
    return this.#receiver.epoch;
  }

  get session(): SessionId | undefined {
    return this.#session;
  }

  start(): void {
    if (this.#disk === undefined) return this.#look();
    this.#diskReady = (): void => this.#look();
    this.#disk.start();
  }

  /** It is used no more. */
  end(): void {
    this.#phase = "ended";
    this.#drop();
  }

  // --- Finding the leader ---------------------------------------------------------------------------------------------

  #look(): void {
    if (this.#phase === "ended") return;
    this.#phase = "looking";
    this.#ports.arbiter.read((answer) => {
      if (this.#phase !== "looking") return;
      if (!answer.ok) {
        this.#event({ kind: "arbiter-unreachable", text: answer.text });
        return this.#lookLater();
      }
      const { record } = answer;
      if (record === undefined || record.leader === this.#settings.host) {
        return this.#ports.unled(record, () => this.#lookLater());
      }
      this.#highestToken = Math.max(this.#highestToken, record.token);
      // The leader may be gone for good, and this be the one that can go on.
      if (this.#mayClaim(record)) return this.#beginClaim();
      this.#ports.dial(record.leader, (link) => {
        if (this.#phase !== "looking") {
          link?.close();
          return undefined;
        }
        if (link === undefined) {
          this.#lookLater();
          return undefined;
        }
        return this.#connected(link, record.leader);
      });
    });
  }

  #lookLater(): void {
    this.#ports.timers.after(this.#settings.retryMs, () => {
      if (this.#phase === "looking") this.#look();
    });
  }

  #connected(link: Link, leader: string): LinkHandler {
    const { heartbeatMs, standbyTimeoutMs, joiningTimeoutMs } = this.#settings;
    const detector = new FailureDetector({
      timers: this.#ports.timers,
      intervalMs: heartbeatMs,
      timeoutMs: () => (connection.begun && !this.complete ? joiningTimeoutMs : standbyTimeoutMs),
      beat: () => this.#send({ kind: "heartbeat" }),
      suspect: (ms) => this.#lose(`the leader was silent for ${Math.round(ms)} ms`),
    });
    const connection: Connection = { link, detector, greeted: undefined, begun: false, heard: false };
    this.#connection = connection;
    this.#phase = "following";
    this.#event({ kind: "following", leader });
    const current = (): boolean => this.#connection === connection;
    return {
      frame: (frame) => {
        if (!current()) return;
        connection.heard = true;
        detector.heard();
        const message = decodeMessage(frame);
        const complaint = message === undefined ? "the leader sent what is no message" : this.#receive(message);
        if (complaint !== undefined && current()) this.#lose(complaint, true);
      },
      drained: () => undefined,
      closed: (reason) => {
        if (current()) this.#lose(reason);
      },
    };
  }

  // --- Following ------------------------------------------------------------------------------------------------------

  #receive(message: Message): string | undefined {
    const connection = this.#connection!;
    if (message.kind === "hello") return this.#hello(connection, message);
    if (message.kind === "heartbeat") return undefined;
    if (message.kind === "begin") {
      if (connection.greeted === undefined) return "begins without a greeting";
      this.#receiver.begin();
      this.#session = connection.greeted;
      connection.greeted = undefined;
      connection.begun = true;
      this.#memoryPrepared.length = 0;
      this.#diskPrepared.clear();
      this.#committing.clear();
      return undefined;
    }
    if (this.#session === undefined || connection.greeted !== undefined) return `"${message.kind}" out of turn`;
    switch (message.kind) {
      case "pages":
      case "state":
      case "checkpoint":
        this.#receiver.receive(message);
        return undefined;
      case "hints":
        this.#ports.machine.hints?.apply(message.data);
        return undefined;
      case "disk": {
        if (this.#disk === undefined) return "speaks of a disk, but there is none";
        const inner = this.#ports.disk!.decode(message.data);
        if (inner === undefined) return "sent what is no message of the disk";
        this.#disk.receive(inner);
        return undefined;
      }
      default:
        return `a standby does not receive "${message.kind}"`;
    }
  }

  /** Compares all that two hosts of a pair must agree on. */
  #hello(connection: Connection, hello: Hello): undefined {
    const refusal = this.#refusal(hello);
    if (refusal !== undefined) {
      const [reason, text] = refusal;
      this.#send({ kind: "refuse", reason, text });
      this.#event({ kind: "refused", reason, text });
      this.#lose(`refused the leader: ${text}`);
      return undefined;
    }
    connection.greeted = hello.session;
    this.#highestToken = Math.max(this.#highestToken, hello.session.token);
    const stagedPages = 2 * this.#ports.machine.pageCount;
    this.#send({ kind: "welcome", version: protocolVersion, host: this.#settings.host, stagedPages });
    return undefined;
  }

  #refusal(hello: Hello): readonly [RefuseReason, string] | undefined {
    const { machine, codec, disk } = this.#ports;
    const { pageBytes, pageCount, configuration } = machine;
    if (hello.version !== protocolVersion) return ["version", `version ${hello.version}, here ${protocolVersion}`];
    if (hello.pair !== this.#settings.pair) return ["pair", `pair "${hello.pair}", here "${this.#settings.pair}"`];
    if (hello.pageBytes !== pageBytes || hello.pageCount !== pageCount) {
      const there = `${hello.pageCount} pages of ${hello.pageBytes} bytes`;
      return ["memory", `memory of ${there}, here ${pageCount} of ${pageBytes}`];
    }
    if (hello.configuration !== configuration) {
      return ["configuration", `a machine "${hello.configuration}", here "${configuration}"`];
    }
    if (hello.codec !== codec.name) return ["codec", `compression "${hello.codec}", here "${codec.name}"`];
    if (hello.hasDisk !== (disk !== undefined)) return ["disk", hello.hasDisk ? "no disk here" : "a disk here only"];
    if (hello.session.token < this.#highestToken) {
      return ["token", `token ${hello.session.token}, but ${this.#highestToken} was given out`];
    }
    return undefined;
  }

  /** Memory or disk of an epoch has become prepared; when both are, the commit record follows. */
  #commitNext(): void {
    while (this.#memoryPrepared.length > 0) {
      const epoch = this.#memoryPrepared[0];
      if (this.#disk === undefined) {
        this.#memoryPrepared.shift();
        this.#committed(epoch, this.#connection);
      } else if (this.#diskPrepared.delete(epoch)) {
        this.#memoryPrepared.shift();
        this.#committing.set(epoch, this.#connection);
        this.#disk.commit(epoch);
      } else return;
    }
  }

  #diskCommitted(epoch: number): void {
    if (!this.#committing.has(epoch)) return;
    const connection = this.#committing.get(epoch);
    this.#committing.delete(epoch);
    this.#committed(epoch, connection);
  }

  /** The commit record is durable. Whoever has connected since the epoch was prepared is not told. */
  #committed(epoch: number, connection: Connection | undefined): void {
    this.#receiver.commit(epoch);
    if (connection === this.#connection) this.#send({ kind: "committed", epoch });
    this.#event({ kind: "committed", epoch, role: "standby" });
  }

  #diskEvent(event: StandbyDiskEvent): void {
    switch (event.kind) {
      case "recovered":
        return this.#diskReady();
      case "prepared":
        this.#diskPrepared.add(event.epoch);
        return this.#commitNext();
      case "committed":
        return this.#diskCommitted(event.epoch);
      case "protocol-error":
        return this.#lose(event.text, true);
      case "promoted":
        return this.#restored(event.epoch);
      case "restore-failed":
        this.#event({ kind: "disk-error", text: event.error.message });
        this.#ports.timers.after(this.#settings.retryMs, () => {
          if (this.#phase === "promoting") this.#promote();
        });
        return;
      case "failed":
        this.#lose(`the disk failed: ${event.error.message}`, true);
        this.#phase = "ended";
        return this.#event({ kind: "failed", text: event.error.message });
    }
  }

  #drop(): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    this.#connection = undefined;
    connection.detector.stop();
    connection.link.close();
    this.#receiver.interrupt();
    this.#disk?.disconnected();
  }

  /** The connection is over, or ended by this side, which then tells the leader why. */
  #lose(reason: string, tell = false): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    if (tell) this.#send({ kind: "failed", text: reason });
    this.#drop();
    if (this.#phase !== "following") return;
    // A leader that has its standby lets nobody else in. Whether this host may claim is looked at before it dials again.
    if (!this.complete || !connection.heard) {
      this.#event({ kind: "session-ended", reason });
      this.#phase = "looking";
      return this.#lookLater();
    }
    this.#event({ kind: "suspected", reason });
    this.#phase = "claiming";
    this.#ports.timers.after(this.#settings.graceMs, () => this.#beginClaim());
  }

  // --- Taking over ----------------------------------------------------------------------------------------------------

  #mayClaim(record: Leadership | undefined): boolean {
    return (
      this.complete &&
      record?.standby?.host === this.#settings.host &&
      record.token === this.#session?.token &&
      record.standby.attempt === this.#session.attempt
    );
  }

  #beginClaim(): void {
    if (this.#phase !== "claiming" && this.#phase !== "looking") return;
    this.#phase = "claiming";
    const again = (): void => {
      this.#ports.timers.after(this.#settings.retryMs, () => {
        if (this.#phase === "claiming") this.#beginClaim();
      });
    };
    const { arbiter } = this.#ports;
    arbiter.read((answer) => {
      if (this.#phase !== "claiming") return;
      if (!answer.ok) {
        this.#event({ kind: "arbiter-unreachable", text: answer.text });
        return again();
      }
      const { record } = answer;
      const next: Leadership = { token: (record?.token ?? 0) + 1, leader: this.#settings.host, standby: undefined };
      // An earlier claim was granted, and its answer lost.
      const wasGranted =
        record?.leader === this.#settings.host && record.token === this.#claim?.token && this.#claim !== undefined;
      if (wasGranted) return this.#granted(record);
      if (!this.#mayClaim(record)) return this.#look();
      this.#claim = next;
      arbiter.compareAndSwap(record, next, (swapped) => {
        if (this.#phase !== "claiming") return;
        if (swapped.ok && swapped.swapped) this.#granted(next);
        else again();
      });
    });
  }

  #granted(record: Leadership): void {
    this.#claim = record;
    this.#phase = "promoting";
    this.#event({ kind: "claimed", token: record.token });
    this.#promote();
  }

  #promote(): void {
    if (this.#disk === undefined) return this.#restored(this.#receiver.epoch);
    if (!this.#disk.promote(this.#claim!.token)) {
      this.#phase = "ended";
      this.#event({ kind: "failed", text: "the disk has no checkpoint to go back to" });
    }
  }

  /** The disk is that of the epoch, whose commit record decides for memory as well. */
  #restored(epoch: number): void {
    if (this.#coldStarted !== undefined) return this.#coldStarted();
    const complaint = this.#receiver.restore(epoch);
    if (complaint !== undefined) {
      this.#phase = "ended";
      return this.#event({ kind: "failed", text: `memory cannot be restored: ${complaint}` });
    }
    this.#ports.machine.restored();
    const record = this.#claim!;
    this.#phase = "ended";
    this.#event({ kind: "promoted", epoch, token: record.token });
    this.#ports.promoted(record, epoch);
  }

  #coldStarted: (() => void) | undefined;

  /** Memory is lost: makes the disk that of its last checkpoint, if it was a standby's, and calls back. */
  restoreDiskAlone(token: number, done: () => void): void {
    this.#drop();
    this.#phase = "promoting";
    const finish = (): void => {
      this.#phase = "ended";
      done();
    };
    if (this.#disk === undefined || !this.#disk.complete) return finish();
    this.#claim = { token, leader: this.#settings.host, standby: undefined };
    this.#coldStarted = finish;
    this.#promote();
  }

  #send(message: StandbyMessage): void {
    this.#connection?.link.send(encodeMessage(message));
  }

  #event(event: PairEvent): void {
    this.#ports.event(event);
  }
}
