// The edge's side of fencing: each machine's MAC is bound to the epoch token of who runs it.
//
// A host that was replaced may not know it: it was stopped, or cut off, and goes on sending when it comes back. Its frames
// carry the token it had, which is too old by then.
import { macError } from "./mac.ts";
import type { MacAddress } from "./mac.ts";

export class TokenFilter {
  readonly #tokens = new Map<MacAddress, number>();
  /** Frames that were dropped because their token was too old. */
  stale = 0;

  /** From now on frames of this machine carry this token or are dropped. A token never goes back. */
  bind(mac: MacAddress, token: number): void {
    const error = macError(mac);
    if (error !== undefined) throw new RangeError(error);
    this.#tokens.set(mac, Math.max(token, this.#tokens.get(mac) ?? 0));
  }

  /** Whether a frame may pass. A machine that is bound to no token passes as it is: it is nobody's replacement. */
  admits(mac: MacAddress, token: number): boolean {
    const bound = this.#tokens.get(mac);
    if (bound === undefined || token === bound) return true;
    this.stale++;
    return false;
  }
}
