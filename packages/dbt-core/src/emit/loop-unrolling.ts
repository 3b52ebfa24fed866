/**
 * Short ways round a loop are there several times: what leads back in one copy leads on to the next.
 *
 * Each copy tests what the loop tests, so the guest sees no difference. What is saved is what a round costs at the head of a
 * loop: V8 moves values to where the loop has them and looks at the host's stack, and one is taken from the budget.
 *
 * What else may happen in a round, a call or a loop, is there once, and comes back in the last of them: its blocks, and the
 * header of the first, are the loop's own. So there is no way round but over the header, as there was none.
 */
import { type Block, inCopy, keyCopy, type RegionBuilder, Terminator } from "../ir/region.ts";
import { FlowGraph } from "./flow-graph.ts";
import { type NaturalLoop, naturalLoops, reaching } from "./natural-loops.ts";

/** How often the blocks of a round are there, when that makes no more nodes than these. */
const ROUNDS = 4;
const MOST_NODES = 400;
/** Blocks of a round, at most. */
const MOST_BLOCKS = 8;
/** Copies of blocks in a region, at most: keys have no room for more. */
const MOST_COPIES = 120;

/** Unrolls the loops of the region that are worth it. */
export function unrollLoops(region: RegionBuilder): void {
  const graph = new FlowGraph();
  graph.build(region);
  const loops = naturalLoops(graph);
  let copies = 0;
  for (const block of region.blocks) copies = Math.max(copies, keyCopy(block.key));
  for (const header of graph.order) {
    // A region that begins inside a loop has loops with one header: the innermost is the shortest.
    const found = loops.filter((loop) => loop.header === header).map((loop) => roundOf(region, graph, loop, loops));
    const round = found.reduce((best, blocks) => (sizeOf(blocks) < sizeOf(best) ? blocks : best), undefined);
    if (round === undefined) continue;
    const rounds = Math.min(ROUNDS, Math.floor(MOST_NODES / sizeOf(round)));
    if (rounds < 2 || copies + rounds > MOST_COPIES) continue;
    unroll(region, round, rounds, copies);
    copies += rounds - 1;
  }
}

/**
 * The blocks that a loop goes round over again and again, its header first: all that lie on ways of jumps and branches from there
 * to where it goes back, but for those of loops inside. Undefined when there are none, or too many.
 */
function roundOf(
  region: RegionBuilder,
  graph: FlowGraph,
  loop: NaturalLoop,
  loops: readonly NaturalLoop[],
): Block[] | undefined {
  const { header, latch, blocks } = loop;
  const inner = loops.filter((other) => other.header !== header && blocks.has(other.header));
  const isSimple = (index: number): boolean => {
    const { terminator } = region.blocks[index];
    if (terminator !== Terminator.jump && terminator !== Terminator.branch) return false;
    return blocks.has(index) && !inner.some((other) => other.blocks.has(index));
  };
  if (!isSimple(header)) return undefined;
  const reached = new Set([header]);
  for (const index of reached) {
    const block = region.blocks[index];
    for (const key of block.terminator === Terminator.branch ? [block.target, block.next] : [block.target]) {
      const to = graph.inside(index, key);
      if (to >= 0 && isSimple(to)) reached.add(to);
    }
  }
  if (!reached.has(latch)) return undefined;
  const round = reaching(graph, latch, header, (index) => reached.has(index));
  return round.size > MOST_BLOCKS ? undefined : [...round].map((index) => region.blocks[index]);
}

/** Nodes of the blocks. */
function sizeOf(blocks: readonly Block[] | undefined): number {
  return blocks === undefined ? Infinity : blocks.reduce((sum, { firstNode, endNode }) => sum + endNode - firstNode, 0);
}

/** `copies`: the last number of a copy that is taken. */
function unroll(region: RegionBuilder, loop: readonly Block[], rounds: number, copies: number): void {
  const keys = new Set(loop.map(({ key }) => key));
  const header = loop[0].key;
  const last = rounds - 1;
  const keyIn = (key: number, round: number): number => {
    if (key === header) return round === 0 ? key : inCopy(key, copies + round);
    return round === last ? key : inCopy(key, copies + round + 1);
  };
  const leadOn = (block: Block, round: number): void => {
    const follow = (key: number): number => {
      if (!keys.has(key)) return key;
      return key === header ? keyIn(key, (round + 1) % rounds) : keyIn(key, round);
    };
    block.round = round;
    block.target = follow(block.target);
    if (block.terminator === Terminator.branch) block.next = follow(block.next);
  };
  for (let round = 0; round < rounds; round++) {
    for (const block of loop) {
      const key = keyIn(block.key, round);
      if (key !== block.key) leadOn(region.copyBlock(block, key), round);
    }
  }
  for (const block of loop) leadOn(block, block.key === header ? 0 : last);
}
