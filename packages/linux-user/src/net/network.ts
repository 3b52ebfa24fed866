/** What one kernel has of sockets: the host's network, the names of unix sockets, and how sockets are made. */
import { EAFNOSUPPORT, EPERM, EPROTONOSUPPORT, ESOCKTNOSUPPORT } from "../kernel/errno.ts";
import type { Failure } from "../vfs/constants.ts";
import { AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_UNIX } from "./address.ts";
import type { HostNetwork } from "./host-network.ts";
import { LoopbackNetwork } from "./loopback.ts";
import { NetlinkSocket } from "./netlink.ts";
import { SOCK_DGRAM, SOCK_RAW, SOCK_STREAM, type Socket } from "./socket.ts";
import { TcpSocket } from "./tcp.ts";
import { UdpSocket, type DatagramTable } from "./udp.ts";
import { UnixNames } from "./unix-names.ts";
import { isUnixType, UnixSocket } from "./unix.ts";

const IPPROTO_TCP = 6;
const IPPROTO_UDP = 17;
const IPPROTO_UDPLITE = 136;
const NETLINK_ROUTE = 0;

export class GuestNetwork {
  readonly host: HostNetwork;
  readonly names: UnixNames;
  readonly #datagrams: DatagramTable = new Set();
  /** UDP-Lite, which Node cannot speak: guests reach each other. */
  readonly #lite: HostNetwork = new LoopbackNetwork((callback) => void setTimeout(callback, 0));
  readonly #liteDatagrams: DatagramTable = new Set();

  constructor(host: HostNetwork) {
    this.host = host;
    this.names = new UnixNames(host, (listener, connection) => {
      const socket = TcpSocket.connected(AF_UNIX, connection, host);
      if (!listener.enqueueConnection(socket)) socket.release();
    });
  }

  /** socket(2); `flags` is O_NONBLOCK or 0. */
  create(family: number, type: number, protocol: number, flags: number): Socket | Failure {
    switch (family) {
      case AF_UNIX: {
        // SOCK_RAW means a datagram socket here (unix(7)).
        const kind = type === SOCK_RAW ? SOCK_DGRAM : type;
        return isUnixType(kind) ? new UnixSocket(kind, flags, this.names) : -ESOCKTNOSUPPORT;
      }
      case AF_INET:
      case AF_INET6:
        return this.#inet(family, type, protocol, flags);
      case AF_NETLINK:
        return protocol === NETLINK_ROUTE ? new NetlinkSocket(type, protocol, flags, this.host) : -EPROTONOSUPPORT;
      case AF_PACKET:
        return -EPERM;
      default:
        return -EAFNOSUPPORT;
    }
  }

  #inet(family: number, type: number, protocol: number, flags: number): Socket | Failure {
    if (type === SOCK_STREAM) {
      return protocol === 0 || protocol === IPPROTO_TCP
        ? new TcpSocket(family, IPPROTO_TCP, flags, this.host)
        : -EPROTONOSUPPORT;
    }
    if (type === SOCK_DGRAM) {
      if (protocol === 0 || protocol === IPPROTO_UDP)
        return new UdpSocket(family, IPPROTO_UDP, flags, this.host, this.#datagrams);
      if (protocol === IPPROTO_UDPLITE) return new UdpSocket(family, protocol, flags, this.#lite, this.#liteDatagrams);
      // Ping sockets need net.ipv4.ping_group_range, which is closed by default.
      return protocol === 1 || protocol === 58 ? -EPERM : -EPROTONOSUPPORT;
    }
    return type === SOCK_RAW ? -EPERM : -ESOCKTNOSUPPORT;
  }

  /** socketpair(2). */
  pair(type: number, flags: number): [UnixSocket, UnixSocket] | Failure {
    if (!isUnixType(type)) return -ESOCKTNOSUPPORT;
    const one = new UnixSocket(type, flags, this.names);
    const other = new UnixSocket(type, flags, this.names);
    UnixSocket.join(one, other);
    return [one, other];
  }
}
