/**
 * Locks on ranges of numbered things: any number of holders that share, or one alone. First come, first served, so that
 * nobody waits for ever.
 */

interface Claim {
  readonly first: number;
  readonly last: number;
  readonly exclusive: boolean;
  granted: boolean;
  readonly grant: () => void;
}

export class RangeLocks {
  /** In the order in which they came, holders and those that wait. */
  readonly #claims: Claim[] = [];

  /** Resolves when `first` to `last` are held, with what ends the hold. */
  acquire(first: number, last: number, exclusive: boolean): Promise<() => void> {
    return new Promise((resolve) => {
      const claim: Claim = {
        first,
        last,
        exclusive,
        granted: false,
        grant: () => {
          claim.granted = true;
          resolve(() => this.#release(claim));
        },
      };
      this.#claims.push(claim);
      if (!this.#isBlocked(claim)) claim.grant();
    });
  }

  #release(claim: Claim): void {
    this.#claims.splice(this.#claims.indexOf(claim), 1);
    for (const waiting of this.#claims) {
      if (!waiting.granted && !this.#isBlocked(waiting)) waiting.grant();
    }
  }

  /** Whether somebody before is in the way. */
  #isBlocked(claim: Claim): boolean {
    for (const other of this.#claims) {
      if (other === claim) return false;
      const overlaps = other.first <= claim.last && claim.first <= other.last;
      if (overlaps && (other.exclusive || claim.exclusive)) return true;
    }
    return false;
  }
}
