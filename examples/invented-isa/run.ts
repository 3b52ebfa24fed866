/** A program of the invented instruction set, translated to WebAssembly: the sum of 1 to 1000, a thousand times. */
import { Code, Exit } from "./isa.ts";
import { Machine, Process } from "./machine.ts";

const machine = new Machine();
const code = machine.load([
  [Code.set, 3, 3, 0xe8],
  [Code.call, 0, 0, 4],
  [Code.addNumber, 3, 3, -1],
  [Code.branch, 3, 0, -3],
  [Code.service, 0, 0, 1],
  [Code.halt],
  // r1 = the sum of 1 to 1000
  [Code.set, 1, 0, 0],
  [Code.set, 2, 3, 0xe8],
  [Code.add, 1, 1, 2],
  [Code.addNumber, 2, 2, -1],
  [Code.branch, 2, 0, -3],
  [Code.return],
]);
const process = new Process(machine).map(0x10000, code);
const exit = process.run(0x10000);
const { threadedRegions, regions, hotRegions, instructions } = machine.engine.translator.statistics;
console.log(`halted: ${exit === Exit.halt}`);
console.log(`${instructions} instructions translated in ${threadedRegions + regions} regions:`);
console.log(`${threadedRegions} to threaded code, ${regions - hotRegions} compiled in haste, ${hotRegions} with care`);
