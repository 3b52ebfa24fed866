import { describe, expect, it } from "vitest";
import { VirtioNetwork } from "./network.ts";
import type { NetworkPort, NetworkReceiver } from "./network.ts";
import { TestDriver } from "./testing/driver.ts";
import { Feature } from "./virtio-device.ts";

const mergeBuffers = 15;

class TestPort implements NetworkPort {
  readonly sent: number[][] = [];
  refuses = false;
  asked = 0;
  receiver!: NetworkReceiver;

  send(frame: Uint8Array): boolean {
    if (!this.refuses) this.sent.push([...frame]);
    return !this.refuses;
  }

  attach(receiver: NetworkReceiver): void {
    this.receiver = receiver;
  }

  receivable(): void {
    this.asked++;
  }
}

function make(features: readonly number[] = [3, 5, mergeBuffers, 16]) {
  const port = new TestPort();
  const guest = new TestDriver(
    (memory) => new VirtioNetwork({ id: "net", memory, mac: Uint8Array.of(2, 0, 0, 0, 0, 1), port }),
  );
  guest.probe();
  guest.start(features);
  return { guest, port };
}

const header = new Uint8Array(12);

describe("virtio-net", () => {
  it("says its address and that the link is up, and tells when it is not any more", () => {
    const { guest } = make();
    expect([guest.read("device", 0, 1), guest.read("device", 5, 1), guest.read("device", 6, 2)]).toEqual([2, 1, 1]);
    (guest.device as VirtioNetwork).setLink(false);
    expect(guest.read("device", 6, 2)).toBe(0);
    expect(guest.takeInterrupts()).toEqual([0]);
  });

  it("sends frames, however they are cut into buffers", () => {
    const { guest, port } = make();
    guest.submit(1, [header, Uint8Array.of(1, 2, 3)], []);
    guest.submit(1, [header.subarray(0, 5), header.subarray(0, 7), Uint8Array.of(4), Uint8Array.of(5, 6)], []);
    guest.submit(1, [header], []);
    guest.notify(1);
    expect(port.sent).toEqual([
      [1, 2, 3],
      [4, 5, 6],
    ]);
    expect(guest.takeUsed(1).length).toBe(3);
  });

  it("receives into one buffer, or merges several", () => {
    const { guest, port } = make();
    for (let count = 0; count < 3; count++) guest.submit(0, [], [20]);
    guest.notify(0);
    const frame = Uint8Array.from({ length: 30 }, (_, index) => index);
    expect(port.receiver.receive(frame)).toBe(true);
    const used = guest.takeUsed(0);
    expect(used.map(({ written }) => written)).toEqual([20, 20, 2]);
    expect([...used[0].data.subarray(10, 14)]).toEqual([3, 0, 0, 1]);
    expect(used[2].data[1]).toBe(29);
    expect(guest.takeInterrupts()).toEqual([1]);
  });

  it("makes the port wait when there is no room, and says when there is again", () => {
    const { guest, port } = make([mergeBuffers, Feature.eventIndex]);
    guest.submit(0, [], [20]);
    guest.notify(0);
    const frame = new Uint8Array(30);
    expect(port.receiver.receive(frame)).toBe(false);
    expect(guest.takeUsed(0)).toEqual([]);
    guest.submit(0, [], [100]);
    expect(guest.wantsNotification(0)).toBe(true);
    guest.notify(0);
    expect(port.asked).toBe(1);
    expect(port.receiver.receive(frame)).toBe(true);
    expect(guest.takeUsed(0).length).toBe(2);
  });

  it("keeps a frame that the port refuses, and sends it when the port is ready, or when it is loaded elsewhere", () => {
    const { guest, port } = make();
    port.refuses = true;
    guest.submit(1, [header, Uint8Array.of(1)], []);
    guest.submit(1, [header, Uint8Array.of(2)], []);
    guest.notify(1);
    expect(guest.takeUsed(1)).toEqual([]);
    const saved = [guest.device.save(), guest.transport.save()] as const;
    const other = make();
    other.guest.memory.bytes.set(guest.memory.bytes);
    other.guest.device.load(saved[0], 1);
    other.guest.transport.load(saved[1], 1);
    other.guest.device.resume();
    expect(other.port.sent).toEqual([[1], [2]]);
    port.refuses = false;
    port.receiver.ready();
    expect(port.sent).toEqual([[1], [2]]);
    expect(guest.takeUsed(1).length).toBe(2);
  });

  it("makes the port wait while the machine is held", () => {
    const { guest, port } = make();
    guest.submit(0, [], [100]);
    guest.notify(0);
    guest.device.hold();
    expect(port.receiver.receive(new Uint8Array(60))).toBe(false);
    expect(port.asked).toBe(0);
    guest.device.resume();
    expect(port.asked).toBe(1);
    expect(port.receiver.receive(new Uint8Array(60))).toBe(true);
  });

  it("loses frames before the driver is ready, and needs a reset when a buffer cannot hold one", () => {
    const { guest, port } = make([]);
    guest.submit(0, [], [20]);
    guest.notify(0);
    expect(port.receiver.receive(new Uint8Array(60))).toBe(false);
    expect(guest.needsReset).toBe(true);
    guest.status = 0;
    expect(port.receiver.receive(new Uint8Array(60))).toBe(true);
  });
});
