/**
 * How much care a context's hot code may have.
 *
 * An optimising compiler takes more than twice as long for a region of twice the size. That pays for the few regions where a
 * program stays; a program whose time is spread over hundreds of them waits for its compiler, in bad code meanwhile. So a
 * context may have some regions of full size, and more as it spends budget; what it promotes beyond those is made brief.
 */

/** Of full size in advance: more than a computation with a few loops has. */
const FIRST_REGIONS = 32;
/** Budget for one more: some tenths of a second. */
const BUDGET_PER_REGION: number = 2 ** 24;

export class Allowance {
  private left = FIRST_REGIONS;
  private countedAt = 0;

  /** Whether the next region may be of full size. `spent`: the context's budget so far. */
  take(spent: number): boolean {
    this.left = Math.min(FIRST_REGIONS, this.left + (spent - this.countedAt) / BUDGET_PER_REGION);
    this.countedAt = spent;
    if (this.left < 1) return false;
    this.left--;
    return true;
  }
}
