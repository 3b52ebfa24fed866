/**
 * Guarded memory under an interpreter of one's own: it decodes an instruction once, keeps what it made, and is told when
 * the bytes change. Uses @doppel/guard-memory and nothing else.
 *
 * The machine: an accumulator, instructions of two bytes (operation, operand), code and data on one page.
 */
import { GRANULE_BYTES, PhysicalMemory } from "@doppel/guard-memory";

type Action = (machine: Interpreter) => void;
const Code = { halt: 0, load: 1, add: 2, store: 3, loop: 4, print: 5 } as const;

class Interpreter {
  accumulator = 0;
  at = 0;
  running = true;
  decoded = 0;
  private readonly memory: PhysicalMemory = new PhysicalMemory(1 << 20);
  private readonly page: number = this.memory.allocatePage();
  /** By granule: what was made from its instructions. */
  private readonly made: Map<number, Map<number, Action>> = new Map();

  constructor(program: readonly (readonly [number, number?])[]) {
    // Called before guarded bytes change, whoever writes them.
    this.memory.setGuardHit((_page, offset) => {
      console.log(`granule ${Math.floor(offset / GRANULE_BYTES)} changes: its instructions are decoded again`);
      this.made.delete(Math.floor(offset / GRANULE_BYTES));
    });
    program.forEach(([code, operand = 0], index) => {
      this.write(2 * index, code);
      this.write(2 * index + 1, operand);
    });
  }

  read(offset: number): number {
    return this.memory.bytes[this.memory.pageOffset(this.page) + offset];
  }
  write(offset: number, value: number): void {
    this.memory.noteWrite(this.page, offset, 1);
    this.memory.bytes[this.memory.pageOffset(this.page) + offset] = value;
  }

  run(): void {
    while (this.running) this.actionAt(this.at)(this);
  }

  private actionAt(offset: number): Action {
    const granule = Math.floor(offset / GRANULE_BYTES);
    let actions = this.made.get(granule);
    if (actions === undefined) this.made.set(granule, (actions = new Map()));
    let action = actions.get(offset);
    if (action === undefined) {
      // First the guard, then the bytes: a change in between is not missed.
      this.memory.guard(this.page, offset, 2);
      actions.set(offset, (action = this.decode(this.read(offset), this.read(offset + 1))));
    }
    return action;
  }

  private decode(code: number, operand: number): Action {
    this.decoded++;
    const next = (work: Action): Action => {
      return (machine) => {
        machine.at += 2;
        work(machine);
      };
    };
    switch (code) {
      case Code.load:
        return next((machine) => (machine.accumulator = machine.read(operand)));
      case Code.add:
        return next((machine) => (machine.accumulator = (machine.accumulator + operand) & 0xff));
      case Code.store:
        return next((machine) => machine.write(operand, machine.accumulator));
      case Code.loop:
        return next((machine) => {
          if (machine.accumulator !== 0) machine.at = operand;
        });
      case Code.print:
        return next((machine) => console.log(machine.accumulator));
      default:
        return (machine) => (machine.running = false);
    }
  }
}

// Counts 200 down to 0 a step at a time; the counter is far from the code, in a granule that nobody guards.
const counter = 200;
const machine = new Interpreter([
  [Code.load, counter],
  [Code.add, 255],
  [Code.store, counter],
  [Code.loop, 0],
  // Rewrites the operand of the next instruction.
  [Code.add, 7],
  [Code.store, 13],
  [Code.add, 1],
  [Code.print],
  [Code.halt],
]);
machine.write(counter, 200);
machine.run();
console.log(`${machine.decoded} instructions decoded`);
