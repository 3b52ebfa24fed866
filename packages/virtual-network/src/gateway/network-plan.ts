/** The addresses of a gateway's network, and where those that stand for something else lead. */
import {
  BROADCAST_ADDRESS,
  formatAddress,
  type IPv4Address,
  type MacAddress,
  parseAddress,
} from "../ethernet/addresses.ts";
import { ETHERNET_MTU } from "../ethernet/frame.ts";
import type { HostEndpoint, HostNetwork } from "./host-network.ts";

export interface NetworkPlan {
  readonly network: IPv4Address;
  readonly prefixLength: number;
  readonly gateway: IPv4Address;
  readonly nameServer: IPv4Address;
  /** Leases are given from here up to the last address before the broadcast address. */
  readonly firstLease: IPv4Address;
  readonly gatewayMac: MacAddress;
  readonly mtu: number;
}

const literal = (text: string): IPv4Address => parseAddress(text)!;

/** As QEMU's and VirtualBox's user networks have it, so that what people know holds here. */
export const DEFAULT_PLAN: NetworkPlan = {
  network: literal("10.0.2.0"),
  prefixLength: 24,
  gateway: literal("10.0.2.2"),
  nameServer: literal("10.0.2.3"),
  firstLease: literal("10.0.2.15"),
  gatewayMac: 0x5255_0a00_0202 as MacAddress,
  mtu: ETHERNET_MTU,
};

export function netmask({ prefixLength }: NetworkPlan): IPv4Address {
  return (prefixLength === 0 ? 0 : (0xffff_ffff << (32 - prefixLength)) >>> 0) as IPv4Address;
}

export function isInside(plan: NetworkPlan, address: IPv4Address): boolean {
  return (address & netmask(plan)) >>> 0 === plan.network;
}

export function broadcastAddress(plan: NetworkPlan): IPv4Address {
  return ((plan.network | ~netmask(plan)) >>> 0) as IPv4Address;
}

/** An address that belongs to the gateway itself. */
export function isOwn(plan: NetworkPlan, address: IPv4Address): boolean {
  return address === plan.gateway || address === plan.nameServer;
}

const DNS_PORT = 53;
const LOOPBACK = "127.0.0.1";

/**
 * Where on the host's network something for this address goes; undefined where the guest has no business.
 * @param reachesHost whether the gateway's address stands for the host's own loopback address
 * @param attempt which of the name servers, when it is about names
 */
export function destinationOf(
  plan: NetworkPlan,
  host: HostNetwork,
  address: IPv4Address,
  port: number,
  reachesHost: boolean,
  attempt: number,
): HostEndpoint | undefined {
  if (address === plan.nameServer) {
    const resolvers = host.resolvers();
    return port === DNS_PORT && resolvers.length > 0 ? resolvers[attempt % resolvers.length] : undefined;
  }
  if (address === plan.gateway) return reachesHost ? { address: LOOPBACK, port } : undefined;
  if (isInside(plan, address) || !isUnicast(address) || port === 0) return undefined;
  return { address: formatAddress(address), port };
}

/** Neither "this network", loopback, multicast, reserved nor broadcast (RFC 6890). */
function isUnicast(address: IPv4Address): boolean {
  const first = address >>> 24;
  return first !== 0 && first !== 127 && first < 224 && address !== BROADCAST_ADDRESS;
}

/** A plan's addresses as a person writes them: "10.0.2.0/24". Gateway, name server and leases lie at 2, 3 and 15. */
export function parseNetworkPlan(text: string): NetworkPlan | undefined {
  const [, addressText, prefixText] = /^([\d.]+)\/(\d{1,2})$/.exec(text) ?? [];
  const network = addressText === undefined ? undefined : parseAddress(addressText);
  const prefixLength = Number(prefixText);
  // 16 addresses at least, for the last of those offsets.
  if (network === undefined || prefixLength < 8 || prefixLength > 27) return undefined;
  const plan = { ...DEFAULT_PLAN, network, prefixLength };
  if ((network & netmask(plan)) >>> 0 !== network) return undefined;
  const at = (offset: number): IPv4Address => (network + offset) as IPv4Address;
  return { ...plan, gateway: at(2), nameServer: at(3), firstLease: at(15) };
}
