// The primary: the disk of a running machine, and the sender of all that a secondary needs to go back.
//
// Invariants:
// - Shared disk, protected: a block is written only after its content as of the last committed epoch is in the secondary's
//   journal. `#tracked` says of which blocks that is known; blocks that are not tracked are on the disk as committed.
// - A write of the guest goes to the disk and to the secondary in one step, as part of the epoch that is open then.
// - Requests on one block go one after the other, so that both disks see them in one order.
// - Undecided or halted, it writes nothing.
//
// A checkpoint holds every write that was completed before it, and of those outstanding some: a restored machine issues
// its outstanding requests again, as after a reset of its disk.
import { assert, failure, rangeError, succeeded, writeError } from "./block-device.ts";
import type { BlockDevice, Done, Geometry, Result, WriteOptions } from "./block-device.ts";
import { BlockLocks } from "./block-locks.ts";
import { DirtyBitmap } from "./dirty-bitmap.ts";
import { Epochs } from "./epochs.ts";
import { isPrimaryMessage, maximumDataBytes, maximumListLength, protocolVersion } from "./messages.ts";
import type { Message, PrimaryMessage, SecondaryMessage, SessionId } from "./messages.ts";
import type { Mode, PrimaryEvent, PrimaryOptions } from "./primary-types.ts";
import { Synchroniser } from "./synchroniser.ts";
import { TrackedBlocks } from "./tracked-blocks.ts";

/** Requests of the guest in flight or waiting: more than any virtual queue has, so only a bug meets it. */
export const maximumRequests = 1024;
/** Most bytes of one request; a longer one is split by whoever has it. Also a message's. */
export const maximumRequestBytes: number = maximumDataBytes;

interface Operation {
  readonly sector: number;
  readonly count: number;
  /** Undefined: zeros. */
  readonly data: Uint8Array | undefined;
  readonly fua: boolean;
  readonly first: number;
  readonly last: number;
  readonly done: Done;
  release: () => void;
  /** Room of the write buffer was set aside for it, in this session. */
  admitted: number | undefined;
  /** It writes what a failed one left. */
  readonly reconciles: boolean;
}

export class Primary implements BlockDevice {
  readonly geometry: Geometry;
  readonly #options: PrimaryOptions;
  readonly #blockCount: number;
  readonly #maximumRequestBytes: number;
  readonly #locks = new BlockLocks();
  #mode: Mode = "solo";
  #token: number;
  /** The newest token this side raised the fence with, or is about to. */
  #fenceToken: number;
  #requests = 0;

  // The session.
  #attempt = 0;
  /** Counts sessions, so that late completions know they are late. */
  #session = 0;
  #stage: "none" | "hello" | "begin" | "synchronising" | "ready" = "none";
  #joinEpoch: number | undefined;
  readonly #epochs: Epochs;
  #tracked: TrackedBlocks = new TrackedBlocks(0);
  /** The epoch whose end was asked for. */
  #wanted = 0;
  #nextOld = 1;
  readonly #awaitingOld = new Map<number, { operation: Operation; block: number; left: { count: number } }>();

  /** Blocks in doubt that are being read and written again. */
  readonly #reconciling = new Set<number>();

  // Operations that are not on the disk yet.
  #waiting: Operation[] = [];
  #parked: Operation[] = [];
  /** Those on the disk, and who waits for some of them to end. */
  readonly #inFlight = new Set<Operation>();
  readonly #settling = new Set<{ operations: Set<Operation>; done: () => void }>();

  /** Mirrored disks: what the standby of `#lastSession` lacks. */
  readonly #missing: DirtyBitmap;
  #lastSession: { id: SessionId; epoch: number } | undefined;
  #synchroniser: Synchroniser | undefined;

  constructor(options: PrimaryOptions) {
    this.#options = options;
    this.geometry = options.disk.geometry;
    assert(this.geometry.sectorCount % options.sectorsPerBlock === 0, "the disk is a whole number of blocks");
    this.#blockCount = this.geometry.sectorCount / options.sectorsPerBlock;
    this.#token = options.token;
    this.#fenceToken = options.token;
    this.#maximumRequestBytes = options.maximumRequestBytes ?? maximumRequestBytes;
    assert(this.#maximumRequestBytes <= maximumRequestBytes, "a request fits into a message");
    this.#epochs = new Epochs(options.epoch ?? 1);
    this.#missing = new DirtyBitmap(this.#blockCount);
    this.#missing.setAll();
  }

  get mode(): Mode {
    return this.#mode;
  }

  get token(): number {
    return this.#token;
  }

  /** The epoch that writes belong to now. */
  get epoch(): number {
    return this.#epochs.open;
  }

  /** Shared disk: whether the block may be overwritten at once. */
  isTracked(block: number): boolean {
    return this.#tracked.has(block);
  }

  /** Blocks still to be sent to a joining standby. */
  get blocksToSynchronise(): number {
    return this.#synchroniser?.left ?? 0;
  }

  // --- The guest's side -----------------------------------------------------------------------------------------------

  read(sector: number, count: number, done: Done<Uint8Array>): void {
    const error = rangeError(this.geometry, sector, count);
    if (error) return later(() => done({ ok: false, error }));
    if (this.#mode === "halted") return later(() => done(failure("halted", "this side was fenced")));
    this.#options.disk.read(sector, count, done);
  }

  write(sector: number, data: Uint8Array, options: WriteOptions, done: Done): void {
    const error = writeError(this.geometry, sector, data);
    if (error) return later(() => done({ ok: false, error }));
    this.#submit(sector, data.length / this.geometry.sectorSize, data, options.fua ?? false, done);
  }

  discard(sector: number, count: number, _options: WriteOptions, done: Done): void {
    const error = rangeError(this.geometry, sector, count);
    if (error) return later(() => done({ ok: false, error }));
    this.#submit(sector, count, undefined, false, done);
  }

  /**
   * The disk's own flush. What the guest does because of it leaves the machine after the next commit only, which has
   * all of it; and a machine that goes on alone finds it on its disk.
   */
  flush(done: Done): void {
    if (this.#mode === "halted") return later(() => done(failure("halted", "this side was fenced")));
    this.#options.disk.flush(done);
  }

  #submit(sector: number, count: number, data: Uint8Array | undefined, fua: boolean, guest: Done): void {
    if (count * this.geometry.sectorSize > this.#maximumRequestBytes) {
      return later(() => guest(failure("too-large", `at most ${this.#maximumRequestBytes} bytes a request`)));
    }
    if (this.#requests === maximumRequests) {
      return later(() => guest(failure("busy", `at most ${maximumRequests} requests at a time`)));
    }
    this.#requests++;
    const done: Done = (result) => {
      this.#requests--;
      guest(result);
    };
    const per = this.#options.sectorsPerBlock;
    const first = Math.floor(sector / per);
    const last = Math.floor((sector + count - 1) / per);
    const base = { sector, count, data, fua, first, last, done, admitted: undefined, reconciles: false };
    this.#locks.acquire(first, last, (release) => this.#advance({ ...base, release }));
  }

  /** Does with an operation that holds its blocks what the mode asks for. */
  #advance(operation: Operation): void {
    switch (this.#mode) {
      case "halted":
        return later(() => this.#finish(operation, failure("halted", "this side was fenced")));
      case "undecided":
        this.#parked.push(operation);
        return;
      case "solo":
        return this.#issue(operation);
      case "joining":
        return this.#options.topology === "shared" ? this.#issue(operation) : this.#enter(operation);
      case "protected":
        return this.#enter(operation);
    }
  }

  #finish(operation: Operation, result: Result<void>): void {
    operation.release();
    operation.done(result);
  }

  /** Hands the operation to the disk. */
  #issue(operation: Operation): void {
    const { disk, topology } = this.#options;
    if (topology === "mirrored" && this.#mode !== "protected") {
      for (let block = operation.first; block <= operation.last; block++) this.#missing.set(block);
    }
    const token = this.#token;
    this.#inFlight.add(operation);
    const done: Done = (result) => {
      this.#inFlight.delete(operation);
      if (result.ok) this.#finish(operation, succeeded);
      else if (result.error.kind === "fenced" && this.#fenceToken > token) {
        // It was on its way while this side raised the fence itself.
        operation.admitted = undefined;
        this.#advance(operation);
      } else {
        if (result.error.kind === "fenced") this.halt("the disk is fenced: another host took over");
        else this.#event({ kind: "disk-error", error: result.error });
        this.#failed(operation, result);
      }
      this.#settle(operation);
    };
    const options = { fua: operation.fua, token };
    if (operation.data === undefined) disk.discard(operation.sector, operation.count, options, done);
    else disk.write(operation.sector, operation.data, options, done);
  }

  /** What a failed write left is the content now, and the secondary has to have the same: it is read and written again. */
  #failed(operation: Operation, result: Result<void>): void {
    if (this.#mode !== "protected" && this.#mode !== "joining") return this.#finish(operation, result);
    this.#tracked.suspect(operation.first, operation.last);
    if (operation.reconciles) return this.#finish(operation, result);
    this.#options.disk.read(operation.sector, operation.count, (content) => {
      if (!content.ok) return this.#finish(operation, result);
      const { sector, count, first, last, release } = operation;
      const done: Done = (again) => {
        if (again.ok) this.#tracked.clear(first, last);
        operation.done(result);
      };
      const base = { sector, count, data: content.value, fua: false, first, last, release };
      this.#advance({ ...base, done, admitted: undefined, reconciles: true });
    });
  }

  /**
   * What could not be made known when a write failed is tried again: a block in doubt keeps its place in the rollback buffer,
   * and when all places are in doubt no write goes on.
   */
  #reconcile(): void {
    const session = this.#session;
    const per = this.#options.sectorsPerBlock;
    for (const block of this.#tracked.suspects) {
      if (this.#reconciling.has(block)) continue;
      this.#reconciling.add(block);
      this.#locks.acquire(block, block, (release) => {
        const end = (): void => {
          this.#reconciling.delete(block);
          release();
        };
        if (session !== this.#session || !this.#tracked.suspects.has(block)) return end();
        this.#options.disk.read(block * per, per, (content) => {
          if (!content.ok || session !== this.#session) return end();
          const done: Done = (result) => {
            if (result.ok) this.#tracked.clear(block, block);
          };
          const base = { sector: block * per, count: per, data: content.value, fua: false, first: block, last: block };
          this.#advance({ ...base, release: end, done, admitted: undefined, reconciles: true });
        });
      });
    }
  }

  /** Calls when those of the operations that are on the disk now have ended, and a flush after them. */
  #afterSettled(blocks: ((block: number) => boolean) | undefined, done: (result: Result<void>) => void): void {
    const operations = new Set<Operation>();
    for (const operation of this.#inFlight) {
      for (let block = operation.first; block <= operation.last; block++) {
        if (blocks === undefined || blocks(block)) operations.add(operation);
      }
    }
    const flush = (): void => this.#options.disk.flush(done);
    if (operations.size === 0) flush();
    else this.#settling.add({ operations, done: flush });
  }

  #settle(operation: Operation): void {
    for (const entry of this.#settling) {
      if (!entry.operations.delete(operation) || entry.operations.size > 0) continue;
      this.#settling.delete(entry);
      entry.done();
    }
  }

  // --- A write while there is a standby -------------------------------------------------------------------------------

  /** Lets the operation in if there is room for it in the secondary's buffers; otherwise it waits for its turn. */
  #enter(operation: Operation): void {
    if (operation.admitted === this.#session) {
      // It has its place in the write buffer, which nobody gets back by waiting for this one.
      if (!this.#admit(operation)) this.#waiting.unshift(operation);
    } else if (this.#waiting.length > 0 && !this.#mayPass(operation)) this.#waiting.push(operation);
    else if (!this.#admit(operation)) this.#waiting.push(operation);
  }

  /** Past those that wait for the rollback buffer: an operation that needs none of it. Past the write buffer: nobody. */
  #mayPass(operation: Operation): boolean {
    const head = this.#waiting[0];
    return this.#epochs.hasRoom(blocksOf(head)) && this.#untracked(operation).length === 0;
  }

  #untracked(operation: Operation): number[] {
    if (this.#options.topology === "mirrored") return [];
    const blocks: number[] = [];
    for (let block = operation.first; block <= operation.last; block++) {
      if (!this.#tracked.has(block)) blocks.push(block);
    }
    return blocks;
  }

  #admit(operation: Operation): boolean {
    if (operation.admitted !== this.#session) {
      if (!this.#epochs.hasRoom(blocksOf(operation))) {
        this.#want("write");
        return false;
      }
    }
    const untracked = this.#untracked(operation);
    if (!this.#tracked.reserve(untracked)) {
      this.#want("rollback");
      return false;
    }
    if (operation.admitted !== this.#session) {
      operation.admitted = this.#session;
      this.#epochs.reserve(blocksOf(operation));
    }
    if (untracked.length === 0) this.#send(operation);
    else this.#protect(operation, untracked);
    return true;
  }

  #pumpWaiting(): void {
    const waiting = this.#waiting;
    while (waiting.length > 0 && this.#admit(waiting[0])) waiting.shift();
    // The first may wait for one of those behind it: that lets go of a block in doubt, which has a place in the rollback buffer.
    for (let at = 1; at < waiting.length;) {
      if (this.#mayPass(waiting[at]) && this.#admit(waiting[at])) waiting.splice(at, 1);
      else at++;
    }
  }

  /** Reads the old content of blocks and sends it; the write follows when it is safe. */
  #protect(operation: Operation, blocks: readonly number[]): void {
    const session = this.#session;
    const per = this.#options.sectorsPerBlock;
    const runs: { first: number; count: number }[] = [];
    for (const block of blocks) {
      const run = runs.at(-1);
      if (run !== undefined && run.first + run.count === block) run.count++;
      else runs.push({ first: block, count: 1 });
    }
    let left = runs.length;
    let error: Result<void> | undefined;
    const contents: { block: number; data: Uint8Array }[] = [];
    for (const run of runs) {
      this.#options.disk.read(run.first * per, run.count * per, (result) => {
        if (result.ok) {
          const bytes = per * this.geometry.sectorSize;
          for (let i = 0; i < run.count; i++) {
            contents.push({ block: run.first + i, data: result.value.subarray(i * bytes, (i + 1) * bytes) });
          }
        } else error = result;
        if (--left > 0) return;
        if (session !== this.#session) return this.#advance(operation);
        if (error !== undefined) {
          this.#tracked.unreserve(blocks);
          this.#epochs.unreserve(blocksOf(operation));
          this.#finish(operation, error);
          this.#pumpWaiting();
          return;
        }
        const waiting = { count: contents.length };
        for (const { block, data } of contents) {
          const number = this.#nextOld++;
          this.#awaitingOld.set(number, { operation, block, left: waiting });
          this.#options.send({ kind: "old", number, block, data });
        }
      });
    }
  }

  #oldSafe(number: number): string | undefined {
    const entry = this.#awaitingOld.get(number);
    if (entry === undefined) return "acknowledges old content that was not sent";
    this.#awaitingOld.delete(number);
    this.#tracked.track(entry.block);
    if (--entry.left.count > 0) return undefined;
    // Another block of it may have become a victim since; then that one is protected anew.
    this.#enter(entry.operation);
    return undefined;
  }

  /** To the write buffer and to the disk, at the same time. */
  #send(operation: Operation): void {
    const { sector, count, data } = operation;
    const epoch = this.#epochs.write(operation.first, operation.last);
    this.#options.send(
      data === undefined ? { kind: "zeroes", epoch, sector, count } : { kind: "write", epoch, sector, data },
    );
    if (this.#epochs.isHalfFull) this.#want("write");
    this.#issue(operation);
  }

  /** Asks for a checkpoint, once an epoch. */
  #want(buffer: "write" | "rollback"): void {
    if (this.#wanted === this.#epochs.open) return;
    this.#wanted = this.#epochs.open;
    this.#event({ kind: "checkpoint-wanted", buffer });
  }

  // --- Checkpoints ----------------------------------------------------------------------------------------------------

  /** Ends the open epoch and begins the next one. The machine does not run meanwhile. Returns the epoch that ended. */
  checkpoint(): Result<number> {
    const completes = this.#mode === "joining" && this.#stage === "ready";
    if (this.#mode !== "protected" && this.#mode !== "joining") {
      return failure("halted", "there is no standby to take a checkpoint");
    }
    if (this.#epochs.isFull || this.#tracked.settlingJoin) {
      return failure("busy", "earlier checkpoints are not committed yet");
    }
    const { epoch, writes } = this.#epochs.close();
    const message: PrimaryMessage = {
      kind: "checkpoint",
      epoch,
      writes,
      complete: completes || this.#mode === "protected",
    };
    if (completes) {
      this.#joinEpoch = epoch;
      this.#mode = "protected";
      this.#event({ kind: "protected", epoch });
      if (this.#options.topology === "shared") {
        this.#joinShared(message);
        return { ok: true, value: epoch };
      }
    } else if (this.#options.topology === "shared") this.#retire(epoch);
    this.#options.send(message);
    return { ok: true, value: epoch };
  }

  /** The first checkpoint of a shared disk is what is on it: which must be there, and stay there. */
  #joinShared(message: PrimaryMessage): void {
    const session = this.#session;
    this.#tracked.settlingJoin = true;
    this.#afterSettled(undefined, (result) => {
      if (session !== this.#session) return;
      this.#tracked.settlingJoin = false;
      if (result.ok) this.#options.send(message);
      else this.#lose(`the disk cannot be flushed: ${result.error.message}`);
    });
  }

  /** From this checkpoint on the victims are written the ordinary way; they are forgotten when they are on the disk. */
  #retire(epoch: number): void {
    const retiring = this.#tracked.beginRetirement(epoch);
    if (retiring.size === 0) return;
    const session = this.#session;
    this.#afterSettled(
      (block) => retiring.has(block),
      (result) => {
        if (session !== this.#session) return;
        this.#tracked.settled(epoch, result.ok);
        if (!result.ok) this.#event({ kind: "disk-error", error: result.error });
        this.#sendRetired();
      },
    );
  }

  #sendRetired(): void {
    const blocks = this.#tracked.takeRetired(this.#epochs.committed);
    for (let at = 0; at < blocks.length; at += maximumListLength) {
      this.#options.send({ kind: "retire", blocks: blocks.slice(at, at + maximumListLength) });
    }
    if (blocks.length > 0) this.#pumpWaiting();
  }

  #committed(epoch: number): string | undefined {
    if (!this.#epochs.commit(epoch)) return "commits an epoch that is not the next one";
    if (this.#mode === "protected" && this.#joinEpoch !== undefined && epoch >= this.#joinEpoch) {
      this.#missing.clearAll();
      this.#lastSession = { id: { token: this.#token, attempt: this.#attempt }, epoch };
    }
    this.#event({ kind: "committed", epoch });
    this.#reconcile();
    this.#sendRetired();
    this.#pumpWaiting();
    return undefined;
  }

  // --- The session ----------------------------------------------------------------------------------------------------

  /** Begins to take in the standby at the other end of a new connection. */
  attach(): Result<void> {
    if (this.#mode !== "solo" || this.#stage !== "none") return failure("busy", "there is a session already");
    this.#attempt++;
    this.#session++;
    this.#stage = "hello";
    const { sectorSize, sectorCount } = this.geometry;
    this.#options.send({
      kind: "hello",
      version: protocolVersion,
      session: { token: this.#token, attempt: this.#attempt },
      topology: this.#options.topology,
      sectorSize,
      sectorsPerBlock: this.#options.sectorsPerBlock,
      sectorCount,
      disk: this.#options.name,
    });
    return succeeded;
  }

  /** The connection ended. */
  disconnected(reason = "the connection ended"): void {
    if (this.#stage !== "none") this.#lose(reason);
  }

  receive(message: Message): void {
    if (this.#stage === "none") return;
    const complaint = isPrimaryMessage(message)
      ? `a primary does not receive "${message.kind}"`
      : this.#handle(message);
    if (complaint !== undefined) this.#lose(complaint);
  }

  #handle(message: SecondaryMessage): string | undefined {
    const inSession = this.#mode === "joining" || this.#mode === "protected";
    switch (message.kind) {
      case "welcome":
        return this.#stage === "hello" ? this.#welcome(message) : "a welcome out of turn";
      case "refuse":
        this.#event({ kind: "refused", reason: message.reason, text: message.text });
        return `refused: ${message.text}`;
      case "ready":
        return this.#stage === "begin" ? this.#ready() : "ready out of turn";
      case "failed":
        return `the standby failed: ${message.text}`;
      case "old-safe":
        return inSession ? this.#oldSafe(message.number) : "acknowledges before the session began";
      case "committed":
        return inSession ? this.#committed(message.epoch) : "commits before the session began";
      case "victims":
        if (!inSession || this.#options.topology !== "shared") return "elects victims out of turn";
        return this.#tracked.elect(message.blocks, this.#blockCount) ? undefined : "elects blocks that do not exist";
      default:
        if (this.#synchroniser === undefined) return "acknowledges blocks that were not sent";
        return this.#synchroniser.acknowledged(message.number) ? undefined : "acknowledges a block that was not sent";
    }
  }

  #welcome(welcome: SecondaryMessage & { kind: "welcome" }): string | undefined {
    if (welcome.version !== protocolVersion) return "speaks another version";
    const { rollbackBlocks, writeBufferBlocks } = welcome;
    const blockBytes = this.geometry.sectorSize * this.#options.sectorsPerBlock;
    const least = minimumBufferBlocks(blockBytes, this.#maximumRequestBytes);
    if (rollbackBlocks < 2 * least) return `its rollback buffer is below ${2 * least} blocks`;
    if (writeBufferBlocks < least) return `its write buffer is below ${least} blocks`;
    const last = this.#lastSession;
    const knows =
      last !== undefined &&
      welcome.session.token === last.id.token &&
      welcome.session.attempt === last.id.attempt &&
      welcome.epoch >= last.epoch;
    const full = this.#options.topology === "shared" || !knows;
    if (full) this.#missing.setAll();
    this.#epochs.reset(writeBufferBlocks);
    this.#tracked = new TrackedBlocks(rollbackBlocks);
    this.#joinEpoch = undefined;
    this.#stage = "begin";
    this.#options.send({ kind: "begin", full });
    return undefined;
  }

  #ready(): string | undefined {
    this.#mode = "joining";
    this.#lastSession = undefined;
    if (this.#options.topology === "shared") {
      this.#stage = "ready";
      this.#event({ kind: "synchronised" });
      return undefined;
    }
    this.#stage = "synchronising";
    const session = this.#session;
    this.#synchroniser = new Synchroniser({
      missing: this.#missing,
      blockCount: this.#blockCount,
      sectorsPerBlock: this.#options.sectorsPerBlock,
      maximumRunBytes: this.#maximumRequestBytes,
      disk: this.#options.disk,
      locks: this.#locks,
      send: (message) => {
        if (session === this.#session) this.#options.send(message);
      },
      done: (result) => {
        if (session !== this.#session) return;
        if (!result.ok) return this.#lose(`a block cannot be read: ${result.error.message}`);
        this.#stage = "ready";
        this.#event({ kind: "synchronised" });
      },
    });
    this.#synchroniser.start();
    return undefined;
  }

  /** The session is over. What it held back goes on, or waits for the arbiter. */
  #lose(reason: string): void {
    const undecided = this.#mode === "protected";
    // All that the standby may lack, if it comes back.
    for (const block of this.#epochs.uncommittedBlocks()) this.#missing.set(block);
    this.#stage = "none";
    this.#session++;
    this.#synchroniser?.stop();
    this.#synchroniser = undefined;
    this.#epochs.reset(0);
    const held = this.#waiting;
    this.#waiting = [];
    for (const { operation, left } of this.#awaitingOld.values()) {
      if (left.count > 0) held.push(operation);
      left.count = 0;
    }
    this.#awaitingOld.clear();
    if (this.#mode !== "halted") this.#mode = undecided ? "undecided" : "solo";
    for (const operation of held) this.#advance(operation);
    this.#event({ kind: "session-lost", undecided, reason });
  }

  /** The arbiter decided for this side, and gave it a new token: goes on without a standby. */
  goSolo(token: number): void {
    assert(this.#mode === "undecided", "only the undecided goes solo");
    assert(token > this.#token, "going solo takes a newer token");
    const proceed = (): void => {
      if (this.#mode !== "undecided") return;
      this.#token = token;
      this.#attempt = 0;
      this.#mode = "solo";
      const parked = this.#parked;
      this.#parked = [];
      for (const operation of parked) this.#advance(operation);
    };
    this.#fenceToken = token;
    if (this.#options.topology === "mirrored") return proceed();
    this.#options.disk.fence(token, (result) => {
      if (result.ok) proceed();
      else this.halt(`the disk cannot be fenced: ${result.error.message}`);
    });
  }

  /** The arbiter decided against this side. */
  halt(reason: string): void {
    if (this.#mode === "halted") return;
    this.#mode = "halted";
    this.#event({ kind: "halted", reason });
    if (this.#stage !== "none") this.#lose(reason);
    this.#settling.clear();
    const parked = this.#parked;
    this.#parked = [];
    for (const operation of parked) this.#advance(operation);
  }

  #event(event: PrimaryEvent): void {
    this.#options.event(event);
  }
}

const blocksOf = (operation: Operation): number => operation.last - operation.first + 1;

/** Blocks of the longest request, which may begin and end within one: the least that the secondary's buffers hold. */
export function minimumBufferBlocks(blockBytes: number, requestBytes: number = maximumRequestBytes): number {
  return Math.ceil(requestBytes / blockBytes) + 1;
}

const later = (call: () => void): void => queueMicrotask(call);
