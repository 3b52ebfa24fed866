/** What a machine's network card can be plugged into on this host: a gateway of its own, or a switch elsewhere. */
import type { NetworkPort as CardPort } from "@doppel/pc-machine";
import { EthernetSwitch, Gateway, MachinePort, type NetworkPlan, type PortForward } from "@doppel/virtual-network";
import {
  connectStream,
  nodeClock,
  nodeHostNetwork,
  parseStreamAddress,
  random32,
  serveSwitch,
} from "@doppel/virtual-network/node";

/** An end of a cable, for a card. */
export interface PluggedCable {
  readonly port: CardPort;
  readonly close: () => void;
}

export interface GatewayNetwork {
  readonly forwards?: readonly PortForward[];
  /** Its addresses; by default 10.0.2.0/24 with the gateway at 10.0.2.2. */
  readonly plan?: NetworkPlan;
  /** Whether the gateway's address stands for this host's loopback address; by default it does not. */
  readonly reachesHost?: boolean;
  /** Lets others onto the machine's switch, at "HOST:PORT" or "unix:PATH". */
  readonly listen?: string;
}

/**
 * A network of the machine's own, with a way out through the host's sockets.
 *
 * @throws StreamAddressError, or what Node rejects with where the host cannot be listened on
 */
export async function plugIntoGateway(options: GatewayNetwork = {}): Promise<PluggedCable> {
  const { forwards = [], listen, plan, reachesHost = false } = options;
  const clock = nodeClock();
  const ethernet = new EthernetSwitch({ now: () => clock.now() });
  const gateway = new Gateway({
    port: ethernet.connect({ name: "gateway" }),
    host: nodeHostNetwork(),
    clock,
    random32,
    reachesHost,
    ...(plan === undefined ? {} : { plan }),
  });
  const ends = [() => gateway.close()];
  const close = (): void => {
    for (const end of ends.splice(0).reverse()) end();
  };
  try {
    for (const forward of forwards) await gateway.forward(forward);
    if (listen !== undefined) {
      const server = await serveSwitch(ethernet, parseStreamAddress(listen));
      ends.push(() => server.close());
    }
  } catch (error) {
    close();
    throw error;
  }
  return { port: new MachinePort(ethernet.connect({ name: "machine" })), close };
}

/**
 * A network that others are on: a switch, or another machine, at "HOST:PORT" or "unix:PATH".
 *
 * @param lost told when the other end goes away, with the reason if there is one
 * @throws StreamAddressError, or what Node rejects with where nobody listens
 */
export async function plugIntoSwitch(
  address: string,
  lost: (reason: Error | undefined) => void = () => {},
): Promise<PluggedCable> {
  const cable = await connectStream(parseStreamAddress(address));
  let unplugged = false;
  void cable.closed.then((reason) => (unplugged ? undefined : lost(reason)));
  return {
    port: new MachinePort(cable),
    close: () => {
      unplugged = true;
      cable.close();
    },
  };
}

export { parseStreamAddress, type StreamAddress, StreamAddressError } from "@doppel/virtual-network/node";
