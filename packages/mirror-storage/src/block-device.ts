// What a disk is to this package: sectors, addressed by number, and completions.
//
// The contract every implementation keeps (src/testing/device-contract.ts runs it against each of them):
// - `done` is called exactly once, and never before the call that it belongs to has returned;
// - a sector is written whole or not at all, whatever happens to the host; a request of several sectors may be torn
//   between any two of them;
// - a completed write is seen by every later read; it survives a loss of power once a flush that was submitted
//   after its completion has completed, or at once if it was written with `fua`;
// - requests in flight together may take effect in any order;
// - discarded sectors read as zeros;
// - a request that fails may have taken effect in part.
// The caller leaves the bytes of a write alone until `done`.

/** Size of a disk. Both are fixed for its life. */
export interface Geometry {
  /** Bytes in a sector, the unit of addressing and of atomicity; a power of two. */
  readonly sectorSize: number;
  readonly sectorCount: number;
}

/** Why a request failed. These are the world's doing; what only a bug can cause is thrown instead. */
export interface DeviceError {
  readonly kind:
    | "out-of-range" // past the end of the disk
    | "misaligned" // not a whole number of sectors, or none
    | "too-large" // more than one request may hold; split it
    | "io" // the medium failed
    | "no-space" // what stores the disk is full
    | "fenced" // somebody with a newer epoch token took the disk over
    | "busy" // too many requests are in flight
    | "halted"; // this side may not write any more
  readonly message: string;
}

export type Result<T, E = DeviceError> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: E };

export type Done<T = void> = (result: Result<T>) => void;

export interface WriteOptions {
  /** Force unit access: complete only when the bytes survive a loss of power. */
  readonly fua?: boolean;
  /** Epoch token of the writer. A disk that two hosts share refuses one that is older than its fence. */
  readonly token?: number;
}

export interface BlockDevice {
  readonly geometry: Geometry;
  read(sector: number, count: number, done: Done<Uint8Array>): void;
  write(sector: number, data: Uint8Array, options: WriteOptions, done: Done): void;
  /** Makes every write that had completed when it was submitted survive a loss of power. */
  flush(done: Done): void;
  /** The sectors read as zeros afterwards, and need no room. */
  discard(sector: number, count: number, options: WriteOptions, done: Done): void;
}

/** A disk that two hosts share. */
export interface FencedDevice extends BlockDevice {
  /**
   * Refuses, from the completion on and for ever, writes and discards whose token is lower; none of those that were
   * in flight takes effect later. A token lower than the fence's fails with "fenced"; the same one again succeeds.
   */
  fence(token: number, done: Done): void;
}

export const succeeded: Result<void, never> = { ok: true, value: undefined };

export function failure(
  kind: DeviceError["kind"],
  message: string,
): { readonly ok: false; readonly error: DeviceError } {
  return { ok: false, error: { kind, message } };
}

/** The complaint about a range, if there is one. */
export function rangeError(geometry: Geometry, sector: number, count: number): DeviceError | undefined {
  if (!Number.isInteger(count) || count < 1) {
    return { kind: "misaligned", message: `${count} sectors is not a positive whole number` };
  }
  if (!Number.isInteger(sector) || sector < 0 || sector + count > geometry.sectorCount) {
    return {
      kind: "out-of-range",
      message: `sectors ${sector} to ${sector + count - 1}, but the disk has ${geometry.sectorCount}`,
    };
  }
  return undefined;
}

/** The same for the bytes of a write. */
export function writeError(geometry: Geometry, sector: number, data: Uint8Array): DeviceError | undefined {
  return rangeError(geometry, sector, data.length / geometry.sectorSize);
}

/** A bug, not the world: stops whatever would go on from a state that cannot be. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`mirror-storage: assertion failed: ${message}`);
}
