/**
 * Short innermost loops go round several times before they go back: their blocks are there more than once, and what leads
 * back in one copy leads on to the next.
 *
 * Each copy tests what the loop tests, so the guest sees no difference. What is saved is what a round costs at the head of a
 * loop: V8 moves values to where the loop has them and looks at the host's stack, and one is taken from the budget.
 */
import { type Block, inCopy, keyCopy, type RegionBuilder, Terminator } from "../ir/region.ts";
import { FlowGraph } from "./flow-graph.ts";

/** How often the blocks of a loop are there, when that makes no more nodes than these. */
const ROUNDS = 4;
const MOST_NODES = 400;
/** Blocks of a loop, at most. */
const MOST_BLOCKS = 8;
/** Copies of blocks in a region, at most: keys have no room for more. */
const MOST_COPIES = 120;

/** Unrolls the loops of the region that are worth it. */
export function unrollLoops(region: RegionBuilder): void {
  const graph = new FlowGraph();
  graph.build(region);
  let copies = 0;
  for (const block of region.blocks) copies = Math.max(copies, keyCopy(block.key));
  for (const header of graph.order) {
    if (graph.isLoopHeader[header] === 0) continue;
    // A region that begins inside a loop has loops with one header: the innermost is the shortest.
    const loops = graph.predecessors[header]
      .filter((latch) => graph.dominates(header, latch))
      .map((latch) => bodyOf(region, graph, header, latch));
    const loop = loops.reduce((best, body) => (sizeOf(body) < sizeOf(best) ? body : best));
    const rounds = Math.min(ROUNDS, Math.floor(MOST_NODES / sizeOf(loop)));
    if (loop === undefined || rounds < 2 || copies + rounds > MOST_COPIES) continue;
    unroll(region, loop, rounds, copies);
    copies += rounds - 1;
  }
}

/** Nodes of the blocks. */
function sizeOf(loop: readonly Block[] | undefined): number {
  return loop === undefined ? Infinity : loop.reduce((sum, { firstNode, endNode }) => sum + endNode - firstNode, 0);
}

/** The blocks of the loop that goes back from `latch`, its header first; undefined unless they are few, and all they do is go on. */
function bodyOf(region: RegionBuilder, graph: FlowGraph, header: number, latch: number): Block[] | undefined {
  const body = latch === header ? [header] : [header, latch];
  for (let at = 0; at < body.length; at++) {
    const index = body[at];
    const { terminator } = region.blocks[index];
    if (terminator !== Terminator.jump && terminator !== Terminator.branch) return undefined;
    if (index === header) continue;
    if (graph.isLoopHeader[index] === 1) return undefined;
    for (const predecessor of graph.predecessors[index]) if (!body.includes(predecessor)) body.push(predecessor);
    if (body.length > MOST_BLOCKS) return undefined;
  }
  return body.map((index) => region.blocks[index]);
}

/** `copies`: the last number of a copy that is taken. */
function unroll(region: RegionBuilder, loop: readonly Block[], rounds: number, copies: number): void {
  const keys = new Set(loop.map(({ key }) => key));
  const header = loop[0].key;
  const keyIn = (key: number, round: number): number => (round === 0 ? key : inCopy(key, copies + round));
  const leadOn = (block: Block, round: number): void => {
    const follow = (key: number): number => {
      if (!keys.has(key)) return key;
      return key === header ? keyIn(key, (round + 1) % rounds) : keyIn(key, round);
    };
    block.target = follow(block.target);
    if (block.terminator === Terminator.branch) block.next = follow(block.next);
  };
  for (let round = 1; round < rounds; round++) {
    for (const block of loop) {
      const copy = region.copyBlock(block, keyIn(block.key, round));
      copy.round = round;
      leadOn(copy, round);
    }
  }
  for (const block of loop) {
    block.round = 0;
    leadOn(block, 0);
  }
}
