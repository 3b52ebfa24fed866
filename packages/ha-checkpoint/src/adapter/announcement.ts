// A machine that goes on elsewhere says where it is, so that switches on the way learn it, and whoever waits for it knows:
// a reverse ARP request (RFC 903) that asks for its own address, as live migration is announced by others too. Nobody
// answers it, and no guest needs to have an address for it.
import { macBytes } from "./mac.ts";
import type { MacAddress } from "./mac.ts";

const REVERSE_ARP = 0x8035;
const REQUEST_REVERSE = 3;
/** The shortest frame on an Ethernet, without its check sequence. */
const FRAME_BYTES = 60;

export function announcement(mac: MacAddress): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(FRAME_BYTES);
  const view = new DataView(frame.buffer);
  const address = Uint8Array.from(mac.split(":"), (part) => Number.parseInt(part, 16));
  frame.fill(0xff, 0, macBytes);
  frame.set(address, macBytes);
  view.setUint16(12, REVERSE_ARP);
  // Ethernet, IPv4, and the lengths of their addresses.
  view.setUint16(14, 1);
  view.setUint16(16, 0x0800);
  frame.set([macBytes, 4], 18);
  view.setUint16(20, REQUEST_REVERSE);
  frame.set(address, 22);
  frame.set(address, 32);
  return frame;
}
