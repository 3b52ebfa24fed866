/**
 * One end of a cable: what a network card, a switch, a gateway and a connection to elsewhere have in common.
 *
 * A frame is an Ethernet frame without preamble and check sequence. Who sends one gives it away: its bytes never change
 * afterwards, so receivers may keep it, or a part of it, without a copy. Delivery is not promised: what cannot go on at
 * once is dropped, as on a real wire, and protocols above see to the rest.
 */
export interface NetworkPort {
  send(frame: Uint8Array): void;
  /** Frames from the other end; the last handler set gets them. It may be called from within `send`. */
  onReceive(handler: (frame: Uint8Array) => void): void;
}

/** Puts a cable between two ports whose other ends are elsewhere: what comes out of one goes into the other. */
export function joinPorts(a: NetworkPort, b: NetworkPort): void {
  a.onReceive((frame) => b.send(frame));
  b.onReceive((frame) => a.send(frame));
}

/** A cable with two free ends. */
export function createCable(): [NetworkPort, NetworkPort] {
  const handlers: [(frame: Uint8Array) => void, (frame: Uint8Array) => void] = [() => {}, () => {}];
  const end = (own: 0 | 1, other: 0 | 1): NetworkPort => ({
    send: (frame) => handlers[other](frame),
    onReceive: (handler) => {
      handlers[own] = handler;
    },
  });
  return [end(0, 1), end(1, 0)];
}
