/** What `--net` of `doppel vm` says. */
import { type GatewayNetwork, parseNetworkPlan, type PortForward } from "@doppel/emulator/node";
import { UsageError } from "../usage-error.ts";
import { parseSettings } from "./settings.ts";

export interface NetworkOption {
  /** A network of the machine's own with a gateway, or the address of a switch. */
  readonly to: GatewayNetwork | { readonly address: string };
  /** Six bytes; undefined for one that is made up. */
  readonly mac: Uint8Array | undefined;
}

const ofGateways = ["forward", "host", "network", "listen"];

/**
 * Reads `user[,forward=[tcp:|udp:][ADDRESS:]PORT:PORT]…[,host=on][,network=A.B.C.D/N][,listen=ADDRESS][,mac=MAC]` or
 * `switch=ADDRESS[,mac=MAC]`.
 */
export function parseNetworkOption(text: string): NetworkOption {
  const { value, settings } = parseSettings("--net", text, [...ofGateways, "mac"]);
  const all = (wanted: string): string[] => settings.filter(([name]) => name === wanted).map(([, each]) => each);
  const mac = all("mac").map(parseMac).at(-1);
  const address = /^switch=(.+)$/s.exec(value)?.[1];
  if (address !== undefined) {
    const name = ofGateways.find((each) => all(each).length > 0);
    if (name !== undefined)
      throw new UsageError(`vm: --net: ${name}= belongs to a gateway, and a switch has none; user does`);
    return { to: { address }, mac };
  }
  if (value !== "user") throw new UsageError(`vm: --net is user or switch=ADDRESS, not ${value}`);
  const host = all("host").at(-1) ?? "off";
  if (host !== "on" && host !== "off") throw new UsageError(`vm: --net: host is on or off, not ${host}`);
  const network = all("network").at(-1);
  const plan = network === undefined ? undefined : parseNetworkPlan(network);
  if (network !== undefined && plan === undefined) {
    throw new UsageError(`vm: --net: network=${network} is no network of 32 addresses or more, such as 10.0.2.0/24`);
  }
  const listen = all("listen").at(-1);
  const to: GatewayNetwork = {
    forwards: all("forward").map(parseForward),
    reachesHost: host === "on",
    ...(plan === undefined ? {} : { plan }),
    ...(listen === undefined ? {} : { listen }),
  };
  return { to, mac };
}

function parseForward(text: string): PortForward {
  const match = /^(?:(tcp|udp):)?(?:\[([^\]]+)\]:|([^:]+):)?(\d{1,5}):(\d{1,5})$/.exec(text);
  const [, protocol = "tcp", ipv6, address = "127.0.0.1", hostPort, guestPort] = match ?? [];
  if (match === null || Number(hostPort) > 65_535 || Number(guestPort) > 65_535 || Number(guestPort) === 0) {
    throw new UsageError(`vm: --net: forward=${text}: write [tcp:|udp:][ADDRESS:]HOST-PORT:GUEST-PORT`);
  }
  const host = { address: ipv6 ?? address, port: Number(hostPort) };
  return { protocol: protocol as "tcp" | "udp", host, guestPort: Number(guestPort) };
}

function parseMac(text: string): Uint8Array {
  const bytes = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)
    ? Uint8Array.from(text.split(":"), (byte) => Number.parseInt(byte, 16))
    : undefined;
  // A group address is nobody's own.
  if (bytes === undefined || (bytes[0] & 1) !== 0) {
    throw new UsageError(`vm: --net: mac=${text} is no address of a card, such as 52:54:00:12:34:56`);
  }
  return bytes;
}
