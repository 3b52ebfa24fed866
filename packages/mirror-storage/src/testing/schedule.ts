// A random schedule: a guest at work, checkpoints, and faults, all from one seed.
import { Cluster } from "./cluster.ts";
import type { ClusterOptions } from "./cluster.ts";

export interface ScheduleResult {
  readonly counts: ReadonlyMap<string, number>;
  readonly steps: number;
}

/** Runs one schedule; throws a Violation if a checker found one. */
export async function runSchedule(options: Omit<ClusterOptions, "topology">, rounds = 120): Promise<ScheduleResult> {
  const cluster = new Cluster({ ...options, topology: options.seed % 2 === 0 ? "shared" : "mirrored" });
  const { random, clock } = cluster;
  // Swarm testing: each schedule has its own mix, so that rare combinations become common in some.
  const mix = {
    write: 0.2 + random.next() * 0.7,
    checkpoint: random.next() * 0.25,
    crashLeader: random.chance(0.7) ? random.next() * 0.03 : 0,
    crashStandby: random.chance(0.5) ? random.next() * 0.02 : 0,
    crashBoth: random.chance(0.4) ? random.next() * 0.02 : 0,
    cut: random.chance(0.5) ? random.next() * 0.03 : 0,
    errors: random.chance(0.2) ? random.next() * 0.02 : 0,
    latency: random.pick([2, 10, 60]),
  };
  for (const host of cluster.hosts) {
    host.disk.latency = mix.latency;
    host.journal.latency = random.pick([2, 10, 40]);
    host.disk.errorRate = mix.errors;
  }
  cluster.start();
  // Most of the time there should be something to lose.
  await cluster.runUntil(() => {
    cluster.checkpoint();
    return cluster.isProtected;
  }, 400);
  for (let round = 0; round < rounds; round++) {
    const burst = random.below(4);
    for (let i = 0; i < burst; i++)
      if (random.chance(mix.write)) cluster.write(undefined, undefined, random.chance(0.1));
    if (random.chance(0.1)) cluster.read();
    if (random.chance(0.1)) cluster.flush();
    if (random.chance(mix.checkpoint)) cluster.checkpoint();
    const back = (): number => 10 + random.below(300);
    const { leader, standby } = cluster;
    if (leader !== undefined && random.chance(mix.crashLeader)) cluster.crash(leader, back());
    if (random.chance(mix.crashStandby)) cluster.crash(standby, back());
    if (random.chance(mix.crashBoth)) {
      // A shared disk may lose its power with both.
      for (const host of cluster.hosts) cluster.crash(host, back(), true);
    }
    if (random.chance(mix.cut)) cluster.cutConnection();
    if (random.chance(mix.errors)) standby.journal.errorRate = random.next() * 0.2;
    await cluster.runUntil(() => false, 1 + random.below(40));
  }
  // No more faults: it must repair itself, and the disk must be what the guest made of it.
  for (const host of cluster.hosts) {
    host.disk.errorRate = 0;
    host.journal.errorRate = 0;
    if (!host.alive) cluster.restart(host);
  }
  cluster.tick(20);
  const healed = await cluster.runUntil(() => cluster.isProtected && cluster.outstanding === 0, 20_000);
  if (!healed) throw new Error(`seed ${options.seed}: not protected again: ${cluster.log.slice(-30).join("; ")}`);
  cluster.checkNow();
  return { counts: cluster.counts, steps: clock.steps };
}
