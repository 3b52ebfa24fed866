/**
 * Two processes of one program: its code is translated once, each has a trampoline table of its own, and what one of
 * them maps differently it finds for itself.
 */
import { Code, type Program } from "./isa.ts";
import { Machine, Process } from "./machine.ts";

const machine = new Machine();
const PAGE_INSTRUCTIONS = 1024;
/** At the end of a page: r1 = r1 + 1, 100 times, and then calls the function on the next page. */
const count: Program = [
  [Code.set, 2, 0, 100],
  [Code.addNumber, 1, 1, 1],
  [Code.addNumber, 2, 2, -1],
  [Code.branch, 2, 0, -3],
  [Code.call, 0, 0, 1],
  [Code.halt],
];
const start = PAGE_INSTRUCTIONS - count.length;
const program = machine.load([...Array.from({ length: start }, () => [Code.halt] as const), ...count]);
const addHundred = machine.load([[Code.addNumber, 1, 1, 100], [Code.service, 0, 0, 1], [Code.return]]);
const negate = machine.load([[Code.set, 4], [Code.sub, 1, 4, 1], [Code.service, 0, 0, 1], [Code.return]]);

const first = new Process(machine).map(0x10000, [...program, ...addHundred]);
const second = new Process(machine).map(0x40000, [...program, ...negate]);
let known = 0;
function report(process: string): void {
  const { threadedRegions, regions: compiled } = machine.engine.translator.statistics;
  const regions = threadedRegions + compiled;
  console.log(`${process}: regions translated: ${regions - known}`);
  known = regions;
}

first.run(0x10000 + 4 * start);
report("the first process");
second.run(0x40000 + 4 * start);
report("the second, at another address");
first.run(0x10000 + 4 * start);
report("the first again");
