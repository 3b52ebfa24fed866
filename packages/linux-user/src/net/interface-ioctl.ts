/** The ioctls that ask about network interfaces (netdevice(7)): if_nametoindex(3), ifconfig(8). */
import { EADDRNOTAVAIL, ENODEV, ENOTTY } from "../kernel/errno.ts";
import type { Task } from "../kernel/task.ts";
import { fromBytes } from "../vfs/byte-string.ts";
import { guestOf } from "../vfs/handler-tools.ts";
import { encodeAddress, inet } from "./address.ts";
import type { NetworkInterface } from "./host-network.ts";

const SIOCGIFNAME = 0x8910;
const SIOCGIFCONF = 0x8912;
const SIOCGIFFLAGS = 0x8913;
const SIOCGIFADDR = 0x8915;
const SIOCGIFBRDADDR = 0x8919;
const SIOCGIFNETMASK = 0x891b;
const SIOCGIFMETRIC = 0x891d;
const SIOCGIFMTU = 0x8921;
const SIOCGIFHWADDR = 0x8927;
const SIOCGIFINDEX = 0x8933;
const SIOCGIFTXQLEN = 0x8942;

const NAME_BYTES = 16;
const ARPHRD_ETHER = 1;
const ARPHRD_LOOPBACK = 772;
const IFF_UP_RUNNING = 0x41;
const IFF_LOOPBACK = 8;
const IFF_BROADCAST_MULTICAST = 0x1002;

export function isInterfaceRequest(request: number): boolean {
  return request >= SIOCGIFNAME && request <= SIOCGIFTXQLEN;
}

function nameBytes(name: string): Uint8Array {
  const bytes = new Uint8Array(NAME_BYTES);
  bytes.set(new TextEncoder().encode(name).subarray(0, NAME_BYTES - 1));
  return bytes;
}

/** struct ifreq: a name of 16 bytes, then a union. */
export function interfaceIoctl(task: Task, request: number, at: number): number {
  const { memory } = task;
  const interfaces = guestOf(task).network.host.interfaces();
  if (request === SIOCGIFCONF) return listInterfaces(task, interfaces, at);
  if (request === SIOCGIFNAME) {
    const found = interfaces.find((one) => one.index === memory.readI32(at + NAME_BYTES));
    if (found === undefined) return -ENODEV;
    memory.writeBytes(at, nameBytes(found.name));
    return 0;
  }
  const field = memory.readBytes(at, NAME_BYTES);
  const end = field.indexOf(0);
  const name = fromBytes(end < 0 ? field : field.subarray(0, end));
  const found = interfaces.find((one) => one.name === name);
  if (found === undefined) return -ENODEV;
  return answer(task, request, found, at + NAME_BYTES);
}

function answer(task: Task, request: number, found: NetworkInterface, at: number): number {
  const { memory } = task;
  const v4 = found.addresses.find((address) => address.family === 4);
  switch (request) {
    case SIOCGIFINDEX:
      memory.writeU32(at, found.index);
      return 0;
    case SIOCGIFFLAGS:
      memory.writeU16(at, IFF_UP_RUNNING | (found.loopback ? IFF_LOOPBACK : IFF_BROADCAST_MULTICAST));
      return 0;
    case SIOCGIFMTU:
      memory.writeU32(at, found.loopback ? 65536 : 1500);
      return 0;
    case SIOCGIFMETRIC:
      memory.writeU32(at, 0);
      return 0;
    case SIOCGIFTXQLEN:
      memory.writeU32(at, 1000);
      return 0;
    case SIOCGIFHWADDR: {
      memory.writeU16(at, found.loopback ? ARPHRD_LOOPBACK : ARPHRD_ETHER);
      memory.writeBytes(
        at + 2,
        Uint8Array.from(found.hardwareAddress.split(":").map((part) => Number.parseInt(part, 16))),
      );
      return 0;
    }
    case SIOCGIFADDR:
    case SIOCGIFNETMASK:
    case SIOCGIFBRDADDR:
      if (v4 === undefined) return -EADDRNOTAVAIL;
      memory.writeBytes(at, encodeAddress(inet(4, addressFor(request, v4.address, v4.prefixLength), 0)));
      return 0;
    default:
      return -ENOTTY;
  }
}

function addressFor(request: number, address: string, prefixLength: number): string {
  if (request === SIOCGIFADDR) return address;
  const mask = prefixLength === 0 ? 0 : (0xffffffff << (32 - prefixLength)) >>> 0;
  const value = address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
  const result = request === SIOCGIFNETMASK ? mask : ((value & mask) | ~mask) >>> 0;
  return [24, 16, 8, 0].map((shift) => (result >>> shift) & 255).join(".");
}

/** struct ifconf: length and a pointer to struct ifreq[]; only interfaces with an IPv4 address are listed. */
function listInterfaces(task: Task, interfaces: readonly NetworkInterface[], at: number): number {
  const { memory } = task;
  const wordBytes = task.process.abi === "i386" ? 4 : 8;
  const entryBytes = wordBytes === 8 ? 40 : 32;
  const room = memory.readI32(at);
  const buffer = memory.readWord(at + wordBytes, wordBytes);
  const entries = interfaces.flatMap(({ name, addresses }) =>
    addresses.filter((address) => address.family === 4).map(({ address }) => ({ name, address })),
  );
  if (buffer === 0) {
    memory.writeU32(at, entries.length * entryBytes);
    return 0;
  }
  const fitting = entries.slice(0, Math.floor(room / entryBytes));
  for (const [index, { name, address }] of fitting.entries()) {
    memory.writeBytes(buffer + index * entryBytes, nameBytes(name));
    memory.writeBytes(buffer + index * entryBytes + NAME_BYTES, encodeAddress(inet(4, address, 0)));
  }
  memory.writeU32(at, fitting.length * entryBytes);
  return 0;
}
