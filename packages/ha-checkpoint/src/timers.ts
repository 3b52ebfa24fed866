// Time, as far as the protocols know it: the host's monotonic clock in production, a simulated one in tests.

export interface Timers {
  /** Milliseconds since some moment that stays the same. */
  now(): number;
  /** Calls back once, so many milliseconds from now or later; the function returned prevents that. */
  after(milliseconds: number, run: () => void): () => void;
}
