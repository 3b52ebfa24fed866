/**
 * A native function bound into the invented instruction set: `memcpy` of guest code, byte by byte, has a twin of
 * @doppel/native-binding in its place, and is called where the twin declines.
 *
 * The twin is declared for the x86-64 calling convention, so the registers it asks for are mapped: RDI RSI RDX are
 * r1 r2 r3, RAX is r1, too.
 */
import { type Context, type EntryCode, entryBlock, GUEST_CODE } from "@doppel/dbt-core";
import { PAGE_BYTES } from "@doppel/guard-memory";
import { type BindingStatistics, NativeProcess, Outcome, twins } from "@doppel/native-binding";
import { Code, LINK, type Program, REGISTERS } from "./isa.ts";
import { Machine, Process } from "./machine.ts";

const PROGRAM = 0x10000;
/** Copies 14 bytes. */
const main: Program = [
  [Code.set, 1, 0x50],
  [Code.set, 2, 0x30],
  [Code.set, 3, 0, 14],
  [Code.call, 0, 0, 1],
  [Code.halt],
];
/** Copies r3 bytes (not 0) from r2 to r1. */
const guestMemcpy: Program = [
  [Code.addNumber, 4, 1, 0],
  [Code.loadByte, 6, 2, 0],
  [Code.storeByte, 6, 4, 0],
  [Code.addNumber, 2, 2, 1],
  [Code.addNumber, 4, 4, 1],
  [Code.addNumber, 3, 3, -1],
  [Code.branch, 3, 0, -6],
  [Code.return],
];
const FUNCTION: number = PROGRAM + 4 * main.length;

const registerOf: Readonly<Record<number, number>> = { 7: 1, 6: 2, 2: 3, 0: 1, 4: 14 };
const memcpy = twins.find(({ name }) => name === "memcpy")!;
const statistics: BindingStatistics = { calls: 0, declined: 0, callbacks: 0 };

/** Where a region begins at the function: the helper, and then either a return or the guest's own code. */
const entry: EntryCode = {
  sourceBytes: 4 * guestMemcpy.length,
  lift: (b) => {
    b.beginBlock(entryBlock(0));
    b.beginInstruction(0, 0);
    const returned = b.callHelper(0, [b.i32(0)]);
    b.branch(returned, entryBlock(1), GUEST_CODE);
    b.beginBlock(entryBlock(1));
    b.beginInstruction(0, 0);
    b.return(b.get(LINK));
  },
};

const machine = new Machine({
  entryCode: (_context, _page, address) => (address === FUNCTION ? entry : undefined),
  native: (pointer) => (callOf(machine.engine.contextAt(pointer)!).call(memcpy, 0) === Outcome.returned ? 1 : 0),
});
const { memory } = machine;

function callOf(context: Context): NativeProcess {
  const place = (register: number): number => context.pointer + REGISTERS + 8 * registerOf[register];
  return new NativeProcess(
    {
      bytes: memory.bytes,
      view: memory.view,
      abi: "amd64",
      registers: {
        low: (register) => memory.view.getInt32(place(register), true),
        high: (register) => memory.view.getInt32(place(register) + 4, true),
        set: (register, low, high) => {
          memory.view.setInt32(place(register), low, true);
          memory.view.setInt32(place(register) + 4, high, true);
        },
        vectorWord: () => 0,
        setVectorWord: () => {},
      },
      hostRange: (low, high, length, write) => context.hostRange(low, high, length, write),
      storeRange: (low, high, length) => context.storeRange(low, high, length),
      spend: () => {},
      resolve: () => undefined,
    },
    { functions: new Map([[memcpy.name, memcpy]]), bindPoints: [], statistics: () => statistics },
  );
}

const data = [0, 1, 2].map(() => memory.allocatePage());
const process = new Process(machine).map(PROGRAM, machine.load([...main, ...guestMemcpy])).map(0x3000, data);
const [from, , to] = data;
memory.bytes.set(new TextEncoder().encode("copied at once"), from * PAGE_BYTES);
const copied = (): string => new TextDecoder().decode(memory.bytes.subarray(to * PAGE_BYTES, to * PAGE_BYTES + 14));

console.log(`exit ${process.run(PROGRAM)}: "${copied()}", ${statistics.calls} native calls`);
// What was copied to goes away: the twin declines, and the guest's own function faults at its own store.
process.unmap(0x5000);
const exit = process.run(PROGRAM);
const { at, fault } = process;
console.log(
  `exit ${exit} at 0x${at.toString(16)}, writing 0x${fault.toString(16)}; ${statistics.declined} calls declined`,
);
