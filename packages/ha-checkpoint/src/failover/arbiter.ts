// Who leads: one small record outside both hosts, changed by compare-and-swap only.
//
//   create             none                -> { token 1, leader A }
//   register standby   { t, A, any }       -> { t, A, standby B of attempt n }     by A, before it completes the session
//   go alone           { t, A, any }       -> { t + 1, A }                         by A, when it lost its standby
//   promote            { t, A, B of n }    -> { t + 1, B }                         by B, if session (t, n) is complete there
//   cold start         { t, A, any }       -> { t + 1, C }                         when memory is lost, or by an operator
//
// Going alone and promoting start from the same record, so one of them wins. The token is the epoch token: it only rises,
// and what carries an older one is fenced off, at the edge and by shared disks.
import { ByteReader, ByteWriter } from "../epochs/bytes.ts";

export interface Leadership {
  readonly token: number;
  /** Name of the host. */
  readonly leader: string;
  /** Who may take over: the host, and the attempt (`SessionId`) that it has to have a checkpoint of. */
  readonly standby: { readonly host: string; readonly attempt: number } | undefined;
}

export type ArbiterAnswer =
  /** The record as it is now; for a swap, whether this swap made it so. */
  | { readonly ok: true; readonly record: Leadership | undefined; readonly swapped: boolean }
  /** Nobody knows whether the swap was made. */
  | { readonly ok: false; readonly text: string };

/** Calls back once, within a bounded time, and not before the call returned. */
export interface Arbiter {
  read(done: (answer: ArbiterAnswer) => void): void;
  /** Makes the record `next` if it is `expected`; what was answered survives any crash of the arbiter. */
  compareAndSwap(expected: Leadership | undefined, next: Leadership, done: (answer: ArbiterAnswer) => void): void;
}

/** Longest name of a host or a pair, in bytes of UTF-8. */
export const maximumNameBytes = 256;

export function sameLeadership(a: Leadership | undefined, b: Leadership | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return (
    a.token === b.token &&
    a.leader === b.leader &&
    a.standby?.host === b.standby?.host &&
    a.standby?.attempt === b.standby?.attempt
  );
}

/** As bytes: equal records have equal bytes, so that a store that knows only bytes can compare them. */
export function encodeLeadership(record: Leadership): Uint8Array<ArrayBuffer> {
  const out = new ByteWriter().u8(1).u64(record.token).text(record.leader);
  out.text(record.standby?.host ?? "").u32(record.standby?.attempt ?? 0);
  return out.finish().slice();
}

/** Undefined if these bytes are no record. */
export function decodeLeadership(bytes: Uint8Array): Leadership | undefined {
  const input = new ByteReader(bytes);
  if (input.u8() !== 1) return undefined;
  const [token, leader] = [input.u64(), input.text(maximumNameBytes)];
  const standby = { host: input.text(maximumNameBytes), attempt: input.u32() };
  if (!input.atEnd || leader === "") return undefined;
  return { token, leader, standby: standby.host === "" ? undefined : standby };
}

/** The rules of the arbiter, apart from where it keeps its record. */
export class LeadershipRegister {
  #record: Leadership | undefined;

  constructor(record: Leadership | undefined) {
    this.#record = record;
  }

  get record(): Leadership | undefined {
    return this.#record;
  }

  /** What the swap would make of the record; undefined: it is not what was expected, or the token would go back. */
  proposed(expected: Leadership | undefined, next: Leadership): Leadership | undefined {
    if (!sameLeadership(this.#record, expected)) return undefined;
    const token = this.#record?.token ?? 0;
    const risen = next.token === token + 1;
    const kept = next.token === token && next.leader === this.#record?.leader;
    return risen || kept ? next : undefined;
  }

  /** The proposed record is durable. */
  adopt(record: Leadership): void {
    this.#record = record;
  }
}
