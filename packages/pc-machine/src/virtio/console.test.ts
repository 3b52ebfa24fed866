import { expect, it } from "vitest";
import { VirtioConsole } from "./console.ts";
import type { ConsolePort, ConsoleReceiver } from "./console.ts";
import { TestDriver } from "./testing/driver.ts";

class TestPort implements ConsolePort {
  text = "";
  room: number = Infinity;
  asked = 0;
  receiver!: ConsoleReceiver;

  write(data: Uint8Array): number {
    const taken = data.subarray(0, this.room);
    this.room -= taken.length;
    this.text += new TextDecoder().decode(taken);
    return taken.length;
  }

  attach(receiver: ConsoleReceiver): void {
    this.receiver = receiver;
  }

  receivable(): void {
    this.asked++;
  }
}

function make() {
  const port = new TestPort();
  const guest = new TestDriver((memory) => new VirtioConsole({ id: "console", memory, port }));
  guest.probe();
  return { guest, port };
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

it("a virtio console writes what the guest sends, as fast as the port takes it", () => {
  const { guest, port } = make();
  guest.start([0]);
  port.room = 3;
  guest.submit(1, [bytes("hel"), bytes("lo, ")], []);
  guest.submit(1, [bytes("world")], []);
  guest.notify(1);
  expect([port.text, guest.takeUsed(1).length]).toEqual(["hel", 0]);

  const other = make();
  other.guest.start([0]);
  other.guest.memory.bytes.set(guest.memory.bytes);
  other.guest.device.load(guest.device.save(), 1);
  other.guest.device.resume();
  expect(other.port.text).toBe("lo, world");

  port.room = Infinity;
  port.receiver.ready();
  expect([port.text, guest.takeUsed(1).length]).toEqual(["hello, world", 2]);
});

it("a virtio console gives the guest input as it has room, and its size", () => {
  const { guest, port } = make();
  expect(port.receiver.receive(bytes("early"))).toBe(0);
  guest.start([0]);
  expect(port.asked).toBe(1);
  guest.submit(0, [], [3]);
  guest.notify(0);
  expect(port.receiver.receive(bytes("hello"))).toBe(3);
  expect(guest.takeUsed(0).map(({ data }) => new TextDecoder().decode(data))).toEqual(["hel"]);
  guest.submit(0, [], [10]);
  guest.notify(0);
  expect(port.asked).toBe(2);
  (guest.device as VirtioConsole).resize(132, 50);
  expect([guest.read("device", 0, 2), guest.read("device", 2, 2), guest.read("common", 0x15, 1)]).toEqual([132, 50, 1]);
  guest.write("device", 8, 4, 0x41);
  expect(port.text).toBe("A");
});
