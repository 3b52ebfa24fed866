// The connection of two hosts, as far as the protocol knows it.

/** Keeps the order of frames, or ends. */
export interface Link {
  /** A whole frame, its length in front. */
  send(frame: Uint8Array): void;
  /** Whether what was sent before has gone far enough; `LinkHandler.drained` tells when it has again. */
  readonly isWritable: boolean;
  /** Ends it; the handler hears nothing any more, the peer hears `closed`. */
  close(): void;
}

export interface LinkHandler {
  /** A whole frame, without its length. Its bytes may be reused afterwards, so what is kept is copied. */
  frame(frame: Uint8Array): void;
  drained(): void;
  closed(reason: string): void;
}
