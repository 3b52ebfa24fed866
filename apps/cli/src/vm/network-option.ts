/** What `--net` of `doppel vm` says. */
import type { PortForward } from "@doppel/emulator/node";
import { UsageError } from "../usage-error.ts";
import { parseSettings } from "./settings.ts";

export interface NetworkOption {
  /** A gateway for this machine alone, or the address of a switch. */
  readonly to: { readonly forwards: readonly PortForward[] } | { readonly address: string };
  /** Six bytes; undefined for one that is made up. */
  readonly mac: Uint8Array | undefined;
}

/** Reads `user[,forward=[tcp:|udp:][ADDRESS:]PORT:PORT]…[,mac=MAC]` or `switch=ADDRESS[,mac=MAC]`. */
export function parseNetworkOption(text: string): NetworkOption {
  const { value, settings } = parseSettings("--net", text, ["forward", "mac"]);
  const macs = settings.filter(([name]) => name === "mac").map(([, mac]) => parseMac(mac));
  const forwards = settings.filter(([name]) => name === "forward").map(([, forward]) => parseForward(forward));
  const address = /^switch=(.+)$/s.exec(value)?.[1];
  if (address === undefined && value !== "user") {
    throw new UsageError(`vm: --net is user or switch=ADDRESS, not ${value}`);
  }
  if (address !== undefined && forwards.length > 0) {
    throw new UsageError("vm: --net: a switch forwards no ports of the host; user does");
  }
  return { to: address === undefined ? { forwards } : { address }, mac: macs.at(-1) };
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
