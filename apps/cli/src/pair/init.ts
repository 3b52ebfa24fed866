// `doppel pair init`: a configuration to start from, and the keys.
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { UsageError } from "../usage-error.ts";
import { makeKeys } from "./keys.ts";

export interface InitOptions {
  readonly pair: string;
  readonly folder: string;
  /** First of four ports on this machine: edge, hosts, service. */
  readonly port: number;
  /** What `machine:` says; this command line's own guest if not given. */
  readonly machine?: Readonly<Record<string, unknown>> | undefined;
  /** Where the machine's service listens. */
  readonly machinePort?: number | undefined;
}

/** Writes pair.yaml and keys/ into a folder; returns the file and the keys made. */
export function initPair({ pair, folder, port, machine, machinePort = 7000 }: InitOptions): {
  readonly path: string;
  readonly keys: readonly string[];
} {
  const path = join(folder, "pair.yaml");
  if (existsSync(path)) throw new UsageError(`${path} is there already`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(path, template(pair, port, machine === undefined ? ownMachine : described(machine), machinePort), {
    flag: "wx",
  });
  return { path, keys: makeKeys(join(folder, "keys"), ["a", "b"]) };
}

const described = (machine: Readonly<Record<string, unknown>>): string =>
  `machine:\n${stringify(machine).trimEnd().replaceAll(/^/gm, "  ")}`;

const ownMachine = `machine:
  # A key-value service that comes with this command line: SET KEY VALUE, GET KEY, INCR KEY. Any other machine:
  # kind: vm
  # kernel: vmlinuz
  # initrd: initrd.img
  # append: console=ttyS0 root=/dev/vda rw
  # memoryMiB: 512
  # disk: { image: root.img }
  kind: own`;

const template = (
  pair: string,
  port: number,
  machine: string,
  machinePort: number,
): string => `# A machine on two hosts, and the edge where its clients connect. The same file goes to all three; a host needs only the
# keys with its own name in them. For three computers, replace the addresses.
pair: ${pair}
keys: keys
edge:
  address: 127.0.0.1
  port: ${port}
  directory: edge
  forwards:
    # Connections to this port are the machine's, and outlive the host it runs on.
    - { address: 127.0.0.1, port: ${port + 3}, machinePort: ${machinePort} }
# An etcd cluster decides who leads, in the place of the edge:
# etcd: { endpoints: ["http://127.0.0.1:2379"] }
${machine}
initial: a
hosts:
  a: { address: 127.0.0.1, port: ${port + 1}, directory: a }
  b: { address: 127.0.0.1, port: ${port + 2}, directory: b }
timing:
  intervalMs: 50
`;
