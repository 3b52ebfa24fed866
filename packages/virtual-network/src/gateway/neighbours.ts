/** Who has which address on the gateway's network: what ARP (RFC 826) and passing packets tell, and asks when they do not. */
import { BROADCAST_MAC, type IPv4Address, type MacAddress } from "../ethernet/addresses.ts";
import { ArpOperation, buildArp, type ArpPacket } from "../ethernet/arp.ts";
import { buildFrame, EtherType } from "../ethernet/frame.ts";
import type { NetworkClock } from "../clock.ts";
import { isOwn, type NetworkPlan } from "./network-plan.ts";

const RETRY_MS = 1000;
const TRIES = 3;
/** RFC 1122, 2.3.2.2: at least the latest packet is kept while its receiver's address is asked for. */
const WAITING_PACKETS = 4;
const MAXIMUM_PENDING = 64;
const MAXIMUM_KNOWN = 1024;

interface Pending {
  readonly packets: Uint8Array[];
  tries: number;
}

export class Neighbours {
  readonly #plan: NetworkPlan;
  readonly #clock: NetworkClock;
  readonly #send: (frame: Uint8Array) => void;
  readonly #known = new Map<IPv4Address, MacAddress>();
  readonly #pending = new Map<IPv4Address, Pending>();

  constructor(plan: NetworkPlan, clock: NetworkClock, send: (frame: Uint8Array) => void) {
    this.#plan = plan;
    this.#clock = clock;
    this.#send = send;
  }

  receive(arp: ArpPacket): void {
    if (isOwn(this.#plan, arp.senderAddress)) return;
    if (arp.senderAddress !== 0) this.learn(arp.senderAddress, arp.senderMac);
    if (arp.operation !== ArpOperation.request || !isOwn(this.#plan, arp.targetAddress)) return;
    const { gatewayMac } = this.#plan;
    const reply = buildArp({
      operation: ArpOperation.reply,
      senderMac: gatewayMac,
      senderAddress: arp.targetAddress,
      targetMac: arp.senderMac,
      targetAddress: arp.senderAddress,
    });
    this.#send(buildFrame({ destination: arp.senderMac, source: gatewayMac, type: EtherType.arp, payload: reply }));
  }

  learn(address: IPv4Address, mac: MacAddress): void {
    this.#known.delete(address);
    if (this.#known.size >= MAXIMUM_KNOWN) {
      const [oldest] = this.#known.keys();
      this.#known.delete(oldest);
    }
    this.#known.set(address, mac);
    const pending = this.#pending.get(address);
    if (pending === undefined) return;
    this.#pending.delete(address);
    for (const packet of pending.packets) this.#sendTo(mac, packet);
  }

  /** Sends an IPv4 packet, at once or when its receiver is known; if that takes too long, never. */
  send(address: IPv4Address, packet: Uint8Array): void {
    const mac = this.#known.get(address);
    if (mac !== undefined) {
      this.#sendTo(mac, packet);
      return;
    }
    const pending = this.#pending.get(address);
    if (pending !== undefined) {
      if (pending.packets.length >= WAITING_PACKETS) pending.packets.shift();
      pending.packets.push(packet);
    } else if (this.#pending.size < MAXIMUM_PENDING) {
      const fresh = { packets: [packet], tries: 0 };
      this.#pending.set(address, fresh);
      this.#ask(address, fresh);
    }
  }

  #ask(address: IPv4Address, pending: Pending): void {
    if (this.#pending.get(address) !== pending) return;
    if (pending.tries++ >= TRIES) {
      this.#pending.delete(address);
      return;
    }
    const { gatewayMac, gateway } = this.#plan;
    const request = buildArp({
      operation: ArpOperation.request,
      senderMac: gatewayMac,
      senderAddress: gateway,
      targetMac: 0 as MacAddress,
      targetAddress: address,
    });
    this.#clock.at(this.#clock.now() + RETRY_MS, () => this.#ask(address, pending));
    this.#send(buildFrame({ destination: BROADCAST_MAC, source: gatewayMac, type: EtherType.arp, payload: request }));
  }

  #sendTo(destination: MacAddress, payload: Uint8Array): void {
    this.#send(buildFrame({ destination, source: this.#plan.gatewayMac, type: EtherType.ipv4, payload }));
  }
}
