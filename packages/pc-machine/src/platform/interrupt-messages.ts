/**
 * Interrupt messages: what IO-APICs, devices (MSI) and local APICs send to local APICs (Intel SDM vol. 3, 11.6 and
 * 11.11).
 */

import type { MessageInterrupts } from "../ports.ts";

/** Delivery modes, as the interrupt command register, redirection entries and MSI data encode them. */
export const DeliveryMode = {
  fixed: 0,
  lowestPriority: 1,
  smi: 2,
  nmi: 4,
  init: 5,
  startUp: 6,
  external: 7,
} as const;

export interface InterruptMessage {
  readonly vector: number;
  /** One of `DeliveryMode`. */
  readonly mode: number;
  /** APIC id, or logical destination. */
  readonly destination: number;
  readonly logical: boolean;
  readonly level: boolean;
}

/** A local APIC as the receiver of messages. */
export interface MessageReceiver {
  matches(destination: number, logical: boolean): boolean;
  /** The priority that decides who gets a lowest-priority message. */
  arbitrationPriority(): number;
  receive(message: InterruptMessage): void;
}

/** Brings messages to the processors they are for. */
export class InterruptMessages implements MessageInterrupts {
  readonly #receivers: MessageReceiver[] = [];

  connect(receiver: MessageReceiver): void {
    this.#receivers.push(receiver);
  }

  /** A memory write to 0xfeeXXXXX; one to elsewhere is a device's mistake that nobody sees. */
  deliver(address: number, data: number): void {
    if (Math.floor(address / 2 ** 20) !== 0xfee) return;
    this.send({
      vector: data & 0xff,
      mode: (data >>> 8) & 7,
      destination: (address >>> 12) & 0xff,
      logical: (address & 4) !== 0,
      level: (data & 0x8000) !== 0,
    });
  }

  send(message: InterruptMessage): void {
    const { destination, logical, mode } = message;
    const receivers = this.#receivers.filter((receiver) => receiver.matches(destination, logical));
    if (mode === DeliveryMode.lowestPriority) {
      const priorities = receivers.map((receiver) => receiver.arbitrationPriority());
      receivers[priorities.indexOf(Math.min(...priorities))]?.receive(message);
      return;
    }
    for (const receiver of receivers) receiver.receive(message);
  }

  /** To all but the sender: the interrupt command register's shorthand. */
  sendToOthers(sender: MessageReceiver, message: InterruptMessage): void {
    for (const receiver of this.#receivers) if (receiver !== sender) receiver.receive(message);
  }
}
