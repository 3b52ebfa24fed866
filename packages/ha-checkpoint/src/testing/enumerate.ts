// Every fault at every step of a short history: no luck involved, apart from what a torn disk keeps.
import { World } from "./world.ts";
import type { WorldTopology } from "./world.ts";

/** One fault that a pair outlives with its clients connected; or two, the second when it is protected again. */
export type Fault =
  | "leader dies"
  | "leader dies silently"
  | "standby dies"
  | "leader stops"
  | "connection breaks"
  | "pair parted"
  | "leader parted"
  | "two in a row";

export const faults: readonly Fault[] = [
  "leader dies",
  "leader dies silently",
  "standby dies",
  "leader stops",
  "connection breaks",
  "pair parted",
  "leader parted",
  "two in a row",
];

export interface Enumeration {
  readonly points: number;
  /** Longest time without an answer, in simulated milliseconds, by fault. */
  readonly outageMs: ReadonlyMap<Fault, number>;
}

/** Each fault at every `stride`th event of a history of requests, writes and checkpoints. Throws a Violation. */
export async function enumerateFaults(topology: WorldTopology, stride: number, seed = 1): Promise<Enumeration> {
  let points = 0;
  const outageMs = new Map<Fault, number>();
  for (const fault of faults) {
    for (let step = 0; ; step += stride) {
      const outage = await faultAt(topology, fault, step, seed);
      if (outage === undefined) break;
      points++;
      outageMs.set(fault, Math.max(outage, outageMs.get(fault) ?? 0));
    }
  }
  return { points, outageMs };
}

/** Events of the history that faults are placed in: three intervals of checkpoints. */
const historyMs = 60;

/** How long nobody was answered; undefined if the history was over before the fault. */
async function faultAt(topology: WorldTopology, fault: Fault, step: number, seed: number): Promise<number | undefined> {
  const world = new World({ seed, topology });
  const { clock, network, clients } = world;
  world.start();
  await world.runUntil(() => (world.counts.get("committed while protected") ?? 0) > 1);
  const [base, begin] = [clock.steps, clock.now];
  let value = 1;
  const work = (): void => {
    for (const client of clients.slice(0, 3)) {
      if (client.isWaiting) client.repeat();
      else client.ask(value % 3 === 0 ? undefined : value);
      value++;
    }
    world.leading?.machine?.tick(value * 7, 3);
    if (value % 5 === 0) world.leading?.machine?.setCachePurgeable(value % 2 === 0);
  };
  const keepWorking = (): void => {
    work();
    clock.schedule(7, keepWorking);
  };
  keepWorking();
  await world.runUntil(() => clock.steps - base >= step || clock.now - begin >= historyMs);
  if (clock.now - begin >= historyMs) return undefined;
  const answered = (): number => clients.reduce((sum, client) => sum + client.answered, 0);
  const [before, at] = [answered(), clock.now];
  inject(world, fault);
  await world.runUntil(() => answered() > before);
  const outage = clock.now - at;
  await world.runFor(450);
  network.heal();
  const isHealed = (): boolean => world.isProtected && (world.counts.get("committed while protected") ?? 0) > 1;
  let healed = await world.runUntil(isHealed);
  if (fault === "two in a row" && world.leading !== undefined) {
    world.crash(world.leading, 50, false);
    await world.runFor(300);
    healed = await world.runUntil(isHealed);
  }
  await world.runFor(100);
  if (!healed)
    throw new Error(`${topology}, ${fault} at ${step}: not protected again: ${world.log.slice(-20).join("; ")}`);
  if (world.coldStarts > 1) world.violate(`${topology}, ${fault} at ${step}: the machine was started anew`);
  world.checkNow();
  return outage;
}

function inject(world: World, fault: Fault): void {
  const { leading, network } = world;
  const standby = world.hosts.find((host) => host !== leading)!;
  if (leading === undefined) return;
  switch (fault) {
    case "leader dies":
    case "two in a row":
      return world.crash(leading, 50, false);
    case "leader dies silently":
      return world.crash(leading, 50, true);
    case "standby dies":
      return world.crash(standby, 50, false);
    case "leader stops":
      return world.pause(leading, 300);
    case "connection breaks":
      return network.cut(leading, false);
    case "leader parted":
      network.block(leading.name, "edge");
      network.block("edge", leading.name);
      network.block(leading.name, standby.name);
      return network.block(standby.name, leading.name);
    case "pair parted":
      network.block(leading.name, standby.name);
      return network.block(standby.name, leading.name);
  }
}
