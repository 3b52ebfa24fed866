/** The host's network, seen so that each of its events is a turn of the gateway. */
import { type HostNetwork, type HostStreamEvents, IGNORED_STREAM } from "./host-network.ts";

type Turn = (work: () => void) => void;

export function hostInTurns(host: HostNetwork, turn: Turn): HostNetwork {
  return {
    resolvers: () => host.resolvers(),
    connect: (to, events) => host.connect(to, eventsInTurns(events, turn)),
    listen: (at, accept) =>
      host.listen(at, (stream) => {
        let events = IGNORED_STREAM;
        turn(() => {
          events = accept(stream);
        });
        return eventsInTurns(events, turn);
      }),
    openDatagrams: (receive) => host.openDatagrams((bytes, from) => turn(() => receive(bytes, from))),
    bindDatagrams: (at, receive) => host.bindDatagrams(at, (bytes, from) => turn(() => receive(bytes, from))),
  };
}

function eventsInTurns(events: HostStreamEvents, turn: Turn): HostStreamEvents {
  return {
    connected: () => turn(() => events.connected()),
    data: (bytes) => turn(() => events.data(bytes)),
    ended: () => turn(() => events.ended()),
    flushed: (bytes) => turn(() => events.flushed(bytes)),
    closed: (end) => turn(() => events.closed(end)),
  };
}
