// A random schedule: clients at work, a machine under checkpoints, and faults, all from one seed.
import { Random } from "@doppel/mirror-storage/testing";
import { Violation, World } from "./world.ts";
import type { Control, SimulatedHost, WorldTopology } from "./world.ts";

export interface ScheduleResult {
  readonly counts: ReadonlyMap<string, number>;
  readonly steps: number;
  readonly answered: number;
}

const topologies: readonly WorldTopology[] = ["mirrored", "shared", "mirrored", "diskless"];

/** Runs one schedule; throws a Violation if a checker found one, an Error if it did not recover. */
export async function runSchedule(seed: number, without?: Control, rounds = 60): Promise<ScheduleResult> {
  const choice = new Random(seed ^ 0x5bd1e995);
  const topology: WorldTopology =
    without === "fencing"
      ? "shared"
      : without === "rollback"
        ? choice.pick(["shared", "mirrored"])
        : choice.pick(topologies);
  const hosts = choice.chance(0.3) ? 3 : 2;
  const world = new World({ seed, topology, hosts, without, arbiter: choice.chance(0.3) ? "apart" : "edge" });
  const { random, clock, network, clients } = world;
  // Swarm testing: each schedule has its own mix, so that rare combinations become common in some.
  const mix = {
    ask: 0.1 + random.next() * 0.5,
    tick: random.next() * 0.5,
    cache: random.chance(0.5) ? 0.05 : 0,
    crashLeader: random.chance(0.6) ? random.next() * 0.06 : 0,
    crashStandby: random.chance(0.4) ? random.next() * 0.05 : 0,
    crashAll: random.chance(0.15) ? random.next() * 0.03 : 0,
    pause: random.chance(0.4) ? random.next() * 0.06 : 0,
    cut: random.chance(0.4) ? random.next() * 0.06 : 0,
    partition: random.chance(0.5) ? random.next() * 0.06 : 0,
    crashEdge: random.chance(0.2) ? random.next() * 0.03 : 0,
    pauseEdge: random.chance(0.2) ? random.next() * 0.03 : 0,
    errors: random.chance(0.2) ? random.next() * 0.02 : 0,
    full: random.chance(0.1) ? 0.03 : 0,
  };
  network.delay = random.pick([2, 8, 25]);
  for (const host of world.hosts) {
    host.disk.latency = random.pick([2, 10, 30]);
    host.journal.latency = random.pick([2, 10]);
    host.disk.errorRate = mix.errors;
  }
  world.start();
  // Most of the time there should be something to lose.
  await world.runUntil(() => world.isProtected, 3000);
  let value = 1;
  const work = (): void => {
    for (const client of clients) {
      if (client.isWaiting) {
        if (random.chance(0.3)) client.repeat();
      } else if (random.chance(mix.ask)) client.ask(random.chance(0.6) ? value++ : undefined);
    }
    const machine = world.leading?.machine;
    if (random.chance(mix.tick)) machine?.tick(random.below(100), 1 + random.below(6));
    if (random.chance(mix.cache)) machine?.setCachePurgeable(random.chance(0.6));
  };
  for (let round = 0; round < rounds; round++) {
    work();
    fault(world, mix);
    await world.runFor(1 + random.below(30));
  }
  // No more faults: it must repair itself, answer everybody, and be protected again.
  network.heal();
  world.restartEdge();
  for (const host of world.hosts) {
    host.disk.errorRate = host.journal.errorRate = 0;
    host.disk.full = host.journal.full = false;
    if (!host.alive) world.restart(host);
  }
  let healed = false;
  for (let round = 0; round < 250 && !healed; round++) {
    for (const client of clients) client.repeat();
    await world.runFor(20);
    healed = world.isProtected && clients.every((client) => !client.isWaiting);
  }
  if (!healed) {
    const waiting = clients.filter((client) => client.isWaiting).length;
    const state = world.isProtected ? "protected" : "unprotected";
    throw new Error(`seed ${seed}: ${state}, ${waiting} clients wait: ${world.log.slice(-30).join("; ")}`);
  }
  world.checkNow();
  const answered = clients.reduce((sum, client) => sum + client.answered, 0);
  return { counts: world.counts, steps: clock.steps, answered };
}

function fault(world: World, mix: Record<string, number>): void {
  const { random, network, hosts } = world;
  const { leading } = world;
  const others = hosts.filter((host) => host !== leading);
  const back = (): number => 10 + random.below(300);
  const crash = (host: SimulatedHost): void => world.crash(host, back(), random.chance(0.3));
  if (leading !== undefined && random.chance(mix["crashLeader"])) crash(leading);
  if (random.chance(mix["crashStandby"])) crash(random.pick(others));
  if (random.chance(mix["crashAll"])) for (const host of hosts) crash(host);
  if (random.chance(mix["pause"]))
    world.pause(leading !== undefined && random.chance(0.7) ? leading : random.pick(hosts), back());
  if (random.chance(mix["crashEdge"])) world.crashEdge(back());
  if (random.chance(mix["pauseEdge"])) world.pause(world.edge, back());
  if (random.chance(mix["cut"])) network.cut(random.pick(hosts), random.chance(0.3));
  if (random.chance(mix["errors"])) random.pick(others).journal.errorRate = random.next() * 0.2;
  if (random.chance(mix["full"])) {
    const { disk, journal } = random.pick(hosts);
    const victim = random.chance(0.5) ? disk : journal;
    victim.full = true;
    world.count("disk full");
    world.clock.schedule(back(), () => {
      victim.full = false;
    });
  }
  if (!random.chance(mix["partition"])) return;
  world.count("partition");
  const names = [...hosts.map((host) => host.name), "edge", "arbiter"];
  const [one, two] = [random.pick(names), random.pick(names)];
  const kind = random.below(3);
  for (const name of names) {
    if (kind === 0 || name === two) network.block(one, name);
    if (kind === 0 || (kind === 1 && name === two)) network.block(name, one);
  }
  world.clock.schedule(back(), () => network.heal());
}

/** Schedules until a checker finds something; undefined if none did. */
export async function firstViolation(seeds: number, without?: Control): Promise<Violation | undefined> {
  for (let seed = 1; seed <= seeds; seed++) {
    try {
      await runSchedule(seed, without);
    } catch (error) {
      if (error instanceof Violation) return error;
      // A pair with something switched off need not recover.
      if (without === undefined) throw error;
    }
  }
  return undefined;
}
