// The secondary: keeps what is needed to go back to the last checkpoint, and goes back when it is promoted.
//
// Invariants:
// - Once a session is complete, disk + rollback buffer = the disk as of the committed epoch (see journal-records.ts).
// - What it acknowledged is durable in its journal.
// - The shared disk is written while being promoted and never otherwise, and only after the fence.
// - Its own disk (mirrored disks) is written with committed content alone, after the commit record is durable; or, before
//   a session is complete, with the blocks it lacks.
// - Promotion ends with a record that forbids going back: a machine that ran on is never rolled back.
//
// It decides nothing about who leads: `promote` is called by whoever asked the arbiter. `commit` is called by whoever
// knows that the rest of the checkpoint (memory, processors) is safe too, with what the commit record shall say about it.
import { assert } from "./block-device.ts";
import type { BlockDevice, DeviceError, Done, FencedDevice, Result } from "./block-device.ts";
import { BlockContents } from "./block-contents.ts";
import { DiskWriter } from "./disk-writer.ts";
import { Journal } from "./journal.ts";
import type { Checksum } from "./journal.ts";
import { maximumNoteBytes, SecondaryState } from "./journal-records.ts";
import type { JournalRecord } from "./journal-records.ts";
import { isPrimaryMessage, maximumDataBytes, maximumListLength, protocolVersion } from "./messages.ts";
import type { Message, PrimaryMessage, RefuseReason, SecondaryMessage, SessionId } from "./messages.ts";

interface SecondarySettings {
  /** Name of the disk; a primary with another one is refused. */
  readonly name: string;
  /** Sectors in a block, the unit that is tracked. */
  readonly sectorsPerBlock: number;
  /** Most blocks in the rollback buffer: the memory and journal it may take. At least twice `minimumBufferBlocks`. */
  readonly rollbackBlocks: number;
  /** Most blocks written by epochs not yet committed, counted each time. At least `minimumBufferBlocks`. */
  readonly writeBufferBlocks: number;
  /** Salt of the journal's checksums: random, unknown to the guest. */
  readonly salt: number;
  readonly checksum?: Checksum;
}

interface SecondaryPorts {
  readonly journal: BlockDevice;
  /** Hands a message to the connection, which keeps the order or ends. */
  readonly send: (message: SecondaryMessage) => void;
  readonly event: (event: SecondaryEvent) => void;
}

export type SecondaryOptions = SecondarySettings &
  SecondaryPorts &
  (
    | { readonly topology: "shared"; readonly disk: FencedDevice }
    | { readonly topology: "mirrored"; readonly disk: BlockDevice }
  );

export type SecondaryEvent =
  /** The journal was read. If complete, this is the epoch that `promote` goes back to. */
  | { readonly kind: "recovered"; readonly epoch: number; readonly complete: boolean; readonly promoted: boolean }
  /** All of the epoch's writes are here; `commit` may follow. */
  | { readonly kind: "prepared"; readonly epoch: number }
  /** The commit record is durable. */
  | { readonly kind: "committed"; readonly epoch: number; readonly complete: boolean }
  /** The primary said something it must not; the connection has to be closed. */
  | { readonly kind: "protocol-error"; readonly text: string }
  /** The disk is that of the epoch, and nobody else can write it. */
  | { readonly kind: "promoted"; readonly epoch: number; readonly token: number; readonly note: Uint8Array }
  /** The disk could not be restored. `promote` may be called again. */
  | { readonly kind: "restore-failed"; readonly error: DeviceError }
  /** Journal or disk failed: this secondary protects nothing any more. */
  | { readonly kind: "failed"; readonly error: DeviceError };

type Phase = "starting" | "idle" | "following" | "promoting" | "promoted" | "failed";

/** Blocks written to the own disk between two flushes: enough to make the flush cheap. */
const destageBatchBlocks = 64;

/** New blocks between two elections, besides those after each commit: an election may look at the whole buffer. */
const electionInterval = 64;

export class Secondary {
  readonly #options: SecondaryOptions;
  readonly #journal: Journal;
  readonly #writer: DiskWriter;
  readonly #state: SecondaryState;
  readonly #blockCount: number;
  #phase: Phase = "starting";
  /** Counts connections and sessions, so that late completions know they are late. */
  #connection = 0;
  #greeted: SessionId | undefined;
  /** Writes received, by epoch that is not prepared yet. */
  readonly #received = new Map<number, number>();
  /** Blocks of writes that are not committed, by epoch. */
  readonly #uncommitted = new Map<number, number>();
  #lastPrepared = 0;
  readonly #prepared: { epoch: number; complete: boolean; note: Uint8Array | undefined }[] = [];
  #committing = false;
  readonly #elected = new Set<number>();
  /** Mirrored disks: blocks on their way to the disk that a joining standby lacks, and who waits for one. */
  readonly #synchronising = new Set<number>();
  #afterSync: (() => void) | undefined;
  /** Counts what ends the writing of committed content to the own disk. */
  #chain = 0;

  constructor(options: SecondaryOptions) {
    const { geometry } = options.disk;
    assert(geometry.sectorCount % options.sectorsPerBlock === 0, "the disk is a whole number of blocks");
    this.#options = options;
    this.#blockCount = geometry.sectorCount / options.sectorsPerBlock;
    this.#state = new SecondaryState({ sectorSize: geometry.sectorSize, sectorsPerBlock: options.sectorsPerBlock });
    this.#writer = new DiskWriter(options.disk);
    this.#journal = new Journal(options.journal, {
      salt: options.salt,
      ...(options.checksum && { checksum: options.checksum }),
      snapshot: () => this.#state.records(),
      failed: (error) => this.#fail(error),
    });
  }

  get epoch(): number {
    return this.#state.epoch;
  }

  /** Whether there is a checkpoint to go back to. */
  get complete(): boolean {
    return this.#state.complete && this.#state.promoted === undefined;
  }

  /** The session whose epochs it holds. */
  get session(): SessionId | undefined {
    return this.#state.session;
  }

  get rollbackBlocks(): number {
    return this.#state.rollback.size;
  }

  get writeBufferBlocks(): number {
    let blocks = 0;
    for (const buffer of this.#state.writeBuffers.values()) blocks += buffer.size;
    return blocks;
  }

  /** Reads the journal; "recovered" follows. */
  start(): void {
    assert(this.#phase === "starting", "started once");
    this.#journal.open((result) => {
      if (!result.ok) return this.#fail(result.error);
      for (const record of result.value) this.#state.apply(record);
      this.#journal.begin(() => {
        const { epoch, promoted } = this.#state;
        this.#phase = "idle";
        this.#event({ kind: "recovered", epoch, complete: this.complete, promoted: promoted !== undefined });
      });
    });
  }

  /** The connection ended. What is held stays. */
  disconnected(): void {
    this.#connection++;
    this.#greeted = undefined;
    if (this.#phase === "following") this.#phase = "idle";
  }

  receive(message: Message): void {
    if (this.#phase !== "idle" && this.#phase !== "following") return;
    const complaint = isPrimaryMessage(message)
      ? this.#handle(message)
      : `a secondary does not receive "${message.kind}"`;
    if (complaint === undefined) return;
    this.disconnected();
    this.#event({ kind: "protocol-error", text: complaint });
  }

  #handle(message: PrimaryMessage): string | undefined {
    if (message.kind === "hello") return this.#hello(message);
    if (message.kind === "begin") return this.#begin(message.full);
    if (this.#phase !== "following") return `"${message.kind}" before the session began`;
    switch (message.kind) {
      case "old":
        return this.#old(message.number, message.block, message.data);
      case "write":
        return this.#write(message.epoch, message.sector, message.data);
      case "zeroes": {
        const { sectorCount, sectorSize } = this.#options.disk.geometry;
        if (message.sector + message.count > sectorCount) return "zeroes past the end of the disk";
        const limit = this.#options.writeBufferBlocks * this.#options.sectorsPerBlock;
        if (message.count > limit) return "more zeroes than the write buffer holds";
        return this.#write(message.epoch, message.sector, new Uint8Array(message.count * sectorSize));
      }
      case "checkpoint":
        return this.#checkpoint(message.epoch, message.writes, message.complete);
      case "retire":
        return this.#retire(message.blocks);
      case "sync":
        return this.#sync(message.number, message.block, message.data);
      default:
        return this.#syncZeroes(message.number, message.block, message.count);
    }
  }

  #hello(hello: PrimaryMessage & { kind: "hello" }): string | undefined {
    const { geometry } = this.#options.disk;
    const refusal = (reason: RefuseReason, text: string): undefined => {
      this.#send({ kind: "refuse", reason, text });
      this.disconnected();
    };
    if (this.#phase === "following") return "a second hello";
    if (hello.version !== protocolVersion) return refusal("version", `this side speaks version ${protocolVersion}`);
    if (hello.topology !== this.#options.topology)
      return refusal("topology", `this side has ${this.#options.topology} disks`);
    if (
      hello.sectorSize !== geometry.sectorSize ||
      hello.sectorCount !== geometry.sectorCount ||
      hello.sectorsPerBlock !== this.#options.sectorsPerBlock
    ) {
      const { sectorCount, sectorSize } = geometry;
      return refusal(
        "geometry",
        `here: ${sectorCount} sectors of ${sectorSize}, ${this.#options.sectorsPerBlock} a block`,
      );
    }
    if (hello.disk !== this.#options.name) return refusal("disk", "this is the standby of another disk");
    this.#greeted = hello.session;
    const none = { token: 0, attempt: 0 };
    this.#send({
      kind: "welcome",
      version: protocolVersion,
      session: (this.complete && this.#state.session) || none,
      epoch: this.complete ? this.#state.epoch : 0,
      rollbackBlocks: this.#options.rollbackBlocks,
      writeBufferBlocks: this.#options.writeBufferBlocks,
    });
    return undefined;
  }

  #begin(full: boolean): string | undefined {
    const session = this.#greeted;
    if (session === undefined || this.#phase === "following") return "a session begins once, after hello";
    if (!full && !this.complete) return "nothing here to go on from";
    const connection = ++this.#connection;
    this.#greeted = undefined;
    this.#forgetSession();
    // Only blocks that changed since will come: the others must be what the committed epoch says.
    const base =
      full || this.#options.topology === "shared" ? new BlockContents(this.#state.layout) : this.#state.rollback;
    // Commit records on their way to the journal belong to the base.
    this.#journal.sync(() => {
      this.#writer.whenIdle(() => {
        this.#writer.writeAll(base.runs(), {}, (restored) => {
          if (connection !== this.#connection) return;
          if (!restored.ok) return this.#fail(restored.error);
          this.#record({ kind: "session", session }, () => {
            if (connection !== this.#connection) return;
            this.#phase = "following";
            this.#send({ kind: "ready" });
          });
        });
      });
    });
    return undefined;
  }

  #forgetSession(): void {
    this.#chain++;
    this.#received.clear();
    this.#uncommitted.clear();
    this.#prepared.length = 0;
    this.#lastPrepared = 0;
    this.#committing = false;
    this.#elected.clear();
  }

  #old(number: number, block: number, data: Uint8Array): string | undefined {
    const { rollback, layout } = this.#state;
    if (this.#options.topology !== "shared") return "old content, but the disks are mirrored";
    if (block >= this.#blockCount) return "a block past the end of the disk";
    if (data.length !== layout.sectorSize * layout.sectorsPerBlock) return "old content that is not a block";
    const connection = this.#connection;
    const safe = (): void => {
      if (connection === this.#connection) this.#send({ kind: "old-safe", number });
    };
    this.#elected.delete(block);
    if (rollback.has(block)) {
      // Held since before: what is held is the committed content, what comes may be newer.
      this.#journal.sync(safe);
      return undefined;
    }
    if (rollback.size >= this.#options.rollbackBlocks) return "the rollback buffer is full";
    this.#record({ kind: "content", sector: block * layout.sectorsPerBlock, data }, safe);
    if (rollback.size % electionInterval === 0) this.#elect();
    return undefined;
  }

  #write(epoch: number, sector: number, data: Uint8Array): string | undefined {
    const { sectorSize, sectorCount } = this.#options.disk.geometry;
    const count = data.length / sectorSize;
    if (!Number.isInteger(count) || count === 0) return "a write that is not a number of sectors";
    if (sector + count > sectorCount) return "a write past the end of the disk";
    if (epoch <= this.#lastPrepared) return "a write of an epoch that ended";
    const per = this.#options.sectorsPerBlock;
    const [first, last] = [Math.floor(sector / per), Math.floor((sector + count - 1) / per)];
    let uncommitted = last - first + 1;
    for (const blocks of this.#uncommitted.values()) uncommitted += blocks;
    if (uncommitted > this.#options.writeBufferBlocks) return "the write buffer is full";
    if (this.#options.topology === "shared") {
      for (let block = first; block <= last; block++) {
        if (!this.#state.rollback.has(block)) return "a write of a block whose old content is not here";
        this.#elected.delete(block);
      }
    }
    this.#received.set(epoch, (this.#received.get(epoch) ?? 0) + 1);
    this.#uncommitted.set(epoch, (this.#uncommitted.get(epoch) ?? 0) + last - first + 1);
    this.#record({ kind: "write", epoch, sector, data });
    return undefined;
  }

  #checkpoint(epoch: number, writes: number, complete: boolean): string | undefined {
    if (epoch <= this.#lastPrepared) return "checkpoints out of order";
    const received = this.#received.get(epoch) ?? 0;
    if (received !== writes) return `epoch ${epoch} has ${writes} writes, but ${received} arrived`;
    if (this.#state.complete && !complete) return "a session that was complete stays so";
    this.#received.delete(epoch);
    this.#lastPrepared = epoch;
    this.#prepared.push({ epoch, complete, note: undefined });
    this.#event({ kind: "prepared", epoch });
    return undefined;
  }

  /**
   * Makes the prepared epoch the one to go back to; "committed" follows. The note says what else the epoch is made of
   * (at most `maximumNoteBytes`). Returns false if the epoch is not prepared, since the session ended meanwhile.
   */
  commit(epoch: number, note: Uint8Array = new Uint8Array()): boolean {
    assert(note.length <= maximumNoteBytes, "the note of a commit record is short");
    const entry = this.#prepared.find((prepared) => prepared.epoch === epoch && prepared.note === undefined);
    if (entry === undefined || this.#phase !== "following") return false;
    entry.note = note;
    this.#pumpCommits();
    return true;
  }

  #pumpCommits(): void {
    const next = this.#prepared[0];
    if (next?.note === undefined || this.#committing || this.#phase === "promoting") return;
    this.#committing = true;
    const connection = this.#connection;
    const again = (): void => {
      if (this.#prepared[0] !== next) return;
      this.#committing = false;
      this.#pumpCommits();
    };
    if (this.#options.topology === "mirrored") {
      const incoming = this.#state.writeBuffers.get(next.epoch)?.size ?? 0;
      const room = this.#options.rollbackBlocks - incoming;
      if (this.#state.rollback.size > room) return this.#destage(room, again);
      // The first complete checkpoint stands on the blocks that were sent before it.
      if (next.complete && !this.#state.complete) {
        this.#writer.whenIdle(() => {
          this.#options.disk.flush((result) => {
            if (!result.ok) return this.#fail(result.error);
            if (this.#prepared[0] === next && this.#phase !== "promoting") this.#commitRecord(next, connection);
          });
        });
        return;
      }
    }
    this.#commitRecord(next, connection);
  }

  #commitRecord(entry: { epoch: number; complete: boolean; note: Uint8Array | undefined }, connection: number): void {
    const { epoch, complete } = entry;
    this.#prepared.shift();
    this.#uncommitted.delete(epoch);
    this.#record({ kind: "commit", epoch, complete, note: entry.note! }, () => {
      this.#committing = false;
      // Not to whoever connected since, whose session has not begun.
      const isHeard = connection === this.#connection && this.#phase === "following";
      if (isHeard) this.#send({ kind: "committed", epoch });
      this.#event({ kind: "committed", epoch, complete });
      if (this.#phase === "promoting" || this.#phase === "promoted") return;
      this.#elect();
      if (this.#options.topology === "mirrored" && this.#state.rollback.size > this.#highWater) {
        // No commit record meanwhile: what goes to the disk must be committed, durably.
        this.#committing = true;
        return this.#destage(this.#lowWater, () => {
          this.#committing = false;
          this.#pumpCommits();
        });
      }
      this.#pumpCommits();
    });
  }

  /** Above this, blocks are elected (shared) or written to the disk (mirrored) ... The longest request fits above it. */
  get #highWater(): number {
    return Math.floor(this.#options.rollbackBlocks / 2);
  }

  /** ... until there are this many. */
  get #lowWater(): number {
    return Math.floor(this.#options.rollbackBlocks / 4);
  }

  /** Elects victims: blocks that were not written for the longest time. */
  #elect(): void {
    const { rollback, writeBuffers } = this.#state;
    if (this.#options.topology !== "shared" || this.#phase !== "following" || rollback.size <= this.#highWater) return;
    const victims: number[] = [];
    for (const block of rollback.blocks.keys()) {
      if (rollback.size - this.#elected.size <= this.#lowWater || victims.length === maximumListLength) break;
      if (this.#elected.has(block) || [...writeBuffers.values()].some((buffer) => buffer.has(block))) continue;
      this.#elected.add(block);
      victims.push(block);
    }
    if (victims.length > 0) this.#send({ kind: "victims", blocks: victims });
  }

  #retire(blocks: readonly number[]): string | undefined {
    const { rollback, writeBuffers } = this.#state;
    if (this.#options.topology !== "shared") return "retired blocks, but the disks are mirrored";
    for (const block of blocks) {
      if (!rollback.has(block)) return "retires a block that is not here";
      for (const buffer of writeBuffers.values()) if (buffer.has(block)) return "retires a block that was just written";
      this.#elected.delete(block);
    }
    this.#record({ kind: "drop", blocks });
    return undefined;
  }

  #sync(number: number, block: number, data: Uint8Array): string | undefined {
    const { sectorSize, sectorsPerBlock } = this.#state.layout;
    const count = data.length / (sectorSize * sectorsPerBlock);
    if (!Number.isInteger(count)) return "a part of a block to synchronise";
    const complaint = this.#beginSync(block, count);
    if (complaint !== undefined) return complaint;
    const ended = this.#syncEnded(number, block, count);
    this.#writer.settle(block * sectorsPerBlock, data, {}, ended);
    return undefined;
  }

  #syncZeroes(number: number, block: number, count: number): string | undefined {
    const { sectorSize, sectorsPerBlock } = this.#state.layout;
    const sectors = count * sectorsPerBlock;
    if (sectors * sectorSize > maximumDataBytes) return "more zeroes to synchronise than a message holds";
    const complaint = this.#beginSync(block, count);
    if (complaint !== undefined) return complaint;
    const ended = this.#syncEnded(number, block, count);
    this.#writer.settle(block * sectorsPerBlock, new Uint8Array(sectors * sectorSize), {}, ended);
    return undefined;
  }

  #beginSync(block: number, count: number): string | undefined {
    if (this.#options.topology !== "mirrored" || this.#state.complete)
      return "blocks to synchronise, but nothing lacks";
    if (count < 1 || block + count > this.#blockCount) return "blocks past the end of the disk";
    for (let at = block; at < block + count; at++) {
      if (this.#synchronising.has(at)) return "a block that is being synchronised already";
    }
    for (let at = block; at < block + count; at++) this.#synchronising.add(at);
    return undefined;
  }

  #syncEnded(number: number, block: number, count: number): Done {
    const connection = this.#connection;
    return (result) => {
      for (let at = block; at < block + count; at++) this.#synchronising.delete(at);
      if (!result.ok) return this.#fail(result.error);
      const next = this.#afterSync;
      this.#afterSync = undefined;
      next?.();
      if (connection === this.#connection) this.#send({ kind: "synced", number });
    };
  }

  /** Mirrored disks: writes committed content to the own disk until at most `target` blocks are left. */
  #destage(target: number, done: () => void): void {
    const { rollback } = this.#state;
    const chain = this.#chain;
    assert(this.#committing, "no commit record is on its way while its content could reach the disk");
    if (rollback.size <= target) return done();
    const blocks: number[] = [];
    for (const block of rollback.blocks.keys()) {
      if (blocks.length === Math.min(destageBatchBlocks, rollback.size - target)) break;
      // What is being synchronised may be older than what is committed, and must not be the last to land.
      if (!this.#synchronising.has(block)) blocks.push(block);
    }
    if (blocks.length === 0) {
      this.#afterSync = (): void => {
        if (chain === this.#chain) this.#destage(target, done);
      };
      return;
    }
    this.#writer.writeAll(rollback.runs(blocks), {}, (result) => {
      if (!result.ok) return this.#fail(result.error);
      // Another session begins, or this side takes over: both write the rollback buffer themselves.
      if (chain !== this.#chain) return;
      this.#record({ kind: "drop", blocks });
      this.#destage(target, done);
    });
  }

  /**
   * Takes over with an epoch token that the arbiter gave: fences the shared disk, restores it, and ends with "promoted".
   * Returns false if there is no checkpoint to go back to.
   */
  promote(token: number): boolean {
    if (!this.complete || (this.#phase !== "idle" && this.#phase !== "following")) return false;
    this.#phase = "promoting";
    this.#chain++;
    this.#connection++;
    // A commit record on its way to the journal decides the epoch: it is waited for.
    this.#journal.sync(() => this.#writer.whenIdle(() => this.#fence(token)));
    return true;
  }

  #fence(token: number): void {
    if (this.#options.topology === "mirrored") return this.#restore(token);
    this.#options.disk.fence(token, (result) => (result.ok ? this.#restore(token) : this.#restoreFailed(result)));
  }

  #restore(token: number): void {
    // Idempotent: a crash here leaves the rollback buffer in the journal, to be written again.
    this.#writer.writeAll(this.#state.rollback.runs(), { token }, (result) => {
      if (!result.ok) return this.#restoreFailed(result);
      const { epoch, note } = this.#state;
      this.#record({ kind: "promoted", token }, () => {
        this.#phase = "promoted";
        this.#forgetSession();
        this.#event({ kind: "promoted", epoch, token, note });
      });
    });
  }

  #restoreFailed(result: Result<void> & { ok: false }): void {
    this.#phase = "idle";
    this.#event({ kind: "restore-failed", error: result.error });
  }

  #record(record: JournalRecord, durable?: () => void): void {
    this.#state.apply(record);
    this.#journal.append(record, durable);
  }

  #fail(error: DeviceError): void {
    if (this.#phase === "failed") return;
    const following = this.#phase === "following";
    this.#phase = "failed";
    if (following) this.#send({ kind: "failed", text: error.message });
    this.#event({ kind: "failed", error });
  }

  #send(message: SecondaryMessage): void {
    this.#options.send(message);
  }

  #event(event: SecondaryEvent): void {
    this.#options.event(event);
  }
}
