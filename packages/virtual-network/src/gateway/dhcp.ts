/** A DHCP server (RFC 2131, options of RFC 2132): gives out addresses, and says where gateway and name server are. */
import {
  addressAt,
  ANY_ADDRESS,
  BROADCAST_ADDRESS,
  type IPv4Address,
  type MacAddress,
  macAt,
  writeAddress,
  writeMac,
} from "../ethernet/addresses.ts";
import { broadcastAddress, isInside, netmask, type NetworkPlan } from "./network-plan.ts";

export const DHCP_SERVER_PORT = 67;
export const DHCP_CLIENT_PORT = 68;

const HEADER_BYTES = 236;
const MAGIC = 0x6382_5363;
const OPERATION_REQUEST = 1;
const OPERATION_REPLY = 2;
const HARDWARE_ETHERNET = 1;
const FLAG_BROADCAST = 0x8000;
/** Some clients take nothing shorter: the minimum of BOOTP (RFC 1542, 2.1). */
const MINIMUM_BYTES = 300;
const LEASE_SECONDS = 86_400;
/** How long an address stays set aside for a client that was offered it. */
const OFFER_SECONDS = 60;

export const DhcpType = {
  discover: 1,
  offer: 2,
  request: 3,
  decline: 4,
  ack: 5,
  nak: 6,
  release: 7,
  inform: 8,
} as const;

const Option = {
  pad: 0,
  subnetMask: 1,
  router: 3,
  nameServers: 6,
  mtu: 26,
  broadcastAddress: 28,
  requestedAddress: 50,
  leaseTime: 51,
  messageType: 53,
  serverIdentifier: 54,
  renewalTime: 58,
  rebindingTime: 59,
  clientIdentifier: 61,
  end: 255,
} as const;

export interface DhcpMessage {
  readonly type: number;
  readonly transaction: number;
  readonly broadcast: boolean;
  readonly clientAddress: IPv4Address;
  readonly clientMac: MacAddress;
  readonly requestedAddress: IPv4Address | undefined;
  readonly server: IPv4Address | undefined;
  /** What the client wants to be known by, as hexadecimal digits: its identifier, else its MAC address. */
  readonly identity: string;
}

/** Undefined for what no client of Ethernet sends. */
export function parseDhcp(bytes: Uint8Array): DhcpMessage | undefined {
  if (bytes.length < HEADER_BYTES + 4) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes[0] !== OPERATION_REQUEST || bytes[1] !== HARDWARE_ETHERNET || bytes[2] !== 6) return undefined;
  if (view.getUint32(HEADER_BYTES) !== MAGIC) return undefined;
  const options = parseOptions(bytes.subarray(HEADER_BYTES + 4));
  const type = options?.get(Option.messageType);
  if (options === undefined || type?.length !== 1) return undefined;
  const addressOption = (code: number): IPv4Address | undefined => {
    const value = options.get(code);
    return value?.length === 4 ? addressAt(value, 0) : undefined;
  };
  const identifier = options.get(Option.clientIdentifier) ?? bytes.subarray(28, 34);
  return {
    type: type[0],
    transaction: view.getUint32(4),
    broadcast: (view.getUint16(10) & FLAG_BROADCAST) !== 0,
    clientAddress: addressAt(bytes, 12),
    clientMac: macAt(bytes, 28),
    requestedAddress: addressOption(Option.requestedAddress),
    server: addressOption(Option.serverIdentifier),
    identity: Array.from(identifier, (byte) => byte.toString(16).padStart(2, "0")).join(""),
  };
}

function parseOptions(bytes: Uint8Array): Map<number, Uint8Array> | undefined {
  const options = new Map<number, Uint8Array>();
  for (let offset = 0; offset < bytes.length;) {
    const code = bytes[offset++];
    if (code === Option.pad) continue;
    if (code === Option.end) break;
    const length = bytes[offset++] ?? 0;
    if (offset + length > bytes.length) return undefined;
    options.set(code, bytes.subarray(offset, offset + length));
    offset += length;
  }
  return options;
}

export interface DhcpReply {
  readonly bytes: Uint8Array;
  readonly destination: IPv4Address;
  /** Where to, when that is not to be asked for: the client has no address yet. */
  readonly mac: MacAddress | undefined;
}

interface Lease {
  readonly identity: string;
  readonly mac: MacAddress;
  readonly untilMs: number;
}

export class DhcpServer {
  readonly #plan: NetworkPlan;
  readonly #now: () => number;
  readonly #leases = new Map<IPv4Address, Lease>();

  /** @param now milliseconds */
  constructor(plan: NetworkPlan, now: () => number) {
    this.#plan = plan;
    this.#now = now;
  }

  /** Addresses in use. */
  leases(): { readonly address: IPv4Address; readonly mac: MacAddress }[] {
    return [...this.#leases]
      .filter(([, { untilMs }]) => untilMs > this.#now())
      .map(([address, { mac }]) => ({ address, mac }));
  }

  /** What to answer, if anything. */
  receive(message: DhcpMessage): DhcpReply | undefined {
    const { type, server } = message;
    if (server !== undefined && server !== this.#plan.gateway) {
      // The client took another server's offer.
      this.#forget(message.identity);
      return undefined;
    }
    if (type === DhcpType.discover) return this.#offer(message);
    if (type === DhcpType.request) return this.#request(message);
    if (type === DhcpType.inform) return this.#reply(message, DhcpType.ack, ANY_ADDRESS, false);
    if (type === DhcpType.release) this.#forget(message.identity);
    if (type === DhcpType.decline && message.requestedAddress !== undefined) {
      // Somebody else has it: nobody gets it for a while.
      this.#lease(message.requestedAddress, { ...message, identity: "" }, LEASE_SECONDS);
    }
    return undefined;
  }

  #offer(message: DhcpMessage): DhcpReply | undefined {
    const address = this.#choose(message);
    if (address === undefined) return undefined;
    this.#lease(address, message, OFFER_SECONDS);
    return this.#reply(message, DhcpType.offer, address, true);
  }

  #request(message: DhcpMessage): DhcpReply | undefined {
    const wanted = message.requestedAddress ?? message.clientAddress;
    if (!this.#isFreeFor(wanted, message.identity)) return this.#reply(message, DhcpType.nak, ANY_ADDRESS, false);
    for (const [address, { identity }] of this.#leases) {
      if (identity === message.identity && address !== wanted) this.#leases.delete(address);
    }
    this.#lease(wanted, message, LEASE_SECONDS);
    return this.#reply(message, DhcpType.ack, wanted, true);
  }

  /** What the client has, what it would like, or the first that is free. */
  #choose({ identity, requestedAddress }: DhcpMessage): IPv4Address | undefined {
    for (const [address, lease] of this.#leases) if (lease.identity === identity) return address;
    if (requestedAddress !== undefined && this.#isFreeFor(requestedAddress, identity)) return requestedAddress;
    const last = broadcastAddress(this.#plan);
    for (let address = this.#plan.firstLease; address < last; address++) {
      if (this.#isFreeFor(address, identity)) return address;
    }
    return undefined;
  }

  #isFreeFor(address: IPv4Address, identity: string): boolean {
    const { firstLease } = this.#plan;
    if (!isInside(this.#plan, address) || address < firstLease || address >= broadcastAddress(this.#plan)) return false;
    const lease = this.#leases.get(address);
    return lease === undefined || lease.identity === identity || lease.untilMs <= this.#now();
  }

  #lease(address: IPv4Address, { identity, clientMac: mac }: DhcpMessage, seconds: number): void {
    if (!isInside(this.#plan, address)) return;
    this.#leases.set(address, { identity, mac, untilMs: this.#now() + seconds * 1000 });
  }

  #forget(client: string): void {
    for (const [address, { identity }] of this.#leases) if (identity === client) this.#leases.delete(address);
  }

  #reply(message: DhcpMessage, type: number, address: IPv4Address, withLease: boolean): DhcpReply {
    const { gateway, nameServer, mtu } = this.#plan;
    const { clientAddress, clientMac, broadcast, transaction } = message;
    const refused = type === DhcpType.nak;
    const options: [code: number, value: number, bytes: 1 | 2 | 4][] = [
      [Option.messageType, type, 1],
      [Option.serverIdentifier, gateway, 4],
    ];
    if (withLease) {
      options.push(
        [Option.leaseTime, LEASE_SECONDS, 4],
        [Option.renewalTime, LEASE_SECONDS / 2, 4],
        [Option.rebindingTime, (LEASE_SECONDS / 8) * 7, 4],
      );
    }
    if (!refused) {
      options.push(
        [Option.subnetMask, netmask(this.#plan), 4],
        [Option.router, gateway, 4],
        [Option.nameServers, nameServer, 4],
        [Option.broadcastAddress, broadcastAddress(this.#plan), 4],
        [Option.mtu, mtu, 2],
      );
    }
    const bytes = new Uint8Array(MINIMUM_BYTES);
    const view = new DataView(bytes.buffer);
    bytes.set([OPERATION_REPLY, HARDWARE_ETHERNET, 6, 0]);
    view.setUint32(4, transaction);
    view.setUint16(10, broadcast ? FLAG_BROADCAST : 0);
    writeAddress(bytes, 12, refused ? ANY_ADDRESS : clientAddress);
    writeAddress(bytes, 16, address);
    writeAddress(bytes, 20, gateway);
    writeMac(bytes, 28, clientMac);
    view.setUint32(HEADER_BYTES, MAGIC);
    let offset = HEADER_BYTES + 4;
    for (const [code, value, count] of options) {
      bytes[offset++] = code;
      bytes[offset++] = count;
      if (count === 4) writeAddress(bytes, offset, value as IPv4Address);
      else if (count === 2) view.setUint16(offset, value);
      else bytes[offset] = value;
      offset += count;
    }
    bytes[offset] = Option.end;
    // RFC 2131, 4.1: to its address if it has one, else to everybody if it asks for that or is refused.
    if (clientAddress !== 0 && !refused) return { bytes, destination: clientAddress, mac: undefined };
    if (broadcast || refused) return { bytes, destination: BROADCAST_ADDRESS, mac: undefined };
    return { bytes, destination: address, mac: clientMac };
  }
}
