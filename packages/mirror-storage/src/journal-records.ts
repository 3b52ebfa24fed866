// What the secondary remembers, and the records that change it.
//
// The state is changed by `apply` alone, by the same code when a record is first written and when the journal is read
// back, so that what was remembered and what will be remembered are one thing. Applying a journal from its start is
// idempotent: the first record of a session forgets everything before it.
//
// Invariant, once the session is complete: the disk, with the rollback buffer laid over it, is the disk as of the
// committed epoch. The write buffers hold what epochs after that one wrote, and nothing else does.
import { BlockContents } from "./block-contents.ts";
import type { BlockLayout } from "./block-contents.ts";
import { ByteReader } from "./bytes.ts";
import type { ByteWriter } from "./bytes.ts";
import type { SessionId } from "./messages.ts";

export type JournalRecord =
  /** A new session; forgets what was before. */
  | { readonly kind: "session"; readonly session: SessionId }
  /** Committed content of sectors, into the rollback buffer. */
  | { readonly kind: "content"; readonly sector: number; readonly data: Uint8Array }
  /** What an epoch wrote, into its write buffer. */
  | { readonly kind: "write"; readonly epoch: number; readonly sector: number; readonly data: Uint8Array }
  /** The commit record of an epoch: from here on, this is the disk to go back to. */
  | { readonly kind: "commit"; readonly epoch: number; readonly complete: boolean; readonly note: Uint8Array }
  /** Blocks whose committed content is safe on the disk. */
  | { readonly kind: "drop"; readonly blocks: readonly number[] }
  /** The disk was restored and belongs to the promoted secondary from here on: there is no way back. */
  | { readonly kind: "promoted"; readonly token: number };

/** Most bytes of the note that goes with a commit record: enough to name and check an image, not to hold one. */
export const maximumNoteBytes = 4096;

export class SecondaryState {
  readonly layout: BlockLayout;
  session: SessionId | undefined;
  /** The committed epoch; 0 if there is none. */
  epoch = 0;
  /** Whether the committed epoch can be gone back to. */
  complete = false;
  /** What came with the commit record: what else the epoch is made of. */
  note: Uint8Array = new Uint8Array();
  /** Token under which it was promoted. */
  promoted: number | undefined;
  rollback: BlockContents;
  /** By epoch, oldest first. */
  readonly writeBuffers: Map<number, BlockContents> = new Map();

  constructor(layout: BlockLayout) {
    this.layout = layout;
    this.rollback = new BlockContents(layout);
  }

  apply(record: JournalRecord): void {
    switch (record.kind) {
      case "session":
        this.session = record.session;
        this.epoch = 0;
        this.complete = false;
        this.note = new Uint8Array();
        this.promoted = undefined;
        this.rollback = new BlockContents(this.layout);
        this.writeBuffers.clear();
        break;
      case "content":
        this.rollback.overlay(record.sector, record.data);
        break;
      case "write":
        this.writeBuffer(record.epoch).overlay(record.sector, record.data);
        break;
      case "commit":
        for (const [epoch, buffer] of this.writeBuffers) {
          if (epoch > record.epoch) continue;
          this.rollback.merge(buffer);
          this.writeBuffers.delete(epoch);
        }
        this.epoch = record.epoch;
        this.complete = record.complete;
        this.note = record.note;
        break;
      case "drop":
        for (const block of record.blocks) this.rollback.blocks.delete(block);
        break;
      case "promoted":
        this.promoted = record.token;
        this.rollback = new BlockContents(this.layout);
        this.writeBuffers.clear();
        break;
    }
  }

  writeBuffer(epoch: number): BlockContents {
    let buffer = this.writeBuffers.get(epoch);
    if (buffer === undefined) {
      buffer = new BlockContents(this.layout);
      this.writeBuffers.set(epoch, buffer);
    }
    return buffer;
  }

  /** The records that make this state from nothing. */
  *records(): Generator<JournalRecord> {
    if (this.session === undefined) return;
    yield { kind: "session", session: this.session };
    if (this.epoch > 0) yield { kind: "commit", epoch: this.epoch, complete: this.complete, note: this.note };
    if (this.promoted !== undefined) yield { kind: "promoted", token: this.promoted };
    for (const { sector, data } of this.rollback.runs()) yield { kind: "content", sector, data };
    for (const [epoch, buffer] of this.writeBuffers) {
      for (const { sector, data } of buffer.runs()) yield { kind: "write", epoch, sector, data };
    }
  }
}

/** Ordinals in the journal; never reused. */
const ordinals = { session: 1, content: 2, write: 3, commit: 4, drop: 5, promoted: 6 } as const;

/** Bytes of a record without its data, at most. */
export const recordOverheadBytes = 32;

export function writeRecord(record: JournalRecord, out: ByteWriter): void {
  out.u8(ordinals[record.kind]);
  switch (record.kind) {
    case "session":
      out.u64(record.session.token).u32(record.session.attempt);
      break;
    case "content":
      out.u64(record.sector).blob(record.data);
      break;
    case "write":
      out.u64(record.epoch).u64(record.sector).blob(record.data);
      break;
    case "commit":
      out.u64(record.epoch).u8(Number(record.complete)).blob(record.note);
      break;
    case "drop":
      out.list(record.blocks);
      break;
    case "promoted":
      out.u64(record.token);
      break;
  }
}

/** All records in the bytes, or undefined if that is not what they are. */
export function readRecords(bytes: Uint8Array): JournalRecord[] | undefined {
  const input = new ByteReader(bytes);
  const records: JournalRecord[] = [];
  const any = bytes.length;
  while (!input.atEnd) {
    switch (input.u8()) {
      case ordinals.session:
        records.push({ kind: "session", session: { token: input.u64(), attempt: input.u32() } });
        break;
      case ordinals.content:
        records.push({ kind: "content", sector: input.u64(), data: input.blob(any) });
        break;
      case ordinals.write:
        records.push({ kind: "write", epoch: input.u64(), sector: input.u64(), data: input.blob(any) });
        break;
      case ordinals.commit: {
        const [epoch, complete] = [input.u64(), input.boolean()];
        records.push({ kind: "commit", epoch, complete, note: input.blob(maximumNoteBytes) });
        break;
      }
      case ordinals.drop:
        records.push({ kind: "drop", blocks: input.list(any) });
        break;
      case ordinals.promoted:
        records.push({ kind: "promoted", token: input.u64() });
        break;
      default:
        return undefined;
    }
    if (input.failed) return undefined;
  }
  return records;
}
