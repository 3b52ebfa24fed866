/**
 * Ancillary data of datagrams: what a sender sets for one message (hop limit, traffic class) and what a receiver has
 * asked to see (ip(7), ipv6(7), RFC 3542). It travels exactly between guests; of datagrams from outside, Node does not
 * say it, and they get the usual values.
 */
import { EINVAL } from "../kernel/errno.ts";
import type { Failure } from "../vfs/constants.ts";
import { parseV4, parseV6 } from "./address.ts";
import type { Endpoint } from "./host-network.ts";
import type { ControlMessage } from "./socket.ts";

const SOL_IP = 0;
const SOL_IPV6 = 41;
const IP_TOS = 1;
const IP_TTL = 2;
const IP_PKTINFO = 8;
const IP_RECVTTL = 12;
const IP_RECVTOS = 13;
const IPV6_UNICAST_HOPS = 16;
const IPV6_RECVPKTINFO = 49;
const IPV6_PKTINFO = 50;
const IPV6_RECVHOPLIMIT = 51;
const IPV6_HOPLIMIT = 52;
const IPV6_RECVTCLASS = 66;
const IPV6_TCLASS = 67;
const DEFAULT_HOPS = 64;

export interface PacketFields {
  readonly hopLimit: number;
  readonly trafficClass: number;
}

/** The value of an option, 0 when it was never set. */
export type OptionReader = (level: number, name: number) => number;

function integer(value: number): Uint8Array {
  return new Uint8Array(Int32Array.of(value).buffer);
}

function readInteger(data: Uint8Array): number | undefined {
  return data.length < 4 ? undefined : new DataView(data.buffer, data.byteOffset).getInt32(0, true);
}

/** What a datagram carries: by the socket's options, and by the message's own control data. */
export function packetFields(
  family: 4 | 6,
  option: OptionReader,
  messages: readonly ControlMessage[],
): PacketFields | Failure {
  const own = family === 4 ? SOL_IP : SOL_IPV6;
  const hops = option(own, family === 4 ? IP_TTL : IPV6_UNICAST_HOPS);
  let hopLimit = hops > 0 ? hops : DEFAULT_HOPS;
  let trafficClass = option(own, family === 4 ? IP_TOS : IPV6_TCLASS);
  for (const { level, type, data } of messages) {
    if (level !== own) continue;
    const value = readInteger(data);
    const isHops = type === (family === 4 ? IP_TTL : IPV6_HOPLIMIT);
    const isClass = type === (family === 4 ? IP_TOS : IPV6_TCLASS);
    if (!isHops && !isClass) continue;
    if (value === undefined || value < -1 || value > 255) return -EINVAL;
    if (isHops && value >= 0) hopLimit = value;
    if (isClass && value >= 0) trafficClass = value;
  }
  return { hopLimit, trafficClass };
}

/** The control messages that a receiver asked for. `local` is where it came to. */
export function receivedControl(
  family: 4 | 6,
  option: OptionReader,
  fields: PacketFields,
  local: Endpoint,
): ControlMessage[] {
  return family === 4 ? control4(option, fields, local) : control6(option, fields, local);
}

function control4(option: OptionReader, fields: PacketFields, local: Endpoint): ControlMessage[] {
  const result: ControlMessage[] = [];
  if (option(SOL_IP, IP_PKTINFO) !== 0) {
    const data = new Uint8Array(12);
    data[0] = 1;
    data.set(parseV4(local.address), 4);
    data.set(parseV4(local.address), 8);
    result.push({ level: SOL_IP, type: IP_PKTINFO, data });
  }
  if (option(SOL_IP, IP_RECVTTL) !== 0) result.push({ level: SOL_IP, type: IP_TTL, data: integer(fields.hopLimit) });
  if (option(SOL_IP, IP_RECVTOS) !== 0)
    result.push({ level: SOL_IP, type: IP_TOS, data: Uint8Array.of(fields.trafficClass) });
  return result;
}

function control6(option: OptionReader, fields: PacketFields, local: Endpoint): ControlMessage[] {
  const result: ControlMessage[] = [];
  if (option(SOL_IPV6, IPV6_RECVPKTINFO) !== 0) {
    const data = new Uint8Array(20);
    data.set(parseV6(local.address));
    data[16] = 1;
    result.push({ level: SOL_IPV6, type: IPV6_PKTINFO, data });
  }
  if (option(SOL_IPV6, IPV6_RECVHOPLIMIT) !== 0) {
    result.push({ level: SOL_IPV6, type: IPV6_HOPLIMIT, data: integer(fields.hopLimit) });
  }
  if (option(SOL_IPV6, IPV6_RECVTCLASS) !== 0) {
    result.push({ level: SOL_IPV6, type: IPV6_TCLASS, data: integer(fields.trafficClass) });
  }
  return result;
}
