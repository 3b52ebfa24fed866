/** What a machine's network card can be plugged into on this host: a gateway of its own, or a switch elsewhere. */
import type { NetworkPort as CardPort } from "@doppel/pc-machine";
import { createCable, Gateway, MachinePort, type PortForward } from "@doppel/virtual-network";
import { connectStream, nodeClock, nodeHostNetwork, parseStreamAddress, random32 } from "@doppel/virtual-network/node";

/** An end of a cable, for a card. */
export interface PluggedCable {
  readonly port: CardPort;
  readonly close: () => void;
}

/**
 * A network of the machine alone, with a way out through the host's sockets.
 *
 * @throws what Node rejects with where a port of the host cannot be listened on
 */
export async function plugIntoGateway(forwards: readonly PortForward[] = []): Promise<PluggedCable> {
  const [card, port] = createCable();
  const gateway = new Gateway({ port, host: nodeHostNetwork(), clock: nodeClock(), random32 });
  try {
    for (const forward of forwards) await gateway.forward(forward);
  } catch (error) {
    gateway.close();
    throw error;
  }
  return { port: new MachinePort(card), close: () => gateway.close() };
}

/**
 * A network that others are on: a switch, or another machine, at "HOST:PORT" or "unix:PATH".
 *
 * @throws StreamAddressError, or what Node rejects with where nobody listens
 */
export async function plugIntoSwitch(address: string): Promise<PluggedCable> {
  const cable = await connectStream(parseStreamAddress(address));
  return { port: new MachinePort(cable), close: () => cable.close() };
}

export { StreamAddressError } from "@doppel/virtual-network/node";
