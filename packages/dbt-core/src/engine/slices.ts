/**
 * A context's budget, handed to translated code in slices.
 *
 * A loop stays in the code that V8 compiled in haste until it is entered again, and is entered again when its budget is used
 * up. So slices begin short whenever something has been translated with care, and grow from there.
 */
import { Allowance } from "./allowance.ts";
import { EngineExit, Header } from "../layout.ts";

/** Back edges and calls: some tenths of a millisecond of a small loop, beside which an entry costs nothing. */
const SHORTEST_SLICE = 50_000;
/** So that at most an eighth of the time is spent in code that better code has replaced. */
const GROWTH: number = 9 / 8;
const LONGEST_SLICE: number = 2 ** 30;
/** Enough to enter an instruction that runs alone, and not enough to jump from there. */
const STEP_BUDGET = 1;

export class Slices {
  private readonly view: DataView;
  /** Byte offset of the context's budget in memory. */
  private readonly at: number;
  /** What of the budget is not in the header. */
  private reserve = 0;
  private given = 0;
  /** Budget spent in runs that have ended. */
  private spent = 0;
  private readonly allowance: Allowance = new Allowance();
  private length = SHORTEST_SLICE;

  constructor(view: DataView, context: number) {
    this.view = view;
    this.at = context + Header.budget;
  }

  /** A run of so much budget begins. */
  begin(budget: number): void {
    this.given = budget;
    this.reserve = budget;
    this.view.setInt32(this.at, 0, true);
    this.next();
  }

  /** A run of one instruction begins. */
  beginStep(): void {
    this.reserve = 0;
    this.view.setInt32(this.at, STEP_BUDGET, true);
  }

  /** The slice is used up; false when all of the budget is. */
  next(): boolean {
    const left = this.view.getInt32(this.at, true) + this.reserve;
    const slice = Math.min(left, Math.floor(this.length));
    this.length = Math.min(this.length * GROWTH, LONGEST_SLICE);
    this.reserve = left - slice;
    this.view.setInt32(this.at, slice, true);
    return left > 0;
  }

  /** Whether a run that left with an exit code goes on with another slice. */
  goOn(code: number): boolean {
    return code === EngineExit.budget && this.next();
  }

  /** The run ends with an exit code, which this returns: what is left of the budget is in the header. */
  end(code: number): number {
    const left = this.view.getInt32(this.at, true) + this.reserve;
    this.view.setInt32(this.at, left, true);
    this.reserve = 0;
    this.spent += this.given - left;
    return code;
  }

  /** More than the slice has been spent. */
  get isOverspent(): boolean {
    return this.view.getInt32(this.at, true) < 0;
  }

  /** However little budget there was: the instruction that has to run alone does. */
  allowStep(): void {
    if (this.view.getInt32(this.at, true) < STEP_BUDGET) this.view.setInt32(this.at, STEP_BUDGET, true);
  }

  /**
   * Something is translated with care, which is to be entered again soon. Cold code or none is running. Returns whether it
   * may be of full size.
   */
  promote(): boolean {
    this.length = SHORTEST_SLICE;
    const excess = this.view.getInt32(this.at, true) - SHORTEST_SLICE;
    if (excess > 0) {
      this.reserve += excess;
      this.view.setInt32(this.at, SHORTEST_SLICE, true);
    }
    return this.allowance.take(this.spent);
  }

  /** Nothing is left of the budget. */
  drop(): void {
    this.reserve = 0;
    this.view.setInt32(this.at, 0, true);
  }
}
