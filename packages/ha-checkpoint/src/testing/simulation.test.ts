import { describe, expect, it } from "vitest";
import { enumerateFaults } from "./enumerate.ts";
import { firstViolation } from "./schedule.ts";
import { Violation, World } from "./world.ts";

describe("the simulated pair", () => {
  it("C3 random schedules of crashes, stops, partitions and disk faults lose nothing and show nothing twice", async () => {
    expect(await firstViolation(120)).toBeUndefined();
  });

  it.each(["mirrored", "shared", "diskless"] as const)(
    "C2 C3 P4 a single fault at any step leaves clients connected and the pair protected again (%s)",
    async (topology) => {
      const { points, outageMs } = await enumerateFaults(topology, 19);
      expect(points).toBeGreaterThan(40);
      // Of simulated time: the standby waits 90 ms, the heartbeats 10, and a stopped leader is found out like a dead one.
      for (const outage of outageMs.values()) expect(outage).toBeLessThan(400);
    },
  );

  it("N8 C3 with its standby and the arbiter lost, a leader releases nothing; with the arbiter back, it goes on", async () => {
    const world = new World({ seed: 5, topology: "mirrored" });
    world.start();
    await world.runUntil(() => (world.counts.get("committed while protected") ?? 0) > 2);
    const first = world.leading!;
    const [client] = world.clients;
    for (const [from, to] of ["A>B", "B>A", "A>edge", "B>edge", "edge>B"].map((pair) => pair.split(">"))) {
      world.network.block(from, to);
    }
    // Requests still arrive, and the guest answers them; nobody hears it.
    client.ask(42);
    await world.runFor(500);
    expect(client.isWaiting).toBe(true);
    expect(first.host?.leader?.mode).toBe("undecided");
    expect(world.coldStarts).toBe(1);
    world.network.heal();
    await world.runUntil(() => world.isProtected);
    client.repeat();
    await world.runUntil(() => !client.isWaiting);
    expect(world.coldStarts).toBe(1);
    world.checkNow();
  });

  it("S9 with all hosts dead at once, the machine starts from its disk and every acknowledged value is there", async () => {
    const world = new World({ seed: 3, topology: "mirrored" });
    world.start();
    await world.runUntil(() => (world.counts.get("committed while protected") ?? 0) > 2);
    for (const client of world.clients) client.ask(7);
    await world.runUntil(() => world.clients.every((client) => !client.isWaiting));
    for (const host of world.hosts) world.crash(host, 20, false);
    await world.runUntil(() => world.coldStarts === 2 && world.isProtected);
    for (const client of world.clients) client.ask(undefined);
    await world.runUntil(() => world.clients.every((client) => !client.isWaiting));
    world.checkNow();
  });
});

describe("negative controls", () => {
  it.each(["buffering", "fencing", "arbitration", "rollback", "dirty-bit"] as const)(
    "C4 without %s, the checkers fail",
    async (without) => {
      expect(await firstViolation(300, without)).toBeInstanceOf(Violation);
    },
  );
});
