/**
 * Random programs of the invented instruction set, in two processes that share pages, code and a code heap, played by the
 * engine and by the interpreter: they overwrite themselves and each other, remap their pages, run off their ends, and
 * stop anywhere. A seed stands for a program.
 */
import type { Tiers } from "./tiers.ts";
import { EngineExit, keepModules } from "@doppel/dbt-core";
import { Code, Exit, REGISTER_OFFSET } from "./toy-frontend.ts";
import { type ReferenceMapping, type Stop, ToyInterpreter } from "./toy-interpreter.ts";
import { ToyHost, ToyProcess } from "./toy-machine.ts";
import { guardPolicies } from "./tiers.ts";

const PHYSICAL_PAGES = 6;
const STEPS = 4000;
const MAX_SLICES = 100_000;
/** Where processes see physical pages 0..5; two of them twice, one in another order. */
const views: readonly (readonly (readonly [address: number, page: number, rights: string])[])[] = [
  [
    [0x10000, 0, "rwx"],
    [0x11000, 1, "rwx"],
    [0x12000, 2, "rwx"],
    [0x20000, 3, "rw"],
    [0x21000, 0, "rwx"],
    [0x30000, 4, "r"],
  ],
  [
    [0x10000, 0, "rwx"],
    [0x11000, 5, "rwx"],
    [0x12000, 2, "rx"],
    [0x20000, 3, "rw"],
    [0x40000, 1, "rwx"],
    [0x41000, 4, "rwx"],
  ],
];
const addresses = [0x10000, 0x11000, 0x12000, 0x20000, 0x21000, 0x30000, 0x40000, 0x41000];
const rightsOf = ["rwx", "rx", "rw", "rwx"];

/** xorshift, seeded. */
function choices(seed: number): (limit: number) => number {
  let state = seed | 1;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}

const usual = [
  Code.li,
  Code.add,
  Code.addi,
  Code.sub,
  Code.mov,
  Code.load,
  Code.store,
  Code.storeb,
  Code.storeb,
  Code.loadb,
  Code.bnez,
  Code.bnez,
  Code.jmp,
  Code.call,
  Code.call,
  Code.ret,
  Code.ret,
  Code.svc,
  Code.push,
  Code.pop,
  Code.jr,
  Code.callr,
  Code.trap,
  Code.pc,
  Code.fill,
  Code.loadi,
  Code.mode,
  Code.addi,
  Code.li,
];

function randomCode(below: (limit: number) => number, bytes: Uint8Array): void {
  for (let at = 0; at + 3 <= bytes.length; at += 3) {
    const code = usual[below(usual.length)];
    const jumps = code === Code.bnez || code === Code.jmp || code === Code.call;
    // Only now and then an end, or a jump far away.
    const rare = below(30) === 0;
    bytes[at] = rare ? Code.halt : code;
    bytes[at + 1] = below(8);
    bytes[at + 2] = jumps
      ? below(3) === 0
        ? 60 + below(60)
        : below(24) - 8
      : code === Code.addi || code === Code.li
        ? below(16) - 4
        : below(8);
  }
}

/** One of the two processes, in both worlds. */
class Pair {
  readonly process: ToyProcess;
  readonly reference: ToyInterpreter;
  private readonly pages: readonly number[];
  private readonly physical: Uint8Array;

  constructor(host: ToyHost, pages: readonly number[], physical: Uint8Array) {
    this.pages = pages;
    this.physical = physical;
    this.process = new ToyProcess(host);
    this.reference = new ToyInterpreter(physical, (code) => this.serve(code, this.reference.registers, true));
  }

  map(address: number, page: number, rights: string, inReference: boolean): void {
    const mapping: ReferenceMapping = { page, rights };
    if (inReference) this.reference.mappings.set(BigInt(address / 4096), mapping);
    else this.process.map(address, this.pages[page], rights);
  }

  /** What `svc` does follows from registers alone, so that both worlds do the same. */
  serve(code: number, registers: readonly bigint[], inReference: boolean): boolean {
    const small = (index: number, limit: number): number => Number(BigInt.asUintN(16, registers[index])) % limit;
    if ((code & 3) === 1) {
      const [page, offset, value] = [small(0, PHYSICAL_PAGES), small(1, 400), small(2, 256)];
      if (inReference) this.physical[page * 4096 + offset] = value;
      else this.process.host.deviceWrite(this.pages[page], offset, [value]);
    } else if ((code & 3) === 2) {
      this.map(addresses[small(0, addresses.length)], small(1, PHYSICAL_PAGES), rightsOf[small(2, 4)], inReference);
    }
    return (code & 3) === 3;
  }

  /** The engine's stop, over as many slices and services as it takes. */
  run(below: (limit: number) => number): Stop {
    const { process } = this;
    for (let slices = 0; ; slices++) {
      if (slices === MAX_SLICES) throw new Error("the engine does not come to the stop that the interpreter came to");
      let left = false;
      process.host.service = (_context, code) => (left = this.serve(code, process.registers, false));
      const code = process.run(undefined, below(4) === 0 ? below(5) : 200);
      if (code === EngineExit.budget || (code === EngineExit.service && !left)) continue;
      const { address, access, reason } = process.fault;
      const detail =
        code === EngineExit.pageFault
          ? `${address.toString(16)} ${access} ${reason}`
          : code === Exit.trap || code === EngineExit.service
            ? `${process.payload}`
            : "";
      return { code, detail };
    }
  }
}

function describeStop({ code, detail }: Stop, pc: bigint, registers: readonly bigint[]): string {
  return `code ${code} ${detail}, pc ${pc.toString(16)}, registers ${registers.join(" ")}`;
}

/** Plays a program in both worlds. Throws where they differ; returns how often they were compared. */
export function play(seed: number, translator: Tiers): number {
  const below = choices(seed);
  const host = new ToyHost(translator, 1 << 20, guardPolicies[below(guardPolicies.length)], {
    // Often a heap that has to evict all the time.
    maximumSize: below(2) === 0 ? Infinity : 2000 + below(20_000),
  });
  const pages = Array.from({ length: PHYSICAL_PAGES }, () => host.memory.allocatePage());
  const physical = new Uint8Array(PHYSICAL_PAGES * 4096);
  randomCode(below, physical);
  pages.forEach((page, index) =>
    host.memory.bytes.set(physical.subarray(index * 4096, (index + 1) * 4096), page * 4096),
  );
  const pairs = views.map((view) => {
    const pair = new Pair(host, pages, physical);
    for (const [address, page, rights] of view)
      for (const inReference of [true, false]) pair.map(address, page, rights, inReference);
    return pair;
  });
  let stops = 0;
  for (; stops < 24; stops++) {
    const pair = pairs[below(pairs.length)];
    const { process, reference } = pair;
    // Between runs, too, code and mappings change.
    if (below(2) === 0) {
      const registers = [below(8), below(400), below(4)].map(BigInt);
      const code = 1 + below(2);
      for (const inReference of [true, false]) pair.serve(code, registers, inReference);
    }
    const entry = addresses[below(3)] + (below(3) === 0 ? 4080 + below(16) : 3 * below(8));
    if (reference.pc === 0n || below(4) > 0) reference.pc = BigInt(entry);
    for (let index = 0; index < 8; index++) {
      if (below(3) === 0) continue;
      const near = below(3) === 0 ? 4096 - below(12) : below(160);
      reference.registers[index] =
        below(4) === 0 ? BigInt(below(20) - 4) : BigInt(addresses[below(addresses.length)] + near);
    }
    process.pc = reference.pc;
    process.context.mode = reference.mode = below(2);
    const { view } = host.memory;
    reference.registers.forEach((value, index) =>
      view.setBigInt64(process.context.pointer + REGISTER_OFFSET + 8 * index, value, true),
    );

    const expected = reference.run(STEPS);
    // It may never stop.
    if (expected === undefined) break;
    const actual = pair.run(below);
    const place = `seed ${seed}, stop ${stops}: `;
    const wanted = describeStop(expected, BigInt.asUintN(64, reference.pc), reference.registers);
    const found = describeStop(actual, process.pc, process.registers);
    if (found !== wanted) throw new Error(`${place}\n  expected ${wanted}\n  found    ${found}`);
    const different = physical.findIndex(
      (byte, at) => byte !== host.memory.bytes[pages[at >> 12] * 4096 + (at & 4095)],
    );
    if (different >= 0) throw new Error(`${place}physical byte ${different} differs`);
  }
  keepModules(host.engine);
  return stops;
}
