/** The network device (virtio 1.2, 5.1): Ethernet frames, one queue each way; checksums and segmentation when sending. */

import type { Chain } from "./chain.ts";
import { networkHeaderBytes, outgoingFrames } from "./network-offload.ts";
import { VirtioDevice } from "./virtio-device.ts";
import type { VirtioOptions } from "./virtio-device.ts";
import type { RecordReader } from "../snapshot/record-reader.ts";
import type { StateRecord } from "../ports.ts";

/** The network as the device sees it. Frames go from destination address to payload, without check sequence. */
export interface NetworkPort {
  /** Takes a frame, or refuses it: then it calls `ready` once it would take one. The bytes are its own from then on. */
  send(frame: Uint8Array): boolean;
  /** Where frames for the guest go. */
  attach(receiver: NetworkReceiver): void;
  /** After a refused `receive`: the guest has room again. */
  receivable(): void;
}

export interface NetworkReceiver {
  /** Gives the guest a frame; false when it has no room for it, which the port may take for a reason to wait. */
  receive(frame: Uint8Array): boolean;
  /** After a refused `send`. */
  ready(): void;
}

export interface NetworkOptions extends VirtioOptions {
  /** Six bytes. */
  readonly mac: Uint8Array;
  readonly port: NetworkPort;
  /** Largest payload of a frame that the driver is told to use. */
  readonly mtu?: number;
}

/** Feature bits (5.1.3). */
const Feature = {
  checksum: 0,
  mtu: 3,
  mac: 5,
  segmentTcp4: 11,
  segmentTcp6: 12,
  mergeReceiveBuffers: 15,
  status: 16,
} as const;

const receiveQueue = 0;
const transmitQueue = 1;
const queueSize = 256;
const headerBytes: number = networkHeaderBytes;
/** Of a received frame's header only num_buffers is set. */
const bufferCountOffset = 10;
/** An IP packet of 64 KiB in a frame. */
const maximumFrameBytes: number = 65535 + 18;
const linkUp = 1;

export class VirtioNetwork extends VirtioDevice implements NetworkReceiver {
  readonly version = 1;
  readonly #port: NetworkPort;
  readonly #mac: Uint8Array;
  readonly #mtu: number;
  #linkUp = true;
  /** A chain with frames that the port has refused: those that are left of it. */
  #stalled: { readonly chain: Chain; readonly frames: Uint8Array[] } | undefined;
  /** Whether a frame from the port was refused. */
  #starved = false;

  constructor(options: NetworkOptions) {
    const { mac, port, mtu = 1500 } = options;
    super({ type: 1, features: Object.values(Feature), queueSizes: [queueSize, queueSize] }, options);
    this.#mac = mac.slice(0, 6);
    this.#mtu = mtu;
    this.#port = port;
    port.attach(this);
  }

  get configuration(): Uint8Array {
    const view = new DataView(new ArrayBuffer(12));
    new Uint8Array(view.buffer).set(this.#mac);
    view.setUint16(6, this.#linkUp ? linkUp : 0, true);
    view.setUint16(8, 1, true);
    view.setUint16(10, this.#mtu, true);
    return new Uint8Array(view.buffer);
  }

  /** Plugs the cable in, or pulls it. */
  setLink(up: boolean): void {
    if (up === this.#linkUp) return;
    this.#linkUp = up;
    this.configurationChanged();
    if (up) this.resume();
  }

  receive(frame: Uint8Array): boolean {
    if (this.held) {
      this.#starved = true;
      return false;
    }
    const queue = this.queue(receiveQueue);
    // A machine that is not listening loses frames; only one that will have room makes others wait.
    if (queue === undefined || queue.broken || !this.#linkUp) return true;
    const chains = this.#room(headerBytes + frame.length);
    if (chains === undefined) {
      this.#starved = true;
      queue.listen();
      return false;
    }
    const message = new Uint8Array(headerBytes + frame.length);
    message.set(frame, headerBytes);
    new DataView(message.buffer).setUint16(bufferCountOffset, chains.length, true);
    let at = 0;
    for (const chain of chains) {
      const part = message.subarray(at, at + chain.writableBytes);
      chain.write(0, part);
      queue.push(chain, part.length);
      at += part.length;
    }
    this.signal(receiveQueue);
    return true;
  }

  ready(): void {
    if (!this.held) this.notify(transmitQueue);
  }

  protected override notified(index: number): void {
    if (index === transmitQueue) return this.#transmit();
    const queue = this.queue(receiveQueue);
    if (queue === undefined) return undefined;
    // New buffers are of interest only while a frame waits for one.
    queue.ignore();
    if (!this.#starved) return undefined;
    this.#starved = false;
    return this.#port.receivable();
  }

  protected override stopped(): void {
    this.#stalled = undefined;
    if (!this.#starved) return;
    this.#starved = false;
    this.#port.receivable();
  }

  protected override saveDevice(): StateRecord {
    return { linkUp: this.#linkUp };
  }

  protected override loadDevice(reader: RecordReader): void {
    this.#linkUp = reader.boolean("linkUp");
  }

  /** Chains with room for that many bytes: several only where the driver merges them (5.1.6.4). */
  #room(bytes: number): readonly Chain[] | undefined {
    const queue = this.queue(receiveQueue);
    const chains: Chain[] = [];
    for (let room = 0; room < bytes;) {
      const chain = queue?.pop();
      if (chain === undefined) {
        queue?.unpop(chains);
        return undefined;
      }
      chains.push(chain);
      room += chain.writableBytes;
      if (room < bytes && !this.has(Feature.mergeReceiveBuffers)) {
        this.fail(`a receive buffer of ${chain.writableBytes} bytes`);
        return undefined;
      }
    }
    return chains;
  }

  #transmit(): void {
    const queue = this.queue(transmitQueue);
    for (;;) {
      const stalled = this.#stalled ?? this.#next();
      if (stalled === undefined) break;
      this.#stalled = stalled;
      const { chain, frames } = stalled;
      while (frames.length > 0 && this.#port.send(frames[0])) frames.shift();
      if (frames.length > 0) break;
      this.#stalled = undefined;
      queue?.push(chain, 0);
    }
    this.signal(transmitQueue);
  }

  /** The next chain and the frames that it stands for; none where there is nothing sensible to send. */
  #next(): { readonly chain: Chain; readonly frames: Uint8Array[] } | undefined {
    const chain = this.queue(transmitQueue)?.pop();
    if (chain === undefined) return undefined;
    const length = chain.readableBytes - headerBytes;
    if (length < 1 || length > maximumFrameBytes || !this.#linkUp) return { chain, frames: [] };
    const header = chain.read(0, headerBytes);
    const frame = chain.read(headerBytes, length);
    const frames = header === undefined || frame === undefined ? undefined : outgoingFrames(header, frame);
    return { chain, frames: frames ?? [] };
  }
}
