/** A bug, not the world: stops whatever would go on from a state that cannot be. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`ha-checkpoint: assertion failed: ${message}`);
}
