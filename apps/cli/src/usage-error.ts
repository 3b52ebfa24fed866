/** Something the user can mend: shown as one line, without a stack. */
export class UsageError extends Error {
  readonly status: number;
  constructor(message: string, status = 2) {
    super(message);
    this.name = "UsageError";
    this.status = status;
  }
}
