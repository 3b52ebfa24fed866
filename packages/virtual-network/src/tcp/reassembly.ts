/**
 * Data that came out of order, kept until what is missing before it comes. Bytes are bounded by the receive window, which
 * the caller cuts data to; pieces by a number of their own, so that a sender of single bytes gains nothing.
 */
import { sequenceAdd, sequenceDifference } from "./sequence.ts";

const MAXIMUM_PIECES = 256;

interface Piece {
  readonly sequence: number;
  readonly data: Uint8Array;
}

export class Reassembly {
  /** Ordered, not overlapping. */
  #pieces: Piece[] = [];

  get isEmpty(): boolean {
    return this.#pieces.length === 0;
  }

  /** Keeps what of the data is not there yet; where there are too many pieces, the sender has to send it again. */
  insert(sequence: number, data: Uint8Array): void {
    let start = sequence;
    let rest = data;
    let index = 0;
    while (rest.length > 0) {
      const piece = this.#pieces.at(index);
      const gap = piece === undefined ? rest.length : Math.min(rest.length, sequenceDifference(piece.sequence, start));
      if (gap > 0) {
        if (this.#pieces.length >= MAXIMUM_PIECES) return;
        this.#pieces.splice(index, 0, { sequence: start, data: rest.subarray(0, gap) });
        rest = rest.subarray(gap);
        start = sequenceAdd(start, gap);
        index++;
      }
      if (piece === undefined) return;
      const covered = sequenceDifference(sequenceAdd(piece.sequence, piece.data.length), start);
      if (covered > 0) {
        rest = rest.subarray(covered);
        start = sequenceAdd(start, covered);
      }
      index++;
    }
  }

  /** Takes out the data that goes on at this sequence number, if it is there. */
  take(sequence: number): Uint8Array | undefined {
    for (;;) {
      const [first] = this.#pieces;
      if (first === undefined) return undefined;
      const skip = sequenceDifference(sequence, first.sequence);
      if (skip < 0) return undefined;
      this.#pieces.shift();
      if (skip < first.data.length) return first.data.subarray(skip);
    }
  }

  clear(): void {
    this.#pieces = [];
  }
}
