/** Natural loops of a region: what lies between a header and an edge back to it. */
import type { FlowGraph } from "./flow-graph.ts";

export interface NaturalLoop {
  readonly header: number;
  readonly latch: number;
  /** The header first. */
  readonly blocks: ReadonlySet<number>;
}

export function naturalLoops(graph: FlowGraph): NaturalLoop[] {
  const loops: NaturalLoop[] = [];
  for (const header of graph.order) {
    if (graph.isLoopHeader[header] === 0) continue;
    for (const latch of new Set(graph.predecessors[header])) {
      if (!graph.dominates(header, latch)) continue;
      loops.push({ header, latch, blocks: reaching(graph, latch, header, () => true) });
    }
  }
  return loops;
}

/** `start`, and blocks of some kind that lead to `end` without going over it. */
export function reaching(
  graph: FlowGraph,
  end: number,
  start: number,
  isOfKind: (block: number) => boolean,
): Set<number> {
  const blocks = new Set([start]);
  if (isOfKind(end)) blocks.add(end);
  for (const block of blocks) {
    if (block === start) continue;
    for (const predecessor of graph.predecessors[block]) if (isOfKind(predecessor)) blocks.add(predecessor);
  }
  return blocks;
}
