// What goes wrong in a campaign. Each fault begins with a pair that is protected, and ends when its cause is gone; the
// campaign then waits until the pair is protected again.
import { execFileSync } from "node:child_process";
import { EDGE } from "../src/pair/keys.ts";
import type { Cluster, ClusterEvent, Trap } from "./cluster.ts";

/** The pair as a fault finds it, and what it may do to it. */
export interface Scene {
  readonly cluster: Cluster;
  readonly leader: string;
  readonly standby: string;
  /** From 0 to 1. */
  readonly random: () => number;
  readonly pause: (milliseconds: number) => Promise<void>;
  /** The fault is in effect from now on, or from the moment that is given. */
  readonly struck: (ms?: number) => void;
  /** Another host leads than did; undefined: none does in time. */
  readonly takenOver: () => Promise<ClusterEvent | undefined>;
  /** Protected, by whichever hosts. */
  readonly protectedAgain: () => Promise<{ readonly leader: string; readonly standby: string }>;
}

export interface Fault {
  readonly name: string;
  readonly run: (scene: Scene) => Promise<void>;
  /** Hosts that it takes; two unless given. */
  readonly hosts?: number;
  readonly arbiter?: "edge" | "etcd";
  /** It ends connections of clients by its nature. */
  readonly endsConnections?: true;
}

const between = ({ random }: Scene, from: number, to: number): number => from + random() * (to - from);

/** Has a process meet a signal at a step of the protocol, and waits until it did. */
async function springs({ cluster, struck }: Scene, name: string, trap: Trap): Promise<void> {
  const sprung = cluster.next(({ from, kind }) => from === name && kind === "trapped", 20_000);
  cluster.setTrap(name, trap);
  const event = await sprung;
  if (event === undefined) throw new Error(`${name} did not come to "${trap.step}"`);
  struck(event.ms);
}

/** Stopped at some moment or step, replaced, and sent on when somebody else leads: it must be fenced. */
async function stopped(scene: Scene, stop: () => Promise<void> | void): Promise<void> {
  await stop();
  await scene.takenOver();
  await scene.pause(between(scene, 0, 500));
  scene.cluster.kill(scene.leader, "SIGCONT");
}

const leaderSteps: readonly (readonly [string, Omit<Trap, "signal">])[] = [
  ["stopped for a checkpoint", { step: "captured" }],
  ["running on", { step: "resumed" }],
  ["epoch sent", { step: "sent" }],
  ["epoch committed", { step: "committed", role: "leader" }],
];

function partition(scene: Scene, pairs: readonly (readonly [string, string])[], there = true, back = true): void {
  scene.struck();
  for (const [one, other] of pairs) scene.cluster.partition(one, other, { there, back });
}

/** A partition for long enough that somebody gives somebody up, or, at times, not. */
async function partitioned(
  scene: Scene,
  pairs: readonly (readonly [string, string])[],
  there = true,
  back = true,
): Promise<void> {
  partition(scene, pairs, there, back);
  await scene.pause(between(scene, 200, 2500));
  scene.cluster.heal();
}

/** Every write of the process to a file fails, and stops failing. */
function setFull(cluster: Cluster, name: string, full: boolean): void {
  // The kernel refuses what goes past the limit on the size of files, which is there for every process of Linux.
  if (cluster.isAlive(name))
    execFileSync("prlimit", ["--pid", `${cluster.pidOf(name)}`, `--fsize=${full ? "0" : "unlimited"}:`]);
}

async function fullDisk(scene: Scene, name: string): Promise<void> {
  const { cluster } = scene;
  scene.struck();
  setFull(cluster, name, true);
  await scene.pause(between(scene, 300, 1500));
  setFull(cluster, name, false);
}

export const faults: readonly Fault[] = [
  {
    name: "leader killed",
    run: async (scene) => {
      scene.struck();
      scene.cluster.kill(scene.leader);
      await scene.takenOver();
    },
  },
  ...leaderSteps.map<Fault>(([step, trap]) => ({
    name: `leader killed: ${step}`,
    run: async (scene) => {
      await springs(scene, scene.leader, { ...trap, signal: "SIGKILL" });
      await scene.takenOver();
    },
  })),
  {
    name: "leader stopped, continued when replaced",
    run: (scene) =>
      stopped(scene, () => {
        scene.struck();
        scene.cluster.kill(scene.leader, "SIGSTOP");
      }),
  },
  ...leaderSteps.map<Fault>(([step, trap]) => ({
    name: `leader stopped: ${step}`,
    run: (scene) => stopped(scene, () => springs(scene, scene.leader, { ...trap, signal: "SIGSTOP" })),
  })),
  {
    name: "leader stopped for a moment",
    run: async (scene) => {
      scene.struck();
      scene.cluster.kill(scene.leader, "SIGSTOP");
      await scene.pause(between(scene, 50, 800));
      scene.cluster.kill(scene.leader, "SIGCONT");
    },
  },
  ...(["suspected", "claimed", "promoted"] as const).map<Fault>((step) => ({
    name: `leader killed, standby stopped: ${step}`,
    run: async (scene) => {
      const { cluster, leader, standby } = scene;
      const sprung = cluster.next(({ from, kind }) => from === standby && kind === "trapped", 20_000);
      cluster.setTrap(standby, { step, signal: "SIGSTOP" });
      scene.struck();
      cluster.kill(leader);
      await sprung;
      await scene.pause(between(scene, 100, 1500));
      cluster.kill(standby, "SIGCONT");
      await scene.takenOver();
    },
  })),
  {
    name: "leader told to hand over",
    run: async (scene) => {
      scene.struck();
      await scene.cluster.ask(scene.leader, "failover");
      await scene.takenOver();
    },
  },
  {
    name: "standby killed",
    run: async (scene) => {
      scene.struck();
      scene.cluster.kill(scene.standby);
      await scene.pause(between(scene, 0, 1000));
    },
  },
  {
    name: "standby killed: epoch committed",
    run: async (scene) => {
      await springs(scene, scene.standby, { step: "committed", role: "standby", signal: "SIGKILL" });
      await scene.pause(between(scene, 0, 1000));
    },
  },
  {
    name: "standby stopped",
    run: async (scene) => {
      scene.struck();
      scene.cluster.kill(scene.standby, "SIGSTOP");
      await scene.pause(between(scene, 100, 2500));
      scene.cluster.kill(scene.standby, "SIGCONT");
    },
  },
  {
    name: "hosts partitioned",
    run: (scene) => partitioned(scene, [[scene.leader, scene.standby]]),
  },
  {
    name: "hosts partitioned one way, from the leader",
    run: (scene) => partitioned(scene, [[scene.leader, scene.standby]], true, false),
  },
  {
    name: "hosts partitioned one way, to the leader",
    run: (scene) => partitioned(scene, [[scene.leader, scene.standby]], false, true),
  },
  {
    name: "connection of hosts reset",
    run: async (scene) => {
      scene.struck();
      scene.cluster.cut(scene.leader, scene.standby);
      await scene.pause(500);
    },
  },
  {
    name: "leader cut off from all",
    run: async (scene) => {
      const { cluster, leader } = scene;
      const others = [EDGE, ...cluster.hosts.filter((host) => host !== leader), "etcd"];
      partition(
        scene,
        others.map((other) => [leader, other] as const),
      );
      await scene.takenOver();
      await scene.pause(between(scene, 0, 1000));
      cluster.heal();
    },
  },
  {
    name: "leader cut off from the edge",
    run: async (scene) => {
      partition(scene, [[scene.leader, EDGE]]);
      await scene.pause(between(scene, 500, 3000));
      scene.cluster.heal();
    },
  },
  {
    name: "leader cut off from the edge, one way",
    run: async (scene) => {
      const there = scene.random() < 0.5;
      partition(scene, [[scene.leader, EDGE]], there, !there);
      await scene.pause(between(scene, 500, 3000));
      scene.cluster.heal();
    },
  },
  {
    name: "standby cut off from the arbiter, leader killed",
    run: async (scene) => {
      const { cluster, leader, standby } = scene;
      cluster.partition(standby, EDGE);
      cluster.partition(standby, "etcd");
      await scene.pause(between(scene, 0, 1000));
      scene.struck();
      cluster.kill(leader);
      await scene.pause(between(scene, 100, 2000));
      cluster.heal();
      await scene.takenOver();
    },
  },
  { name: "disk of the leader full", run: (scene) => fullDisk(scene, scene.leader) },
  { name: "disk of the standby full", run: (scene) => fullDisk(scene, scene.standby) },
  {
    name: "edge stopped",
    run: async (scene) => {
      scene.struck();
      scene.cluster.kill(EDGE, "SIGSTOP");
      await scene.pause(between(scene, 100, 2000));
      scene.cluster.kill(EDGE, "SIGCONT");
    },
  },
  {
    name: "edge killed",
    endsConnections: true,
    run: async (scene) => {
      scene.struck();
      scene.cluster.kill(EDGE);
      await scene.pause(between(scene, 100, 1000));
      scene.cluster.start(EDGE);
      await scene.cluster.next(({ from, kind }) => from === EDGE && kind === "ready", 20_000);
    },
  },
  {
    name: "edge killed, then the leader",
    endsConnections: true,
    run: async (scene) => {
      scene.struck();
      scene.cluster.kill(EDGE);
      await scene.pause(between(scene, 0, 500));
      scene.cluster.kill(scene.leader);
      await scene.pause(between(scene, 0, 1000));
      scene.cluster.start(EDGE);
      await scene.takenOver();
    },
  },
  {
    name: "arbiter killed",
    arbiter: "etcd",
    run: async (scene) => {
      scene.struck();
      scene.cluster.kill("etcd");
      await scene.pause(between(scene, 100, 2000));
      scene.cluster.start("etcd");
    },
  },
  {
    name: "arbiter killed, then the leader",
    arbiter: "etcd",
    run: async (scene) => {
      scene.cluster.kill("etcd");
      await scene.pause(between(scene, 0, 1000));
      scene.struck();
      scene.cluster.kill(scene.leader);
      await scene.pause(between(scene, 0, 1000));
      scene.cluster.start("etcd");
      await scene.takenOver();
    },
  },
  {
    name: "arbiter killed, then the standby",
    arbiter: "etcd",
    run: async (scene) => {
      scene.cluster.kill("etcd");
      await scene.pause(between(scene, 0, 500));
      scene.struck();
      scene.cluster.kill(scene.standby);
      await scene.pause(between(scene, 0, 1500));
      scene.cluster.start("etcd");
    },
  },
  {
    name: "two in a row: leader, then the next leader",
    run: async (scene) => {
      const { cluster, leader } = scene;
      scene.struck();
      cluster.kill(leader);
      await scene.takenOver();
      cluster.start(leader);
      const next = await scene.protectedAgain();
      cluster.kill(next.leader);
      await scene.takenOver();
    },
  },
  {
    name: "two in a row: leader, then the standby that joins",
    run: async (scene) => {
      const { cluster, leader } = scene;
      const joins = cluster.next(({ kind }) => kind === "joining", 20_000);
      scene.struck();
      cluster.kill(leader);
      await scene.takenOver();
      cluster.start(leader);
      const joining = await joins;
      if (joining !== undefined) cluster.kill(joining["standby"] as string);
    },
  },
];
