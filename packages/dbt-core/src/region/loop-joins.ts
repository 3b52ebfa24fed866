/**
 * Loops that are entered in several places, as state machines become when their compiler threads jumps. WebAssembly's are
 * entered at the top only: an edge into the middle of one goes by way of the region's dispatch block.
 */
import { findDominators, isDominator } from "./dominators.ts";

/**
 * Blocks that edges lead back to without their being the only way into the loop. `order`: the blocks in reverse
 * postorder; `roots`: those where the region is entered. A negative predecessor is none.
 */
export function loopJoins(
  order: readonly number[],
  predecessors: readonly (readonly number[])[],
  roots: readonly number[],
): number[] {
  const root = order.length;
  const position = new Int32Array(root + 1);
  order.forEach((block, index) => (position[block] = index + 1));
  const sources = predecessors.slice(0, root).map((list) => list.filter((block) => block >= 0));
  for (const block of roots) sources[block].push(root);
  sources[root] = [];
  const dominators = new Int32Array(root + 1);
  findDominators([root, ...order], position, sources, dominators);
  return order.filter((block) =>
    sources[block].some((from) => position[from] >= position[block] && !isDominator(block, from, position, dominators)),
  );
}
