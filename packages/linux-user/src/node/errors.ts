/** Node's system errors as Linux errno values. */
import { EINVAL, EIO, EMFILE, errnoNumber } from "../kernel/errno.ts";
import type { Failure } from "../vfs/constants.ts";

/**
 * The negative errno of something that a Node call threw. By `code`, not by `err.errno`: on a host that is not Linux
 * the numbers differ and the names do not. Anything that is not a system error is a bug and is thrown on.
 */
export function failureOf(error: unknown): Failure {
  const code = (error as { code?: unknown }).code;
  if (typeof code !== "string") throw error;
  const errno = errnoNumber(code);
  if (errno !== undefined) return -errno;
  if (code.startsWith("ERR_INVALID_ARG") || code === "ERR_OUT_OF_RANGE") return -EINVAL;
  if (code === "ERR_FS_FILE_TOO_LARGE" || code === "UNKNOWN") return -EIO;
  if (code === "ERR_TOO_MANY_OPEN_FILES") return -EMFILE;
  throw error;
}

/** Runs a host call; a system error becomes its negative errno. */
export function attempt<T>(call: () => T): T | Failure {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  try {
    return call();
  } catch (error) {
    return failureOf(error);
  } finally {
    Error.stackTraceLimit = limit;
  }
}
