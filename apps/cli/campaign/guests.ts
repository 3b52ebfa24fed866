// The machines that a campaign can run, and how they are asked.
import type { CampaignOptions } from "./campaign.ts";
import { lineProtocol } from "./clients.ts";

export interface CampaignGuest {
  readonly summary: string;
  /** Hosts, unless somebody says otherwise. */
  readonly hosts: number;
  /** What this machine lacks for it. */
  readonly missing?: () => string | undefined;
  readonly make: (
    folder: string,
  ) => Pick<CampaignOptions, "machine" | "machinePorts" | "machinePort" | "protocol" | "patienceMs" | "ready">;
}

export const guests: Readonly<Record<string, CampaignGuest>> = {
  model: {
    summary: "a machine without a processor",
    hosts: 3,
    make: () => ({
      machine: { kind: "model" },
      machinePorts: [7000],
      machinePort: 7000,
      protocol: lineProtocol,
      patienceMs: 60_000,
    }),
  },
  own: {
    summary: "the key-value guest of guests/machine/store, a virtual machine",
    hosts: 3,
    make: () => ({
      machine: { kind: "own" },
      machinePorts: [7000],
      machinePort: 7000,
      protocol: lineProtocol,
      patienceMs: 120_000,
    }),
  },
};
