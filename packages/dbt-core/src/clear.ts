/**
 * Empties a list that is soon filled again. To set its length calls into V8's runtime, ten times as slow for a few elements,
 * and gives up its store.
 */
export function clear(list: unknown[]): void {
  while (list.length > 0) list.pop();
}
