/** Says what comes next, and how long the rest will take if it goes on as it went. */
export class Progress {
  private readonly total: number;
  private readonly note: (text: string) => void;
  private readonly nowMs: () => number;
  private readonly startedMs: number;
  private done = -1;

  constructor(total: number, note: (text: string) => void, nowMs: () => number = () => performance.now()) {
    this.total = total;
    this.note = note;
    this.nowMs = nowMs;
    this.startedMs = nowMs();
  }

  next(name: string): void {
    this.done++;
    const leftMs = ((this.nowMs() - this.startedMs) / this.done) * (this.total - this.done);
    const left = this.done === 0 ? "" : `, about ${Math.max(1, Math.round(leftMs / 60_000))} min left`;
    this.note(`${name} (${this.done + 1} of ${this.total}${left})\n`);
  }
}
