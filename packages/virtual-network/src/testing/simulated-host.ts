/** A host's network without a host: streams and datagrams that tests hold the other end of. */
import type {
  HostDatagrams,
  HostEndpoint,
  HostListener,
  HostNetwork,
  HostStream,
  HostStreamEvents,
} from "../gateway/host-network.ts";

/** A stream that the gateway opened or accepted, from the other end. */
export class SimulatedStream implements HostStream {
  readonly to: HostEndpoint | undefined;
  events: HostStreamEvents | undefined;
  readonly received: number[] = [];
  /** Bytes written that the test has not flushed. */
  unflushed = 0;
  paused = false;
  ended = false;
  aborted = false;
  /** Whether everything written counts as handed on at once. */
  flushing = true;

  constructor(to: HostEndpoint | undefined) {
    this.to = to;
  }

  write(bytes: Uint8Array): void {
    this.received.push(...bytes);
    this.unflushed += bytes.length;
    if (this.flushing) this.flush();
  }

  flush(): void {
    const bytes = this.unflushed;
    this.unflushed = 0;
    this.events?.flushed(bytes);
  }

  end(): void {
    this.ended = true;
  }

  abort(): void {
    this.aborted = true;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }
}

export interface SimulatedDatagrams {
  readonly sent: { readonly text: string; readonly to: HostEndpoint }[];
  readonly receive: (bytes: Uint8Array, from: HostEndpoint) => void;
  closed: boolean;
}

export class SimulatedHost implements HostNetwork {
  readonly servers: HostEndpoint[] = [{ address: "192.0.2.53", port: 53 }];
  readonly streams: SimulatedStream[] = [];
  readonly sockets: SimulatedDatagrams[] = [];
  readonly #listeners = new Map<number, (stream: HostStream) => HostStreamEvents>();

  resolvers(): readonly HostEndpoint[] {
    return this.servers;
  }

  connect(to: HostEndpoint, events: HostStreamEvents): HostStream {
    const stream = new SimulatedStream(to);
    stream.events = events;
    this.streams.push(stream);
    return stream;
  }

  listen(at: HostEndpoint, accept: (stream: HostStream) => HostStreamEvents): Promise<HostListener> {
    this.#listeners.set(at.port, accept);
    return Promise.resolve({ endpoint: at, close: () => void this.#listeners.delete(at.port) });
  }

  /** Somebody connects to a port that is listened on. */
  visit(port: number): SimulatedStream {
    const stream = new SimulatedStream(undefined);
    stream.events = this.#listeners.get(port)?.(stream);
    return stream;
  }

  openDatagrams(receive: SimulatedDatagrams["receive"]): HostDatagrams {
    const socket: SimulatedDatagrams = { sent: [], receive, closed: false };
    this.sockets.push(socket);
    return {
      send: (bytes, to) => void socket.sent.push({ text: new TextDecoder().decode(bytes), to }),
      close: () => void (socket.closed = true),
    };
  }

  bindDatagrams(at: HostEndpoint, receive: SimulatedDatagrams["receive"]): Promise<HostDatagrams & HostListener> {
    return Promise.resolve({ ...this.openDatagrams(receive), endpoint: at });
  }
}
