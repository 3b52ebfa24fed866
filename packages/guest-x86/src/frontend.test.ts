import {
  type Block,
  blockKey,
  Flow,
  type JumpDistances,
  ModuleEmitter,
  Op,
  operations,
  RegionBuilder,
  RegionDiscovery,
  Terminator,
} from "@doppel/dbt-core";
import { formatRegion } from "@doppel/dbt-core/text";
import { describe, expect, it } from "vitest";
import { X86Frontend } from "./frontend.ts";
import { helpers } from "./helpers.ts";
import { ExitCode, ModeBit, Service, slots, Vector } from "./state.ts";

const bytes = (hex: string): Uint8Array =>
  Uint8Array.from(hex.match(/[0-9a-f]{2}/g)!, (byte) => Number.parseInt(byte, 16));

/** The code as one region, entered at its first byte. */
function lift(
  hex: string,
  mode: number = ModeBit.long,
  distances?: JumpDistances,
  frontend: X86Frontend = new X86Frontend(),
): RegionBuilder {
  const memory = new Uint8Array(2 * 4096).fill(0xcc, 4096);
  memory.set(bytes(hex), 4096);
  const builder = new RegionBuilder(slots, helpers);
  const discovery = new RegionDiscovery(frontend, {
    bytes: memory,
    guard: () => {},
    isCheckedOnUse: () => false,
  });
  const fetch = (address: number): number => (address === 0x1000 ? 1 : -1);
  discovery.discover(0x1000, mode, fetch, builder, { limit: 100, distances });
  return builder;
}

const layout = {
  tlb: {
    offset: 4096,
    indexBits: 8,
    entryShift: 5,
    readTag: 0,
    writeTag: 16,
    addend: 8,
    state: 12,
    byGranule: 8,
    pageShift: 12,
  },
  guardWords: 0,
  cells: 0,
  jumpCache: { offset: 65536, indexBits: 8 },
};

/** The module the code becomes. */
function emit(hex: string): Uint8Array {
  const emitter = new ModuleEmitter(layout, helpers, 16);
  emitter.begin();
  emitter.addRegion(lift(hex), { slotFor: () => 0 }, { narrowAddresses: false, counter: 0 });
  return emitter.finish(8);
}

function lastBlock(builder: RegionBuilder): Block {
  return builder.blocks[builder.blocks.length - 1];
}

const nameOf = (builder: RegionBuilder, node: number): string => operations[builder.op[node]].name;

describe("fields that may hold addresses of a kernel", () => {
  const fieldsOf = (hex: string): number[] => {
    const builder = lift(hex);
    const nodes = Array.from({ length: builder.nodeCount }, (_, node) => node).filter((node) => builder.isField(node));
    return nodes
      .sort((m, n) => builder.z[m] - builder.z[n])
      .flatMap((node) => [builder.z[node], builder.immediate[node]]);
  };
  it.each([
    ["mov rdi, -0x7edcba99; ret", "48 c7 c7 67 45 23 81 c3", [3, -0x7edcba99]],
    ["mov rax, 0xffffffff81234567; ret", "48 b8 67 45 23 81 ff ff ff ff c3", [2, -0x7edcba99]],
    ["mov rax, [rcx * 8 - 0x7edcba99]; ret", "48 8b 04 cd 67 45 23 81 c3", [4, -0x7edcba99]],
    [
      "mov qword [rbx - 0x7edcba99], -0x7edcba98; ret",
      "48 c7 83 67 45 23 81 68 45 23 81 c3",
      [3, -0x7edcba99, 7, -0x7edcba98],
    ],
    ["mov edi, 0x81234567; ret", "bf 67 45 23 81 c3", []],
    ["mov rdi, -0x1000; ret", "48 c7 c7 00 f0 ff ff c3", []],
    ["mov rax, [rip - 0x7edcba99]; ret", "48 8b 05 67 45 23 81 c3", []],
  ])("%s", (_name, hex, expected) => {
    expect(fieldsOf(hex)).toEqual(expected);
  });

  it("decide where something is made of their value: lea eax, [-0x7edcba99]", () => {
    expect(lift("8d 04 25 67 45 23 81 c3").decisive).toEqual([3]);
  });
});

describe("optional bits of the mode", () => {
  it.each([
    ["add eax, ecx; ret", "01 c8 c3", 0],
    ["popcnt eax, ecx; mfence; ret", "f3 0f b8 c1 0f ae f0 c3", 0],
    ["movups xmm0, xmm1; ret", "0f 10 c1 c3", ModeBit.noFloat],
    ["fninit; ret", "db e3 c3", ModeBit.noFloat],
    ["divss xmm0, xmm1; ret", "f3 0f 5e c1 c3", ModeBit.noFloat | ModeBit.exactFloat],
  ])("that code goes by: %s", (_text, hex, expected) => {
    for (const exact of [0, ModeBit.exactFloat]) {
      const frontend = new X86Frontend();
      lift(hex, ModeBit.long | exact, undefined, frontend);
      expect(frontend.usedModeBits).toBe(expected);
    }
  });

  it("a vector instruction is the machine's where it may not use the registers", () => {
    const mode = ModeBit.long | ModeBit.machine | ModeBit.supervisor | ModeBit.noFloat;
    const block = lastBlock(lift("0f 10 c1 c3", mode));
    expect([block.terminator, block.target]).toEqual([Terminator.exit, ExitCode.privileged]);
  });
});

describe("bytes that are no instruction", () => {
  it("raise #UD where they are undefined", () => {
    const block = lastBlock(lift("0f 0b"));
    expect([block.terminator, block.target]).toEqual([Terminator.exit, ExitCode.exception + Vector.invalidOpcode]);
    expect(lastBlock(lift("06")).target).toBe(ExitCode.exception + Vector.invalidOpcode);
  });

  it("raise #GP(0) where there are more than 15 of them", () => {
    const block = lastBlock(lift("66".repeat(16) + "90"));
    expect([block.target, block.payload]).toEqual([ExitCode.exception + Vector.generalProtection, 0]);
  });
});

describe("privilege", () => {
  it("a program's privileged instructions raise #GP(0), a supervisor's leave for the machine", () => {
    expect(lastBlock(lift("fa")).target).toBe(ExitCode.exception + Vector.generalProtection);
    expect(lastBlock(lift("0f 22 d8")).target).toBe(ExitCode.exception + Vector.generalProtection);
    expect(lastBlock(lift("0f 22 d8", ModeBit.long | ModeBit.supervisor)).target).toBe(ExitCode.privileged);
    expect(lastBlock(lift("f4", ModeBit.long | ModeBit.supervisor)).target).toBe(ExitCode.halt);
  });
});

describe("a region that dispatches", () => {
  // cmp eax, ecx; jb over the next; jne over the next; jmp rax; nop; ret
  const code = "39 c8 72 02 75 00 ff e0 90 c3";
  const blocks = (builder: RegionBuilder): string[] =>
    formatRegion(builder)
      .replaceAll(/v\d+/g, "v")
      .split(/^(?=block )/m);

  it("begins with a block that knows where its indirect jumps went, and is else what it would be", () => {
    const plain = blocks(lift(code));
    const dispatching = lift(code, ModeBit.long, () => [2]);
    expect(dispatching.blocks[0].terminator).toBe(Terminator.dispatch);
    expect(dispatching.dispatchTargets).toEqual([0, 8].map((offset) => blockKey(offset)));
    const others = blocks(dispatching).filter((text) => !text.includes("dispatch"));
    expect(plain).toEqual(expect.arrayContaining(others.filter((text) => !text.startsWith("block +0x8"))));
  });
});

describe("control transfer", () => {
  it("system calls are services that go on behind themselves", () => {
    const frontend = new X86Frontend();
    const code = bytes("0f 05");
    expect(frontend.decode(0, code, 0, 2, ModeBit.long)).toBe(2);
    expect(frontend.flow(0)).toBe(Flow.service);
    const block = lift("0f 05 c3").blocks[0];
    expect([block.terminator, block.target, block.next]).toEqual([Terminator.service, Service.syscall, 8]);
  });

  it("INT 80H is one too, other INTs are interrupts", () => {
    expect(lift("cd 80", 0).blocks[0].target).toBe(Service.interrupt80);
    const block = lift("cd 03", 0).blocks[0];
    expect([block.target, block.payload, block.next]).toEqual([ExitCode.interrupt, 3, 8]);
  });

  it("an instruction cut off by the end of the bytes has no length", () => {
    expect(new X86Frontend().decode(0, bytes("48 8b"), 0, 2, ModeBit.long)).toBe(0);
  });
});

describe("flags in lifted code", () => {
  it("F3 CMP and JL are one comparison", () => {
    const builder = lift("48 39 d8 7c 01 c3 c3");
    const block = builder.blocks[0];
    expect(block.terminator).toBe(Terminator.branch);
    expect(nameOf(builder, block.value)).toBe("i64LtS");
    expect(nameOf(builder, builder.x[block.value])).toBe("getStateI64");
  });

  it("F3 the comparison is known in the blocks that follow it alone", () => {
    // cmp eax, ebx; je +4; jl -> ret
    const builder = lift("39 d8 74 03 7c 01 c3 c3");
    const second = builder.blocks.find((block) => block.key === 4 * 4)!;
    expect(nameOf(builder, second.value)).toBe("i32LtS");
  });

  it("F7 a call leaves its callee's flags, whatever they are", () => {
    // cmp eax, ebx; call +2; jl -> ret
    const builder = lift("39 d8 e8 10 00 00 00 7c 01 c3 c3");
    const behind = builder.blocks.find((block) => block.key === 7 * 4)!;
    const called = [...builder.op.subarray(behind.firstNode, behind.endNode)].includes(Op.callHelper);
    expect(called).toBe(true);
  });

  it("F8 a record that is overwritten before use leaves no code behind", () => {
    // add rax, rbx against lea rax, [rax + rbx], then cmp rax, rcx; ret: the same but for where instructions start.
    const withFlags = emit("48 01 d8 90 48 39 c8 c3");
    const without = emit("48 8d 04 18 48 39 c8 c3");
    expect(withFlags).toEqual(without);
  });
});

describe("operands", () => {
  it("a 32-bit result clears the register's upper half, 8 and 16 bits keep the rest", () => {
    const wide = lift("89 d8 c3");
    const narrow = lift("88 d8 c3");
    const stored = (builder: RegionBuilder): string => {
      for (let node = 0; node < builder.nodeCount; node++) {
        if (builder.op[node] === Op.setState && builder.immediate[node] === 0) return nameOf(builder, builder.x[node]);
      }
      return "nothing";
    };
    expect(stored(wide)).toBe("i64ExtendI32U");
    expect(stored(narrow)).toBe("i64Or");
  });

  it("a 64-bit division by a value the dividend was just extended for takes one part", () => {
    // cqo; idiv rcx; ret
    const builder = lift("48 99 48 f7 f9 c3");
    const first = builder.blocks.find((block) => block.key === 2 * 4) ?? builder.blocks[0];
    expect(first.terminator === Terminator.branch || first.terminator === Terminator.jump).toBe(true);
  });
});
