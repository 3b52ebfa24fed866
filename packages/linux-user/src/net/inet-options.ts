/** Options of the IP, IPv6 and TCP levels that are kept and given back, because nothing here depends on them. */
import { EINVAL, ENOPROTOOPT } from "../kernel/errno.ts";
import type { Failure } from "../vfs/constants.ts";

const SOL_IP = 0;
const SOL_TCP = 6;
const SOL_UDP = 17;
const SOL_IPV6 = 41;
const SOL_UDPLITE = 136;

/** Option numbers of a level with the value that Linux starts with (ip(7), ipv6(7), tcp(7)). */
const DEFAULTS: Readonly<Record<number, Readonly<Record<number, number>>>> = {
  [SOL_IP]: { 1: 0, 2: 64, 6: 0, 8: 0, 10: 1, 11: 0, 12: 0, 13: 0, 15: 0, 19: 0, 24: 0, 32: 0, 33: 1, 34: 1, 49: 1 },
  [SOL_TCP]: { 1: 0, 2: 536, 3: 0, 4: 7200, 5: 75, 6: 9, 7: 6, 8: 60, 9: 0, 10: 0, 12: 1, 18: 0, 23: 0, 25: 0, 36: 0 },
  [SOL_UDP]: { 1: 0, 100: 0, 103: 0, 104: 0 },
  [SOL_UDPLITE]: { 10: 0, 11: 0 },
  [SOL_IPV6]: {
    16: 64,
    17: 0,
    18: 1,
    19: 1,
    23: 1,
    25: 0,
    26: 0,
    49: 0,
    51: 0,
    66: 0,
    67: 0,
    70: 0,
    72: 0,
    75: 0,
    78: 0,
  },
};

const TCP_INFO = 11;
const TCP_CONGESTION = 13;
const TCP_INFO_BYTES = 104;
const IPV6_V6ONLY = 26;

function integer(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value, true);
  return bytes;
}

export function inetOption(
  stored: ReadonlyMap<string, Uint8Array>,
  level: number,
  name: number,
  ipv6Only: boolean,
): Uint8Array | Failure {
  if (level === SOL_TCP && name === TCP_INFO) return Uint8Array.of(1, ...new Uint8Array(TCP_INFO_BYTES - 1));
  if (level === SOL_TCP && name === TCP_CONGESTION) return new TextEncoder().encode("cubic\0");
  if (level === SOL_IPV6 && name === IPV6_V6ONLY) return integer(ipv6Only ? 1 : 0);
  const value = stored.get(`${level}:${name}`);
  if (value !== undefined) return value;
  const initial = DEFAULTS[level]?.[name];
  return initial === undefined ? -ENOPROTOOPT : integer(initial);
}

export function setInetOption(stored: Map<string, Uint8Array>, level: number, name: number, value: Uint8Array): number {
  if (level === SOL_TCP && name === TCP_CONGESTION) return 0;
  if (DEFAULTS[level]?.[name] === undefined) return -ENOPROTOOPT;
  if (value.length === 0) return -EINVAL;
  // Byte-sized values are taken as Linux takes them (IP_TTL, IP_MULTICAST_LOOP).
  const padded = new Uint8Array(4);
  padded.set(value.subarray(0, 4));
  stored.set(`${level}:${name}`, padded);
  return 0;
}
