// The host that runs the machine.
//
//   solo ──standby connects──> joining ──first complete checkpoint──> protected ──standby lost──> undecided
//    ^                            │                                                                │     │
//    └────────────────────────────┴──────────────────────── the arbiter: alone ────────────────────┘     │
//   halted <────────────────────────────────── the arbiter: another leads <──────────────────────────────┘
//
// Invariants:
// - While protected or undecided, output leaves by `release` of an epoch that the standby says is committed, and in no other way.
// - A standby is registered with the arbiter before the checkpoint that completes its session is taken.
// - Only the undecided ask the arbiter to go on alone, and until it has answered the machine's output waits and its
//   disk's writes do.
// - At most `maximumInFlight` epochs are captured and not committed, and their pages fit into what the standby announced.
import { assert } from "../assert.ts";
import { MemorySender } from "../epochs/memory-sender.ts";
import { decodeMessage, encodeMessage, protocolVersion } from "../epochs/messages.ts";
import type { LeaderMessage, Message, Welcome } from "../epochs/messages.ts";
import { sameLeadership } from "./arbiter.ts";
import type { ArbiterAnswer, Leadership } from "./arbiter.ts";
import type { LeaderDisk, LeaderDiskEvent } from "./disk.ts";
import { FailureDetector } from "./failure-detector.ts";
import type { Link, LinkHandler } from "./link.ts";
import type { PairEvent, PairPorts, PairSettings } from "./settings.ts";

export type LeaderMode = "solo" | "joining" | "protected" | "undecided" | "halted";

interface Session {
  readonly link: Link;
  readonly detector: FailureDetector;
  readonly attempt: number;
  standby: string;
  /** Most pages of epochs not committed that it keeps. */
  stagedPages: number;
  /** hello, copying: nothing can be checkpointed. disk: not completely. registering: not now. ready: completely. */
  stage: "hello" | "copying" | "disk" | "registering" | "ready";
}

export class Leader<M> {
  readonly #settings: PairSettings;
  readonly #ports: PairPorts<M>;
  readonly #sender: MemorySender;
  readonly #disk: LeaderDisk<M> | undefined;
  #record: Leadership;
  #mode: LeaderMode = "solo";
  /** The machine has run: before that it has no memory that could be sent. */
  #started = false;
  #session: Session | undefined;
  #attempts = 0;
  /** The last epoch that ended, where there is no disk to count them. */
  #epoch: number;
  #inFlight: { readonly epoch: number; readonly pages: number }[] = [];
  /** The epoch that completes the session, which was committed if `#covered`. */
  #completing = Infinity;
  #covered = false;
  #capturing = false;
  /** A checkpoint was due and could not be taken. */
  #overdue = false;
  /** The machine is being moved: at its last epoch, once that is captured, it stands. */
  #handover: { readonly reason: string; epoch: number | undefined } | undefined;
  #cancelTimer: () => void = () => undefined;
  #lastCaptureMs = -Infinity;

  /** Of a machine that stands, ready to run, for a host that the arbiter says leads. */
  constructor(settings: PairSettings, ports: PairPorts<M>, record: Leadership, epoch: number) {
    this.#settings = settings;
    this.#ports = ports;
    this.#record = record;
    this.#epoch = epoch - 1;
    this.#disk = ports.disk?.lead({
      token: record.token,
      epoch,
      send: (message) => this.#send({ kind: "disk", data: ports.disk!.encode(message) }),
      event: (event) => this.#diskEvent(event),
    });
    this.#sender = new MemorySender({
      machine: ports.machine,
      codec: ports.codec,
      stagedPages: settings.stagedPages,
      cachePages: settings.cachePages,
      send: (message) => this.#send(message),
      isWritable: () => this.#session?.link.isWritable ?? false,
      copied: () => this.#copied(),
    });
    this.#sender.sent = (sent, counts) => this.#event({ kind: "sent", epoch: sent, counts });
  }

  get mode(): LeaderMode {
    return this.#mode;
  }

  /** The standby has a checkpoint to go on from. */
  get isCovered(): boolean {
    return this.#mode === "protected" && this.#covered;
  }

  get record(): Leadership {
    return this.#record;
  }

  /** Pages still to be sent to a joining standby. */
  get pagesLeft(): number {
    return this.#sender.left;
  }

  get epochsInFlight(): number {
    return this.#inFlight.length;
  }

  get standby(): string | undefined {
    return this.#session?.standby;
  }

  /** The machine runs, and nothing that it sends is held. */
  start(from: "checkpoint" | "power-on"): void {
    this.#started = true;
    for (const output of this.#ports.outputs) output.goUnprotected(this.#record.token);
    this.#event({ kind: "leading", token: this.#record.token, from });
    this.#ports.machine.run();
  }

  // --- The session ----------------------------------------------------------------------------------------------------

  /** A host has connected that wants to be the standby. Undefined: not now; the link is closed. */
  accept(link: Link): LinkHandler | undefined {
    if (!this.#started || this.#mode !== "solo" || this.#session !== undefined) {
      link.close();
      return undefined;
    }
    const { timers, machine, codec, disk } = this.#ports;
    const { heartbeatMs, leaderTimeoutMs, joiningTimeoutMs, pair, host } = this.#settings;
    const detector = new FailureDetector({
      timers,
      intervalMs: heartbeatMs,
      timeoutMs: () => (this.#mode === "joining" ? joiningTimeoutMs : leaderTimeoutMs),
      beat: () => this.#send({ kind: "heartbeat" }),
      suspect: (ms) => this.#lose(`the standby was silent for ${Math.round(ms)} ms`),
    });
    const attempt = ++this.#attempts;
    const session: Session = { link, detector, attempt, standby: "", stagedPages: 0, stage: "hello" };
    this.#session = session;
    this.#send({
      kind: "hello",
      version: protocolVersion,
      pair,
      host,
      session: { token: this.#record.token, attempt },
      pageBytes: machine.pageBytes,
      pageCount: machine.pageCount,
      configuration: machine.configuration,
      codec: codec.name,
      hasDisk: disk !== undefined,
    });
    const current = (): boolean => this.#session === session;
    return {
      frame: (frame) => {
        if (!current()) return;
        detector.heard();
        const message = decodeMessage(frame);
        const complaint = message === undefined ? "the standby sent what is no message" : this.#receive(message);
        if (complaint !== undefined && current()) this.#lose(complaint);
      },
      drained: () => {
        if (current()) this.#sender.pump();
      },
      closed: (reason) => {
        if (current()) this.#lose(reason);
      },
    };
  }

  #receive(message: Message): string | undefined {
    const { stage } = this.#session!;
    switch (message.kind) {
      case "welcome":
        return stage === "hello" ? this.#welcome(message) : "a welcome out of turn";
      case "refuse":
        this.#event({ kind: "refused", reason: message.reason, text: message.text });
        return `refused: ${message.text}`;
      case "committed":
        return this.#committed(message.epoch);
      case "failed":
        return `the standby failed: ${message.text}`;
      case "heartbeat":
        return undefined;
      case "disk": {
        if (this.#disk === undefined) return "speaks of a disk, but there is none";
        if (stage === "hello" || stage === "copying") return "speaks of the disk out of turn";
        const inner = this.#ports.disk!.decode(message.data);
        if (inner === undefined) return "sent what is no message of the disk";
        this.#disk.receive(inner);
        return undefined;
      }
      default:
        return `a leader does not receive "${message.kind}"`;
    }
  }

  #welcome(welcome: Welcome): string | undefined {
    const { machine } = this.#ports;
    if (welcome.version !== protocolVersion) return "speaks another version";
    if (welcome.stagedPages < machine.pageCount) return `keeps ${welcome.stagedPages} pages only`;
    if (welcome.host === this.#settings.host) return "has the name of this host";
    const session = this.#session!;
    session.standby = welcome.host;
    session.stagedPages = welcome.stagedPages;
    session.stage = "copying";
    this.#mode = "joining";
    this.#event({ kind: "joining", standby: welcome.host });
    this.#send({ kind: "begin" });
    machine.hints?.restart();
    this.#sender.begin();
    return undefined;
  }

  /** All of memory was sent once. What has changed since follows with every epoch. */
  #copied(): void {
    const session = this.#session!;
    if (this.#disk === undefined) return this.#register(session);
    session.stage = "disk";
    const attached = this.#disk.attach();
    if (!attached.ok) return this.#lose(`the disk takes no standby: ${attached.error.message}`);
    this.#schedule(0);
  }

  /** Tells the arbiter who may take over. */
  #register(session: Session): void {
    session.stage = "registering";
    const { token, leader } = this.#record;
    const next: Leadership = { token, leader, standby: { host: session.standby, attempt: session.attempt } };
    this.#swap(next, (outcome) => {
      if (this.#session !== session) return;
      if (outcome === "swapped") {
        session.stage = "ready";
        this.#schedule(0);
      } else this.#later(outcome === "changed" ? 0 : this.#settings.retryMs, () => this.#register(session));
    });
  }

  /** A swap from the record as it is known here; `next` has this host as its leader. */
  #swap(next: Leadership, done: (outcome: "swapped" | "changed" | "unreachable") => void): void {
    this.#ports.arbiter.compareAndSwap(this.#record, next, (answer) => {
      if (this.#mode === "halted") return;
      done(this.#outcome(next, answer));
    });
  }

  #outcome(next: Leadership, answer: ArbiterAnswer): "swapped" | "changed" | "unreachable" {
    // An answer that comes after a later decision says nothing any more.
    if (next.token < this.#record.token) return "changed";
    if (!answer.ok) {
      this.#event({ kind: "arbiter-unreachable", text: answer.text });
      return "unreachable";
    }
    const { record } = answer;
    // An answer that was lost leaves the record as it was asked for: nobody else writes this host's name and token.
    if (sameLeadership(record, next)) {
      this.#record = next;
      return "swapped";
    }
    if (record?.leader === this.#settings.host && record.token === this.#record.token) this.#record = record;
    else this.#depose(`the arbiter says that ${record?.leader ?? "nobody"} leads`);
    return "changed";
  }

  #later(milliseconds: number, run: () => void): void {
    this.#ports.timers.after(milliseconds, () => {
      if (this.#mode !== "halted") run();
    });
  }

  /** The session is over. A machine that nobody can take over for goes on; otherwise the arbiter decides. */
  #lose(reason: string): void {
    const session = this.#session;
    if (session === undefined) return;
    this.#session = undefined;
    session.detector.stop();
    session.link.close();
    this.#cancelTimer();
    this.#inFlight = [];
    this.#overdue = false;
    this.#completing = Infinity;
    const wasProtected = this.#mode === "protected";
    if (this.#mode !== "halted") this.#mode = wasProtected ? "undecided" : "solo";
    const stands = this.#handover?.epoch !== undefined;
    this.#handover = undefined;
    this.#disk?.disconnected(reason);
    this.#sender.end();
    if (stands && this.#mode !== "halted") this.#ports.machine.run();
    this.#event(wasProtected ? { kind: "undecided", reason } : { kind: "session-ended", reason });
    if (this.#mode === "undecided") this.#decide(reason);
  }

  #decide(reason: string): void {
    if (this.#mode !== "undecided") return;
    const next: Leadership = { token: this.#record.token + 1, leader: this.#settings.host, standby: undefined };
    this.#swap(next, (outcome) => {
      if (this.#mode !== "undecided") return;
      if (outcome === "swapped") this.#goSolo(reason);
      else this.#later(outcome === "changed" ? 0 : this.#settings.retryMs, () => this.#decide(reason));
    });
  }

  #goSolo(reason: string): void {
    const { token } = this.#record;
    this.#mode = "solo";
    this.#disk?.goSolo(token);
    for (const output of this.#ports.outputs) output.goUnprotected(token);
    this.#event({ kind: "unprotected", token, reason });
  }

  /** Another host leads. What this one has not released, nobody will see. */
  #depose(reason: string): void {
    if (this.#mode === "halted") return;
    this.#mode = "halted";
    for (const output of this.#ports.outputs) output.discard();
    this.#lose(reason);
    this.#disk?.halt(reason);
    this.#ports.machine.stop(() => this.#event({ kind: "deposed", reason }));
  }

  /**
   * Moves the machine to its standby without going back: takes a last checkpoint, after which the machine stands, sends what
   * it had to send, and gives up leading. False if nobody can take over.
   */
  handOver(reason: string): boolean {
    if (!this.isCovered || this.#handover !== undefined) return false;
    this.#handover = { reason, epoch: undefined };
    this.#schedule(0);
    return true;
  }

  /** Gives up leading at once, without asking anybody: the standby, if there is one, takes over. */
  resign(reason: string): void {
    this.#depose(reason);
  }

  #diskEvent(event: LeaderDiskEvent): void {
    switch (event.kind) {
      case "synchronised":
        if (this.#session !== undefined) this.#register(this.#session);
        return;
      case "checkpoint-wanted":
        return this.wantCheckpoint();
      case "session-lost":
        return this.#lose(`the disk's session: ${event.reason}`);
      case "refused":
        return this.#event({ kind: "refused", reason: "disk", text: event.text });
      case "disk-error":
        this.#event({ kind: "disk-error", text: event.error.message });
        // The guest has not heard of it yet, and the other host's disk is as good as this one was.
        if (this.isCovered) this.resign(`the disk failed: ${event.error.message}`);
        return;
      case "halted":
        return this.#depose(event.reason);
      default:
        return;
    }
  }

  // --- Checkpoints ----------------------------------------------------------------------------------------------------

  /** A buffer is filling: the next checkpoint is due now. */
  wantCheckpoint(): void {
    if (this.#session !== undefined) this.#schedule(0);
  }

  #schedule(milliseconds: number): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#ports.timers.after(milliseconds, () => this.#checkpoint());
  }

  /** Takes a checkpoint, or notes that one is due. */
  #checkpoint(): void {
    const session = this.#session;
    const { machine, timers } = this.#ports;
    if (session === undefined || this.#handover?.epoch !== undefined) return;
    if (this.#capturing) {
      this.#overdue = true;
      return;
    }
    if (session.stage !== "disk" && session.stage !== "ready") return;
    const { intervalMs, maximumInFlight } = this.#settings;
    const uncommitted = this.#inFlight.reduce((sum, epoch) => sum + epoch.pages, 0);
    // With nothing in flight any epoch has room, since the standby keeps as many pages as there are.
    const hasRoom = this.#inFlight.length === 0 || uncommitted + machine.dirtyPages <= session.stagedPages;
    if (this.#inFlight.length >= maximumInFlight || !hasRoom) {
      if (!this.#overdue) this.#event({ kind: "behind", epochs: this.#inFlight.length });
      this.#overdue = true;
      return;
    }
    this.#overdue = false;
    this.#capturing = true;
    const stopped = timers.now();
    machine.stop(() => {
      if (this.#session === session) this.#capture(session, stopped);
      else this.#resume();
    });
    this.#lastCaptureMs = stopped;
    if (this.#session === session && !this.#overdue) this.#schedule(intervalMs);
  }

  #resume(): void {
    this.#capturing = false;
    if (this.#mode !== "halted") this.#ports.machine.run();
    if (this.#overdue && this.#session !== undefined) this.#schedule(0);
  }

  /** The machine stands. */
  #capture(session: Session, stoppedMs: number): void {
    const { machine, outputs, timers } = this.#ports;
    const complete = session.stage === "ready";
    let epoch = this.#epoch + 1;
    if (this.#disk !== undefined) {
      const ended = this.#disk.checkpoint();
      // Its own earlier checkpoints are on their way; the next interval comes.
      if (!ended.ok || this.#session !== session) return this.#resume();
      epoch = ended.value;
    }
    assert(epoch > this.#epoch, "epochs go up");
    this.#epoch = epoch;
    if (complete && this.#mode === "joining") {
      this.#mode = "protected";
      this.#completing = epoch;
      this.#covered = false;
      for (const output of outputs) output.protect();
      this.#event({ kind: "protected", epoch });
    }
    for (const output of outputs) output.seal(epoch);
    this.#inFlight.push({ epoch, pages: machine.dirtyPages });
    this.#event({ kind: "captured", epoch, complete });
    this.#sender.capture(epoch, () => {
      const state = machine.saveState();
      this.#event({ kind: "resumed", epoch, pauseMs: timers.now() - stoppedMs });
      if (this.#handover === undefined) this.#resume();
      else {
        this.#capturing = false;
        this.#handover.epoch = epoch;
      }
      // Encodes what was copied: while the guest runs.
      this.#sender.finish(state, complete);
    });
  }

  #committed(epoch: number): string | undefined {
    if (this.#inFlight[0]?.epoch !== epoch) return `commits epoch ${epoch}, which is not the next one`;
    this.#inFlight.shift();
    this.#covered ||= epoch >= this.#completing;
    for (const output of this.#ports.outputs) output.release(epoch);
    this.#event({ kind: "committed", epoch, role: "leader" });
    this.#hint();
    const handover = this.#handover;
    if (handover?.epoch === epoch) {
      // What was released just now is on its way by then.
      this.#later(this.#settings.heartbeatMs, () => {
        if (this.#handover === handover) this.#depose(handover.reason);
      });
      return undefined;
    }
    if (this.#overdue) {
      const waited = this.#ports.timers.now() - this.#lastCaptureMs;
      this.#schedule(Math.max(0, this.#settings.intervalMs - waited));
    }
    return undefined;
  }

  /** At the pace of commits, and not when the connection has enough to do. */
  #hint(): void {
    if (this.#session?.link.isWritable !== true) return;
    const data = this.#ports.machine.hints?.next();
    if (data !== undefined) this.#send({ kind: "hints", data });
  }

  #send(message: LeaderMessage): void {
    this.#session?.link.send(encodeMessage(message));
  }

  #event(event: PairEvent): void {
    this.#ports.event(event);
  }
}
