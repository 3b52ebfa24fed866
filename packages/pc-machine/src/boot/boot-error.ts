/** Why a kernel cannot be booted; the message says what to do about it. */
export type BootFailure =
  | "not-a-kernel"
  | "truncated"
  | "unsupported"
  | "too-little-memory"
  | "command-line-too-long"
  | "bad-command-line";

export class BootError extends Error {
  override name = "BootError";
  readonly failure: BootFailure;

  constructor(failure: BootFailure, message: string) {
    super(message);
    this.failure = failure;
  }
}
