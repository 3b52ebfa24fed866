// The machines that a campaign can run, and how they are asked.
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import type { CampaignOptions } from "./campaign.ts";
import { lineProtocol, redisProtocol } from "./clients.ts";
import type { Service } from "./clients.ts";
import { setUpDebian, sqlitePort } from "./debian.ts";

export interface CampaignGuest {
  readonly summary: string;
  /** Hosts, unless somebody says otherwise. */
  readonly hosts: number;
  /** `folder`: of a Debian guest, for what runs one. @throws Error if it is not there */
  readonly make: (
    folder: string | undefined,
  ) => Pick<CampaignOptions, "machine" | "machinePorts" | "services" | "patienceMs" | "ready">;
}

function withServices(services: readonly Service[]): Pick<CampaignOptions, "machinePorts" | "services"> {
  return { machinePorts: services.map(({ machinePort }) => machinePort), services };
}

const lines: readonly Service[] = [{ name: "the key-value service", machinePort: 7000, protocol: lineProtocol }];

const SSH_PORT = 22;
const REDIS_PORT = 6379;

export const guests: Readonly<Record<string, CampaignGuest>> = {
  model: {
    summary: "a machine without a processor",
    hosts: 3,
    make: () => ({ machine: { kind: "model" }, ...withServices(lines), patienceMs: 60_000 }),
  },
  own: {
    summary: "the key-value guest of guests/machine/store, a virtual machine",
    hosts: 3,
    make: () => ({ machine: { kind: "own" }, ...withServices(lines), patienceMs: 300_000 }),
  },
  debian: {
    summary: "Debian, with redis (appendfsync always) and sqlite (synchronous=FULL)",
    hosts: 2,
    make: (folder) => {
      const file = (name: string): string => {
        const path = resolve(folder ?? "debian", name);
        if (existsSync(path)) return path;
        throw new Error(`${path} is not there; "doppel guest debian --out DIR" makes it, --debian DIR names it`);
      };
      const services = [
        { name: "redis", machinePort: REDIS_PORT, protocol: redisProtocol },
        { name: "sqlite", machinePort: sqlitePort, protocol: lineProtocol },
      ];
      const key = file("id_ed25519");
      return {
        machine: {
          kind: "vm",
          kernel: file("vmlinuz"),
          initrd: file("initrd.img"),
          append: "console=ttyS0 quiet",
          memoryMiB: 256,
          disk: { image: file("root.img") },
        },
        machinePorts: [REDIS_PORT, sqlitePort, SSH_PORT],
        services,
        patienceMs: 1_200_000,
        ready: (cluster) =>
          setUpDebian({
            redisPort: cluster.servicePort(REDIS_PORT),
            sqlitePort: cluster.servicePort(sqlitePort),
            sshPort: cluster.servicePort(SSH_PORT),
            key,
            serverScript: join(import.meta.dirname, "sqlite-server.py"),
          }),
      };
    },
  },
};
