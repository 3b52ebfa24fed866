// The configuration of a pair: one YAML file, the same on all its hosts, and a folder of keys.
import { readFileSync } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import { UsageError } from "../usage-error.ts";

const name = z.string().regex(/^[a-zA-Z0-9][a-zA-Z0-9-]{0,62}$/, "letters, digits and hyphens, at most 63");
const port = z.int().min(0).max(65_535);
const address = z.string().min(1);
const mac = z.string().regex(/^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/, "a MAC address of one machine, in lower case");
const defaultMac = "02:64:70:00:00:01";
const defaultAddress = "10.0.2.15";
/** What the guest takes as its address; forwards lead there. */
const onTheNetwork = { mac: mac.default(defaultMac), address: z.ipv4().default(defaultAddress) };
const milliseconds = z.number().positive().max(60_000);

const schema: z.ZodType<PairConfig> = z.strictObject({
  pair: name,
  /** Folder of the keys that this host has. */
  keys: z.string().default("keys"),
  edge: z.strictObject({
    address,
    port,
    /** Where the edge keeps who leads. */
    directory: z.string(),
    /** File that all frames of the machine are written to, as pcapng. */
    capture: z.string().optional(),
    /** Connections to the first port are the machine's, at the second. */
    forwards: z.array(z.strictObject({ address: address.default("127.0.0.1"), port, machinePort: port })).default([]),
  }),
  /** Etcd in the place of the arbiter in the edge. */
  etcd: z.strictObject({ endpoints: z.array(z.url()).min(1) }).optional(),
  machine: z.discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("model"), ...onTheNetwork, port: port.default(7000) }),
    z.strictObject({
      kind: z.literal("own"),
      ...onTheNetwork,
      port: port.default(7000),
      memoryMiB: z.int().min(8).max(3072).default(16),
      diskMiB: z.int().min(1).max(1024).default(4),
    }),
    z.strictObject({
      kind: z.literal("disk"),
      ...onTheNetwork,
      sizeMiB: z
        .int()
        .min(1)
        .max(1 << 20),
      /** Where whoever leads serves it over NBD: HOST:PORT, PORT, or the path of a socket. */
      listen: z.string().default("127.0.0.1:10809"),
      name: z.string().max(4096).default("disk"),
    }),
    z.strictObject({
      kind: z.literal("vm"),
      ...onTheNetwork,
      kernel: z.string(),
      initrd: z.string().optional(),
      append: z.string().default("console=ttyS0"),
      memoryMiB: z.int().min(2).max(3072).default(256),
      disk: z
        .strictObject({
          /** A raw image that all hosts have, and that none writes to: what is on the disk in the beginning. */
          image: z.string().optional(),
          /** Its size where there is no image: empty. */
          sizeMiB: z
            .int()
            .min(1)
            .max(1 << 20)
            .optional(),
        })
        .refine(({ image, sizeMiB }) => (image === undefined) !== (sizeMiB === undefined), "image or sizeMiB")
        .optional(),
      cpu: z.string().optional(),
    }),
  ]),
  /** Where the machine is first. */
  initial: name,
  hosts: z.record(name, z.strictObject({ address, port, directory: z.string() })),
  timing: z
    .strictObject({
      intervalMs: milliseconds.default(50),
      heartbeatMs: milliseconds.default(50),
      leaderTimeoutMs: milliseconds.default(400),
      standbyTimeoutMs: milliseconds.default(600),
      coldStartAfterMs: milliseconds.optional(),
    })
    .prefault({}),
});

/**
 * - `model`: no processor, a key-value service in JavaScript that every byte is checkpointed of.
 * - `own`: a virtual machine with the guest of `guests/machine/store`, a key-value service.
 * - `disk`: no machine at all, but a disk that the leader serves over NBD.
 * - `vm`: any other.
 */
export type MachineConfig = { readonly mac: string; readonly address: string } & (
  | { readonly kind: "model"; readonly port: number }
  | { readonly kind: "own"; readonly port: number; readonly memoryMiB: number; readonly diskMiB: number }
  | { readonly kind: "disk"; readonly sizeMiB: number; readonly listen: string; readonly name: string }
  | {
      readonly kind: "vm";
      readonly kernel: string;
      readonly initrd?: string | undefined;
      readonly append: string;
      readonly memoryMiB: number;
      readonly disk?: { readonly image?: string | undefined; readonly sizeMiB?: number | undefined } | undefined;
      readonly cpu?: string | undefined;
    }
);

/** Of three kinds of process, all read the same. */
export interface PairConfig {
  readonly pair: string;
  readonly keys: string;
  readonly edge: {
    readonly address: string;
    readonly port: number;
    readonly directory: string;
    readonly capture?: string | undefined;
    readonly forwards: readonly { readonly address: string; readonly port: number; readonly machinePort: number }[];
  };
  readonly etcd?: { readonly endpoints: readonly string[] } | undefined;
  readonly machine: MachineConfig;
  readonly initial: string;
  readonly hosts: Readonly<
    Record<string, { readonly address: string; readonly port: number; readonly directory: string }>
  >;
  readonly timing: {
    readonly intervalMs: number;
    readonly heartbeatMs: number;
    readonly leaderTimeoutMs: number;
    readonly standbyTimeoutMs: number;
    readonly coldStartAfterMs?: number | undefined;
  };
}

export interface LoadedConfig {
  readonly config: PairConfig;
  /** Files of the configuration, from where it lies. */
  readonly resolve: (path: string) => string;
}

/** @throws UsageError that says what is wrong with it, and where */
export function loadConfig(path: string): LoadedConfig {
  let document: unknown;
  try {
    document = parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new UsageError(`${path}: ${(error as Error).message.split("\n")[0]}`);
  }
  const result = schema.safeParse(document);
  if (!result.success) {
    const problems = result.error.issues.map((issue) => `${issue.path.join(".") || "it"}: ${issue.message}`);
    throw new UsageError(`${path}: ${problems.join("; ")}`);
  }
  const config = result.data;
  if (config.hosts[config.initial] === undefined) {
    throw new UsageError(`${path}: initial: there is no host ${config.initial}`);
  }
  if (Object.keys(config.hosts).length < 2) throw new UsageError(`${path}: hosts: a pair has two, or more`);
  return { config, resolve: (file) => (isAbsolute(file) ? file : join(dirname(path), file)) };
}
