// A busy guest on a whole machine: saved at any point and resumed in another machine it computes what it would have.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { deflate, type SerialBackend } from "@doppel/pc-machine";
import { describe, expect, it } from "vitest";
import { Machine } from "./machine.ts";

const program: Buffer = readFileSync(join(import.meta.dirname, "../../../guests/bin/machine/busy"));
/** What it prints under QEMU: `guests/programs.ts`, which holds it to that. */
const prints = "hash 9c8e2c0d4e6cbfb4 average 00000007d667505b interrupted\n";
const MEBIBYTE = 2 ** 20;

class Printed implements SerialBackend {
  text = "";
  read(): number {
    return -1;
  }
  write(byte: number): boolean {
    this.text += String.fromCharCode(byte);
    return true;
  }
}

function newMachine(serial: Printed, kernel?: Uint8Array): Machine {
  return new Machine({ ramBytes: 4 * MEBIBYTE, serial, endOnReset: true, ...(kernel === undefined ? {} : { kernel }) });
}

const wait = (ms: number): Promise<undefined> =>
  new Promise((resolve) => {
    setTimeout(() => resolve(undefined), ms);
  });

async function saved(machine: Machine): Promise<Uint8Array[]> {
  const pieces: Uint8Array[] = [];
  await machine.save((bytes) => {
    pieces.push(bytes);
    return Promise.resolve();
  });
  return pieces;
}

async function* streamed(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  await Promise.resolve();
  yield* pieces;
}

/** Runs the guest to its end, with so many changes of machine on the way. */
async function runWith(resumes: number, longestMs: number): Promise<{ text: string; resumed: number }> {
  const serial = new Printed();
  let machine = newMachine(serial, program);
  for (let resumed = 0; ; resumed++) {
    const ended = machine.run();
    const end = resumed < resumes ? await Promise.race([ended, wait(Math.random() * longestMs)]) : await ended;
    if (end !== undefined) return { text: serial.text.replaceAll("\r", ""), resumed };
    machine.pause();
    const pieces = await saved(machine);
    machine = newMachine(serial);
    await machine.load(streamed(pieces), [deflate]);
  }
}

describe("a machine saved and resumed", () => {
  it("computes what it would have", { timeout: 60_000 }, async () => {
    const { text, resumed } = await runWith(5, 40);
    expect(text).toBe(prints);
    expect(resumed).toBe(5);
  });

  it("and a hundred times over", { tags: ["slow"], timeout: 180_000 }, async () => {
    const { text, resumed } = await runWith(100, 6);
    expect([text, resumed]).toEqual([prints, 100]);
  });

  it("goes on itself after it was saved", { timeout: 60_000 }, async () => {
    const serial = new Printed();
    const machine = newMachine(serial, program);
    const ended = machine.run();
    await wait(10);
    const pieces = await saved(machine);
    expect(await ended).toBe("reset");
    expect(serial.text.replaceAll("\r", "")).toBe(prints);
    // Back in time, in the same machine.
    await machine.load(streamed(pieces));
    serial.text = "";
    expect(await machine.run()).toBe("reset");
    expect(serial.text.replaceAll("\r", "")).toBe(prints);
  });
});
