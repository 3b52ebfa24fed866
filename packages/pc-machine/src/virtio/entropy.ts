/** The entropy device (virtio 1.2, 5.4): fills what the driver hands over with random bytes. */

import { VirtioDevice } from "./virtio-device.ts";
import type { VirtioOptions } from "./virtio-device.ts";

export interface EntropyOptions extends VirtioOptions {
  /** That many random bytes. */
  readonly random: (length: number) => Uint8Array;
}

/** Most bytes given for one chain; a driver that wants more asks again. */
const maximumBytes = 65536;

export class VirtioEntropy extends VirtioDevice {
  readonly version = 1;
  readonly configuration: Uint8Array = new Uint8Array(0);
  readonly #random: (length: number) => Uint8Array;

  constructor(options: EntropyOptions) {
    super({ type: 4, features: [], queueSizes: [8] }, options);
    this.#random = options.random;
  }

  protected override notified(index: number): void {
    const queue = this.queue(index);
    for (let chain = queue?.pop(); chain !== undefined; chain = queue?.pop()) {
      const length = Math.min(chain.writableBytes, maximumBytes);
      const written = chain.write(0, this.#random(length));
      queue?.push(chain, written ? length : 0);
    }
    this.signal(index);
  }
}
