import { expect, it } from "vitest";
import { MachinePort } from "./machine-port.ts";
import { createCable } from "./network-port.ts";

it("frames wait in order while the card has no room, and are dropped beyond the bound", () => {
  const [outside, inside] = createCable();
  const port = new MachinePort(inside, 3);
  const taken: number[] = [];
  let room = 1;
  port.attach({
    receive: (frame) => {
      if (room === 0) return false;
      room--;
      taken.push(frame[0]);
      return true;
    },
  });
  for (let i = 1; i <= 6; i++) outside.send(Uint8Array.of(i));
  expect([taken, port.droppedFrames]).toEqual([[1], 2]);
  room = 2;
  port.receivable();
  expect(taken).toEqual([1, 2, 3]);
  room = 5;
  // Not before those that wait.
  outside.send(Uint8Array.of(7));
  expect(taken).toEqual([1, 2, 3]);
  port.receivable();
  expect(taken).toEqual([1, 2, 3, 4, 7]);
});
