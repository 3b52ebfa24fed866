// A busy guest under checkpoints: another machine goes on from the last one, and computes what the first would have.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { MemoryReceiver, MemorySender, plainCodec } from "@doppel/ha-checkpoint";
import type { EpochCounts } from "@doppel/ha-checkpoint";
import type { SerialBackend } from "@doppel/pc-machine";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CheckpointableMachine } from "./checkpointable-machine.ts";
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

/** Checkpoints a running machine into another one until it is given up. */
class Protection {
  readonly machine: CheckpointableMachine;
  readonly standby: CheckpointableMachine;
  readonly counts: EpochCounts[] = [];
  epoch = 0;
  readonly #sender: MemorySender;
  readonly #receiver: MemoryReceiver;

  constructor(machine: Machine, standby: Machine) {
    this.machine = new CheckpointableMachine(machine);
    this.standby = new CheckpointableMachine(standby);
    const stagedPages = this.machine.pageCount;
    this.#receiver = new MemoryReceiver({
      machine: this.standby,
      codec: plainCodec,
      stagedPages,
      prepared: (epoch) => this.#receiver.commit(epoch),
      complain: (text) => {
        throw new Error(text);
      },
    });
    this.#sender = new MemorySender({
      machine: this.machine,
      codec: plainCodec,
      stagedPages,
      cachePages: stagedPages,
      isWritable: () => true,
      copied: () => undefined,
      send: (message) => {
        if (message.kind === "pages" || message.kind === "state" || message.kind === "checkpoint") {
          this.#receiver.receive(message);
        }
      },
    });
    this.#sender.sent = (_epoch, counts) => this.counts.push(counts);
    this.#receiver.begin();
    this.#sender.begin();
  }

  checkpoint(): void {
    this.machine.stop(() => {
      this.#sender.capture(++this.epoch, () => {
        this.#sender.finish(this.machine.saveState(), true);
        const piece = this.machine.hints.next();
        if (piece !== undefined) this.standby.hints.apply(piece);
        this.machine.run();
      });
    });
  }

  /** The first machine is gone; the other one stands ready. */
  failOver(): void {
    this.machine.stop(() => undefined);
    const complaint = this.#receiver.restore(this.epoch);
    if (complaint !== undefined) throw new Error(complaint);
    this.standby.restored();
  }
}

/** Of the busy guest, which has run for a moment. */
async function hintsOf(machine: Machine): Promise<Uint8Array> {
  const { hints } = new CheckpointableMachine(machine);
  void machine.run();
  for (;;) {
    await wait(5);
    machine.pause();
    const piece = hints.next();
    if (piece !== undefined) return piece;
    machine.resume();
  }
}

describe("a machine under checkpoints", () => {
  it("C1 P2 P4 goes on elsewhere from any of them, and computes what it would have", { timeout: 60_000 }, async () => {
    const serial = new Printed();
    let machine = newMachine(serial, program);
    let ended = machine.run();
    let [failovers, ready, end] = [0, 0, undefined as string | undefined];
    while (end === undefined) {
      const next = newMachine(serial);
      const protection = new Protection(machine, next);
      protection.machine.run();
      for (let epoch = 0; epoch < 4 && end === undefined; epoch++) {
        protection.checkpoint();
        end = await Promise.race([ended, wait(Math.random() * 12)]);
      }
      ready += machine.engine.processor.context.codeUse.ready;
      if (end !== undefined || failovers === 6) break;
      while (protection.standby.hints.left > 0) await wait(1);
      // An epoch of a few milliseconds changes little of memory.
      expect(protection.counts.at(-1)!.dirty).toBeLessThan(protection.machine.pageCount / 2);
      protection.failOver();
      failovers++;
      machine = next;
      ended = machine.run();
      // Only the checkpoints' side runs and stops it.
      machine.pause();
    }
    expect(await ended).toBe("reset");
    expect(failovers).toBe(6);
    // Code that was translated before it was needed, as the leaders hinted.
    expect(ready).toBeGreaterThan(0);
    expect(serial.text.replaceAll("\r", "")).toBe(prints);
  });

  it("is stopped while it is: what devices complete waits", () => {
    const machine = new CheckpointableMachine(newMachine(new Printed(), program));
    const order: string[] = [];
    machine.whenRunning(() => order.push("completed"));
    order.push("stopped");
    machine.run();
    machine.stop(() => undefined);
    expect(order).toEqual(["stopped", "completed"]);
  });

  it("P8 pages that the guest gave up are free, read as zeros, and are back when they are written to", () => {
    const plain = newMachine(new Printed());
    const machine = new CheckpointableMachine(plain);
    const { ram } = plain.engine;
    const [page, content] = [0x200, new Uint8Array(16).fill(7)];
    ram.write(page * 4096 + 8, content);
    expect(machine.takeDirtyPages()).toContain(page);
    machine.release(page * 4096, 2 * 4096);
    expect([machine.standing(page), machine.standing(page + 1), machine.standing(page + 2)]).toEqual([
      "free",
      "free",
      "kept",
    ]);
    expect(machine.dirtyPages).toBe(2);
    expect([...machine.takeDirtyPages()]).toEqual([page, page + 1]);
    const read = new Uint8Array(4096);
    machine.readPage(page, read);
    expect(read).toEqual(new Uint8Array(4096));
    ram.write(page * 4096, content);
    expect([...machine.takeDirtyPages()]).toEqual([page]);
    expect(machine.standing(page)).toBe("kept");
  });

  it("takes any bytes for hints, and computes what it would have", { timeout: 60_000 }, async () => {
    const piece = await hintsOf(newMachine(new Printed(), program));
    const wrong = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.array(fc.tuple(fc.nat(piece.length - 1), fc.nat(255)), { maxLength: 6 }).map((changes) => {
        const bytes = piece.slice();
        for (const [at, byte] of changes) bytes[at] = byte;
        return bytes;
      }),
    );
    const serial = new Printed();
    const machine = newMachine(serial, program);
    const { hints } = new CheckpointableMachine(machine);
    fc.assert(fc.property(wrong, (bytes) => hints.apply(bytes)));
    while (hints.left > 0) await wait(1);
    expect(machine.engine.translator.translator.statistics.threadedRegions).toBeGreaterThan(0);
    expect(await machine.run()).toBe("reset");
    expect(serial.text.replaceAll("\r", "")).toBe(prints);
  });

  it("refuses a state that is none, and one of another machine", () => {
    const machine = new CheckpointableMachine(newMachine(new Printed()));
    const other = new CheckpointableMachine(new Machine({ ramBytes: 8 * MEBIBYTE, serial: new Printed() }));
    expect(machine.loadState(new Uint8Array([1, 2, 3]))).toBeTypeOf("string");
    expect(machine.loadState(new Uint8Array())).toBeTypeOf("string");
    expect(machine.loadState(machine.saveState())).toBeUndefined();
    expect(other.configuration).not.toBe(machine.configuration);
  });
});
