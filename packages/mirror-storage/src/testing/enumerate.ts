// Every crash point of every short history: no luck involved, apart from what a torn disk keeps.
import { Cluster } from "./cluster.ts";
import type { Topology } from "../messages.ts";

/** Operations of a history: two writes that overlap, at odd sectors, and a checkpoint. */
const operations = ["write", "overwrite", "checkpoint"] as const;
type Operation = (typeof operations)[number];

export type Casualty = "leader" | "standby" | "both";

export interface Enumeration {
  readonly histories: number;
  readonly crashes: number;
}

/**
 * Histories of up to so many operations, each in both topologies, with each casualty at each event. A seed decides on
 * delays and on what a torn disk keeps. Throws a Violation.
 */
export async function enumerateCrashes(maximumLength: number, seeds = 1): Promise<Enumeration> {
  let [count, crashes] = [0, 0];
  for (const history of histories(maximumLength)) {
    for (const topology of ["shared", "mirrored"] as const) {
      count++;
      for (const casualty of ["leader", "standby", "both"] as const) {
        for (let seed = 1; seed <= seeds; seed++) {
          for (let step = 0; await crashAt(topology, history, casualty, step, seed); step++) crashes++;
        }
      }
    }
  }
  return { histories: count, crashes };
}

function* histories(maximumLength: number): Generator<readonly Operation[]> {
  let longest: Operation[][] = [[]];
  for (let length = 1; length <= maximumLength; length++) {
    longest = longest.flatMap((history) => operations.map((operation) => [...history, operation]));
    yield* longest;
  }
}

/** One crash. False if the history was over before. */
async function crashAt(
  topology: Topology,
  history: readonly Operation[],
  casualty: Casualty,
  step: number,
  seed: number,
): Promise<boolean> {
  const cluster = new Cluster({ seed, topology, blocks: 4, rollbackBlocks: 8, writeBufferBlocks: 8 });
  for (const host of cluster.hosts) host.disk.latency = host.journal.latency = 3;
  cluster.start();
  let asked = false;
  await cluster.runUntil(() => {
    if (!asked && cluster.counts.has("synchronised")) asked = cluster.checkpoint();
    return cluster.isProtected;
  });
  cluster.write(3, 2);
  await cluster.runUntil(() => cluster.outstanding === 0);
  for (const operation of history) {
    if (operation === "write") cluster.write(2, 6);
    else if (operation === "overwrite") cluster.write(5, 2);
    else cluster.checkpoint();
  }
  const base = cluster.clock.steps;
  const committed = cluster.released + history.filter((operation) => operation === "checkpoint").length;
  const isOver = (): boolean => cluster.outstanding === 0 && cluster.released === committed;
  await cluster.runUntil(() => cluster.clock.steps - base >= step || isOver());
  const reached = cluster.clock.steps - base >= step;
  const { leader, standby } = cluster;
  // A shared disk outlives a host.
  const diskToo = topology === "mirrored" || casualty === "both";
  if (leader !== undefined && casualty !== "standby") cluster.crash(leader, 40, diskToo);
  if (casualty !== "leader") cluster.crash(standby, 5, diskToo);
  cluster.tick(20);
  const healed = await cluster.runUntil(() => cluster.isProtected && cluster.outstanding === 0);
  if (!healed) throw new Error(`not protected again: ${history.join(", ")}; ${casualty} at ${step}; ${topology}`);
  cluster.checkNow();
  return reached && !isOver();
}
