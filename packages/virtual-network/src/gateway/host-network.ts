/** What the gateway needs of the host: streams, datagrams, and who resolves names. Addresses are numeric text. */

export interface HostEndpoint {
  readonly address: string;
  readonly port: number;
}

/** Both sides ended; nobody listens there; there is no way there; it did not answer; the connection broke. */
export type HostStreamEnd = "finished" | "refused" | "unreachable" | "timeout" | "reset";

export interface HostStreamEvents {
  /** Not called for a stream that was accepted. */
  connected(): void;
  data(bytes: Uint8Array): void;
  /** The other side sends nothing more. */
  ended(): void;
  /** So many of the bytes written were handed on. */
  flushed(bytes: number): void;
  /** The last event. */
  closed(end: HostStreamEnd): void;
}

/** For a stream that nobody wants any more. */
export const IGNORED_STREAM: HostStreamEvents = { connected() {}, data() {}, ended() {}, flushed() {}, closed() {} };

export interface HostStream {
  /** Takes all of it; the caller counts what was not flushed and keeps it within bounds. */
  write(bytes: Uint8Array): void;
  /** Ends this direction behind what was written. */
  end(): void;
  /** Breaks the connection; no event follows. */
  abort(): void;
  /** `data` is to wait for `resume`. */
  pause(): void;
  resume(): void;
}

export interface HostDatagrams {
  /** Datagrams that cannot be sent are lost. */
  send(bytes: Uint8Array, to: HostEndpoint): void;
  close(): void;
}

export interface HostListener {
  /** Where it listens: the port that was chosen when 0 was asked for. */
  readonly endpoint: HostEndpoint;
  close(): void;
}

export interface HostNetwork {
  /** Name servers, the first to be asked first; none where the host has no names to give. */
  resolvers(): readonly HostEndpoint[];
  /** No event comes before it returned. */
  connect(to: HostEndpoint, events: HostStreamEvents): HostStream;
  /**
   * Accepts connections; `accept` says who takes the stream's events.
   * @throws Error (as a rejection) when the endpoint cannot be listened on
   */
  listen(at: HostEndpoint, accept: (stream: HostStream) => HostStreamEvents): Promise<HostListener>;
  /** A socket for datagrams at a port of the host's choice. */
  openDatagrams(receive: (bytes: Uint8Array, from: HostEndpoint) => void): HostDatagrams;
  /**
   * A socket for datagrams at this endpoint.
   * @throws Error (as a rejection) when the endpoint cannot be had
   */
  bindDatagrams(
    at: HostEndpoint,
    receive: (bytes: Uint8Array, from: HostEndpoint) => void,
  ): Promise<HostDatagrams & HostListener>;
}
