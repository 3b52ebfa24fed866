/** The 9P transport (virtio 1.2 reserves device ID 9; layout as Linux's trans_virtio has it): a request and its reply in one chain. */

import type { P9Server } from "../9p/server.ts";
import type { RecordReader } from "../snapshot/record-reader.ts";
import type { StateRecord } from "../ports.ts";
import type { Chain } from "./chain.ts";
import { VirtioDevice } from "./virtio-device.ts";
import type { VirtioOptions } from "./virtio-device.ts";

export interface P9Options extends VirtioOptions {
  /** What the guest mounts it by. */
  readonly tag: string;
  readonly server: P9Server;
}

const featureMountTag = 0;
const queueSize = 128;
/** A request is no longer than this; the server answers for no more either. */
const maximumRequestBytes = 1 << 20;

export class VirtioP9 extends VirtioDevice {
  readonly version = 1;
  readonly configuration: Uint8Array;
  readonly #server: P9Server;

  constructor(options: P9Options) {
    super({ type: 9, features: [featureMountTag], queueSizes: [queueSize] }, options);
    const tag = new TextEncoder().encode(options.tag);
    this.configuration = Uint8Array.of(tag.length & 0xff, tag.length >>> 8, ...tag);
    this.#server = options.server;
  }

  protected override stopped(): void {
    this.#server.reset();
  }

  protected override saveDevice(): StateRecord {
    return { server: this.#server.save() };
  }

  protected override loadDevice(reader: RecordReader): void {
    this.#server.load(reader.record("server"));
  }

  protected override notified(index: number): void {
    const queue = this.queue(index);
    for (let chain = queue?.pop(); chain !== undefined; chain = queue?.pop()) void this.#serve(index, chain);
  }

  async #serve(index: number, chain: Chain): Promise<void> {
    const message = chain.read(0, Math.min(chain.readableBytes, maximumRequestBytes));
    const operation = this.begin();
    const reply = message === undefined ? undefined : await this.#server.handle(message, chain.writableBytes);
    operation.complete(() => {
      if (reply === undefined) this.fail("a message that is not 9P");
      else this.use(index, chain, chain.write(0, reply) ? reply.length : 0);
    });
  }
}
