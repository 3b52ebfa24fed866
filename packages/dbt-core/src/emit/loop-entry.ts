/**
 * A region often begins inside a loop, where a branch that is usually taken leads to. What lies between there and the place
 * that all ways round the loop have in common is made twice then: once for coming in, once for going round. Otherwise the
 * region's first block is the header of a loop around another, and each turn goes over both.
 */
import { type Block, inCopy, keyCopy, type RegionBuilder, Terminator } from "../ir/region.ts";
import { FlowGraph } from "./flow-graph.ts";

/** Of blocks that are made twice, at most. */
const LONGEST = 3;

/** No block is in this copy: keys there lead out of the region. */
const NO_COPY = 124;

/** Terminators whose target is the key of a block that may be in the region. */
const LED_BY_TARGET: ReadonlySet<number> = new Set([
  Terminator.jump,
  Terminator.branch,
  Terminator.callIndirect,
  Terminator.return,
]);

/**
 * Gives the loop that the region begins in, where it has one, a way in of its own. Other ways from there leave the region: at a whole
 * instruction, therefore.
 */
export function separateEntry(region: RegionBuilder): void {
  const graph = new FlowGraph();
  graph.build(region);
  const way = wayToHeader(region, graph);
  if (way.length === 0) return;
  const copy = 1 + region.blocks.reduce((last, { key }) => Math.max(last, keyCopy(key)), 0);
  if (copy >= NO_COPY) return;
  const ahead = way.slice(0, -1).map((index) => region.blocks[index]);
  const keys = new Set(ahead.map(({ key }) => key));
  const others = region.blocks.filter((block) => !ahead.includes(block));
  for (const block of ahead) others.push(region.copyBlock(block, inCopy(block.key, copy)));
  const follow = (key: number): number => (keys.has(key) ? inCopy(key, copy) : key);
  for (const block of others) {
    const { terminator } = block;
    if (LED_BY_TARGET.has(terminator)) block.target = follow(block.target);
    if (terminator !== Terminator.jump) block.next = follow(block.next);
  }
  const leave = (key: number): number => (way.includes(graph.blockAt(key)) ? key : inCopy(key, NO_COPY));
  for (const block of ahead) {
    block.target = leave(block.target);
    if (block.terminator === Terminator.branch) block.next = leave(block.next);
  }
}

/** The blocks from the region's first, which is a loop's header, on the shortest way round to the header of a loop inside. */
function wayToHeader(region: RegionBuilder, graph: FlowGraph): number[] {
  const way = shortestWayRound(region, graph);
  const end = way.findIndex((index, place) => place > 0 && graph.isLoopHeader[index] === 1);
  const ahead = way.slice(0, Math.max(0, end)).map((index) => region.blocks[index]);
  const isSimple = ({ terminator, target, next }: Block): boolean =>
    (terminator === Terminator.jump || (terminator === Terminator.branch && next % 4 === 0)) && target % 4 === 0;
  return ahead.length > LONGEST || !ahead.every(isSimple) ? [] : way.slice(0, end + 1);
}

/** From the region's first block to one that leads back to it; none if none does. */
function shortestWayRound(region: RegionBuilder, graph: FlowGraph): number[] {
  const before = new Map<number, number>([[0, -1]]);
  for (const index of before.keys()) {
    const block = region.blocks[index];
    for (let edge = 0; ; edge++) {
      const key = graph.successor(block, edge);
      if (key === undefined) break;
      const to = graph.inside(index, key);
      if (to === 0) {
        const way: number[] = [];
        for (let at = index; at >= 0; at = before.get(at)!) way.unshift(at);
        return way;
      }
      if (to >= 0 && !before.has(to)) before.set(to, index);
    }
  }
  return [];
}
