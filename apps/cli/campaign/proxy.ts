// What stands between two processes of the campaign: a TCP proxy that can be a partition. Bytes that a partition stops are
// kept and delivered when it ends, as TCP would; connections that are made meanwhile wait.
import { connect, createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";

/** Which way nothing passes: from the one who dialled, or to it. */
export interface Blocked {
  readonly there: boolean;
  readonly back: boolean;
}

interface Way {
  readonly from: Socket;
  readonly to: Socket;
  readonly direction: keyof Blocked;
}

export class Proxy {
  readonly #server: Server;
  readonly #target: number;
  readonly #ways = new Set<Way>();
  /** Connections that wait for the partition to end. */
  #waiting: Socket[] = [];
  #blocked: Blocked = { there: false, back: false };

  private constructor(target: number) {
    this.#target = target;
    // Half-open: the end of one direction is passed on by itself.
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#accept(socket));
  }

  static async listen(target: number): Promise<Proxy> {
    const proxy = new Proxy(target);
    await new Promise<void>((resolve, reject) => {
      proxy.#server.once("error", reject);
      proxy.#server.listen(0, "127.0.0.1", resolve);
    });
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  block(blocked: Blocked): void {
    this.#blocked = blocked;
    for (const way of this.#ways) this.#flow(way);
    if (blocked.there || blocked.back) return;
    for (const socket of this.#waiting.splice(0)) if (!socket.destroyed) this.#join(socket);
  }

  /** Ends all connections, as a box in between does that forgets them. */
  cut(): void {
    for (const { from } of this.#ways) from.resetAndDestroy();
  }

  close(): void {
    this.#server.close();
    for (const { from } of this.#ways) from.destroy();
    for (const socket of this.#waiting) socket.destroy();
  }

  #accept(socket: Socket): void {
    socket.on("error", () => socket.destroy());
    if (this.#blocked.there || this.#blocked.back) this.#waiting.push(socket);
    else this.#join(socket);
  }

  #join(near: Socket): void {
    const far = connect({ port: this.#target, host: "127.0.0.1", allowHalfOpen: true });
    near.setNoDelay(true);
    far.setNoDelay(true);
    const ways: Way[] = [
      { from: near, to: far, direction: "there" },
      { from: far, to: near, direction: "back" },
    ];
    for (const way of ways) {
      const { from, to, direction } = way;
      this.#ways.add(way);
      from.on("data", (chunk: Buffer) => {
        if (!to.write(chunk)) from.pause();
      });
      to.on("drain", () => this.#flow(way));
      from.on("end", () => to.end());
      from.on("error", () => undefined);
      from.on("close", () => {
        this.#ways.delete(way);
        // Nobody hears through a partition that the other side is gone.
        const gone = (): void => {
          if (this.#blocked[direction]) setTimeout(gone, 20);
          else to.destroy();
        };
        gone();
      });
      this.#flow(way);
    }
  }

  #flow({ from, to, direction }: Way): void {
    if (this.#blocked[direction]) from.pause();
    else if (!to.writableNeedDrain) from.resume();
  }
}
