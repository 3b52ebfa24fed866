/** Dominators: Cooper, Harvey, Kennedy, "A Simple, Fast Dominance Algorithm" (2001). */

/**
 * Fills in the immediate dominator of each block. `order`: all blocks in reverse postorder, the root first; `position`: the
 * places of blocks in it. Predecessors that are not in the order are not to be listed.
 */
export function findDominators(
  order: readonly number[],
  position: Int32Array,
  predecessors: readonly (readonly number[])[],
  immediateDominator: Int32Array,
): void {
  const idom = immediateDominator;
  for (const block of order) idom[block] = -1;
  idom[order[0]] = order[0];
  for (let changed = true; changed;) {
    changed = false;
    for (let index = 1; index < order.length; index++) {
      const block = order[index];
      let dominator = -1;
      for (const predecessor of predecessors[block]) {
        if (idom[predecessor] === -1) continue;
        if (dominator === -1) {
          dominator = predecessor;
          continue;
        }
        let a = predecessor;
        while (a !== dominator) {
          while (position[a] > position[dominator]) a = idom[a]!;
          while (position[dominator] > position[a]) dominator = idom[dominator]!;
        }
      }
      if (idom[block] !== dominator) {
        idom[block] = dominator;
        changed = true;
      }
    }
  }
}

/** Whether all ways from the root to `below` lead over `above`. */
export function isDominator(
  above: number,
  below: number,
  position: Int32Array,
  immediateDominator: Int32Array,
): boolean {
  let block = below;
  while (position[block] > position[above]) block = immediateDominator[block]!;
  return block === above;
}
