// The edge of a pair as a process: where clients connect, who may lead, and whose frames pass.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { EdgeServer, LeadershipRegister } from "@doppel/ha-checkpoint";
import type { EdgeEvent } from "@doppel/ha-checkpoint";
import { EtcdArbiter, FileRegister, listen, nodeTimers } from "@doppel/ha-checkpoint/node";
import { createCable, Gateway, parseAddress } from "@doppel/virtual-network";
import { nodeClock, nodeHostNetwork, random32 } from "@doppel/virtual-network/node";
import { UsageError } from "../usage-error.ts";
import { FrameCapture } from "./capture.ts";
import type { LoadedConfig } from "./config.ts";
import { serveControl } from "./control.ts";
import { EDGE, keysOf } from "./keys.ts";

/** How often an arbiter elsewhere is asked who leads. */
const POLL_MS = 50;
/** A host that is silent is given up by its peer; the edge, on which no failover waits, need not be as quick. */
export const EDGE_PATIENCE = 4;

/** Runs until it is told to stop. */
export async function runEdge({ config, resolve }: LoadedConfig, log: (event: object) => void): Promise<void> {
  const { edge, machine, timing, pair, hosts, etcd } = config;
  mkdirSync(resolve(edge.directory), { recursive: true, mode: 0o700 });
  const register = new FileRegister(join(resolve(edge.directory), "leadership"));
  const record = etcd === undefined ? await register.load() : undefined;
  const capture = edge.capture === undefined ? undefined : new FrameCapture(resolve(edge.capture));
  const timers = nodeTimers();
  const [near, far] = createCable();
  const server: EdgeServer = new EdgeServer({
    pair,
    mac: machine.mac,
    register: new LeadershipRegister(record),
    save: (next, done) => {
      void save(register, next, done);
    },
    timers,
    heartbeatMs: timing.heartbeatMs,
    timeoutMs: EDGE_PATIENCE * timing.standbyTimeoutMs,
    deliver: (frame, from) => {
      capture?.outgoing("machine", frame, from);
      near.send(frame);
    },
    dropped: (frame, from) => {
      capture?.outgoing("fenced", frame, from);
      // Somebody leads whom the arbiter, elsewhere, must have let: who it is will be known in a moment.
      if (from.token > (server.record?.token ?? 0)) following?.hint();
    },
    event: (event: EdgeEvent) => {
      log(event);
      if (event.kind === "arrived" || event.kind === "leadership") gateway.resume();
    },
  });
  const following = etcd === undefined ? undefined : follow(server, pair, etcd.endpoints);
  near.onReceive((frame) => {
    capture?.incoming(frame);
    server.toMachine(frame);
  });
  const gateway = new Gateway({ port: far, host: nodeHostNetwork(), clock: nodeClock(), random32 });
  const guest = parseAddress(machine.address);
  if (guest === undefined) throw new UsageError(`machine.address: ${machine.address} is no IPv4 address`);
  for (const { address, port, machinePort } of edge.forwards) {
    await gateway.forward({ protocol: "tcp", host: { address, port }, guest, guestPort: machinePort });
  }
  const keys = keysOf(resolve(config.keys), EDGE, Object.keys(hosts));
  const at = { host: edge.address, port: edge.port };
  const listener = await listen(
    at,
    keys,
    (link, name) => server.accept(link, name),
    (text) => log({ kind: "not-authenticated", text }),
  );
  await new Promise<void>((stopped) => {
    const control = serveControl(join(resolve(edge.directory), "control.sock"), (command) => {
      if (command === "stop") {
        following?.cancel();
        control.close();
        stopped();
        return { stopping: true };
      }
      const { record: leadership, hosts: connected, framesIn, framesOut, framesLost, staleFrames } = server;
      return { role: "edge", leadership, connected, framesIn, framesOut, framesLost, staleFrames };
    });
    log({ kind: "ready", port: listener.port });
  });
  listener.close();
  gateway.close();
  capture?.close();
}

async function save(
  register: FileRegister,
  record: Parameters<FileRegister["save"]>[0],
  done: (error: string | undefined) => void,
): Promise<void> {
  let error: string | undefined;
  try {
    await register.save(record);
  } catch (failure) {
    error = (failure as Error).message;
  }
  done(error);
}

/** Learns who leads from an arbiter that is elsewhere: often, and at once when there is a hint. */
function follow(server: EdgeServer, pair: string, endpoints: readonly string[]): { hint(): void; cancel(): void } {
  const arbiter = new EtcdArbiter({ endpoints, key: etcdKey(pair), timeoutMs: 1000 });
  let timer: NodeJS.Timeout | undefined;
  let asking = false;
  const poll = (): void => {
    if (asking) return;
    asking = true;
    clearTimeout(timer);
    arbiter.read((answer) => {
      asking = false;
      if (answer.ok && answer.record !== undefined) server.observe(answer.record);
      timer = setTimeout(poll, POLL_MS);
    });
  };
  poll();
  return { hint: poll, cancel: () => clearTimeout(timer) };
}

export const etcdKey = (pair: string): string => `/doppel/pairs/${pair}`;
