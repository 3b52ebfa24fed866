import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodePacket, fromHex, PACKET_BYTES, type PacketEvent, PacketReader, toHex } from "./packets.ts";
import { GdbSession } from "./session.ts";
import type { BreakpointKind, DebugTarget, StopReason } from "./target.ts";

const bytes = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0));
const packet = (text: string): Uint8Array => encodePacket(bytes(text));

/** A processor with two registers and a page of memory at 1000H. */
class Model implements DebugTarget {
  readonly description: string = `<target>${"x".repeat(20)}</target>`;
  readonly registerCount = 2;
  readonly registers: Uint8Array[] = [new Uint8Array(4), new Uint8Array(2)];
  readonly memory: Uint8Array = new Uint8Array(4096);
  readonly breakpoints: Set<string> = new Set();
  readonly calls: string[] = [];
  onStop: (reason: StopReason) => void = () => {};
  readRegister(index: number): Uint8Array {
    return this.registers[index];
  }
  writeRegister(index: number, value: Uint8Array): boolean {
    if (index === 1) return false;
    this.registers[index] = value.slice();
    return true;
  }
  readMemory(address: bigint, length: number): Uint8Array {
    const at = Number(address) - 0x1000;
    return at < 0 || at >= 4096 ? new Uint8Array(0) : this.memory.subarray(at, at + length);
  }
  writeMemory(address: bigint, data: Uint8Array): boolean {
    const at = Number(address) - 0x1000;
    if (at < 0 || at + data.length > 4096) return false;
    this.memory.set(data, at);
    return true;
  }
  setBreakpoint(kind: BreakpointKind, address: bigint, length: number): boolean {
    if (kind === "access") return false;
    this.breakpoints.add(`${kind} ${address.toString(16)} ${length}`);
    return true;
  }
  clearBreakpoint(kind: BreakpointKind, address: bigint, length: number): boolean {
    return this.breakpoints.delete(`${kind} ${address.toString(16)} ${length}`);
  }
  resume(how: "continue" | "step"): void {
    this.calls.push(how);
  }
  interrupt(): void {
    this.onStop({ kind: "interrupted" });
  }
  monitor(command: string): string | undefined {
    return command === "info" ? "here\n" : undefined;
  }
  detach(): void {
    this.calls.push("detach");
  }
  kill(): void {
    this.calls.push("kill");
  }
}

class Conversation {
  readonly model: Model = new Model();
  readonly session: GdbSession;
  hungUp = false;
  private sent: Uint8Array[] = [];

  constructor() {
    this.session = new GdbSession(
      this.model,
      (data) => this.sent.push(data.slice()),
      () => {
        this.hungUp = true;
      },
    );
    this.session.receive(packet("QStartNoAckMode"));
    this.sent = [];
  }

  /** What comes back, packets as their data. */
  say(data: string | Uint8Array): string[] {
    this.sent = [];
    this.session.receive(typeof data === "string" ? packet(data) : data);
    return this.answers();
  }

  answers(): string[] {
    return this.sent.flatMap((each) =>
      [...new PacketReader().read(each)].map((event) =>
        event.kind === "packet" ? String.fromCharCode(...event.data) : event.kind,
      ),
    );
  }
}

describe("packets", () => {
  const whole = (data: Uint8Array, pieces: readonly number[]): PacketEvent[] => {
    const reader = new PacketReader();
    const encoded = encodePacket(data);
    const events: PacketEvent[] = [];
    let at = 0;
    for (const length of [...pieces, encoded.length]) {
      events.push(...reader.read(encoded.subarray(at, at + length)));
      at += length;
    }
    return events;
  };

  it("come out as they went in, in whatever pieces", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.array(fc.integer({ min: 1, max: 50 })), (data, pieces) => {
        expect(whole(data, pieces)).toEqual([{ kind: "packet", data: Uint8Array.from(data) }]);
      }),
    );
  });

  it("that are damaged or too long are told from others", () => {
    expect([...new PacketReader().read(bytes("$g#68$g#67\x03+-$g#zz"))].map(({ kind }) => kind)).toEqual(
      "damaged packet interrupt acknowledged refused damaged".split(" "),
    );
    expect(whole(new Uint8Array(PACKET_BYTES + 1), [])).toEqual([{ kind: "damaged" }]);
    // A packet that begins within another takes its place.
    expect([...new PacketReader().read(bytes("$abc$g#67"))]).toEqual([{ kind: "packet", data: bytes("g") }]);
  });

  it("have hexadecimal digits in pairs", () => {
    expect(toHex(Uint8Array.of(0, 0xab))).toBe("00ab");
    expect([fromHex("00AB"), fromHex("0"), fromHex("0g")]).toEqual([Uint8Array.of(0, 0xab), undefined, undefined]);
  });
});

describe("a session with gdb", () => {
  it("acknowledges until it is told not to, and repeats what was lost", () => {
    const sent: string[] = [];
    const session = new GdbSession(
      new Model(),
      (data) => sent.push(String.fromCharCode(...data)),
      () => {},
    );
    session.receive(bytes("$qC#b4"));
    session.receive(bytes("-"));
    session.receive(bytes("$qC#00"));
    expect(sent).toEqual(["+", "$QC1#c5", "$QC1#c5", "-"]);
  });

  it("reads and writes registers", () => {
    const talk = new Conversation();
    expect(talk.say("g")).toEqual(["000000000000"]);
    expect(talk.say("P0=01020304")).toEqual(["OK"]);
    expect(talk.say("p0")).toEqual(["01020304"]);
    expect(talk.say("G0403020100")).toEqual(["OK"]);
    expect(talk.say("g")).toEqual(["040302010000"]);
    for (const wrong of ["p2", "p", "P1=0000", "P0=01", "P0", "G0g", "G040302010001"])
      expect([wrong, ...talk.say(wrong)]).toEqual([wrong, "E16"]);
  });

  it("reads and writes memory as far as there is some", () => {
    const talk = new Conversation();
    expect(talk.say("M1ffe,2:abcd")).toEqual(["OK"]);
    expect(talk.say("m1ffd,4")).toEqual(["00abcd"]);
    expect(talk.say("X1000,3:}\x03}")).toEqual(["OK"]);
    expect(talk.say("X1000,0:")).toEqual(["OK"]);
    expect(talk.say("m1000,3")).toEqual([toHex(bytes("}\x03}"))]);
    for (const wrong of ["m0,1", "M1fff,2:0000"]) expect([wrong, ...talk.say(wrong)]).toEqual([wrong, "E0e"]);
    for (const wrong of ["m", "m10", "m10,", "mx,1", "M1000,2:00", "X1000,2:a", "m11111111111111111,1"])
      expect([wrong, ...talk.say(wrong)]).toEqual([wrong, "E16"]);
  });

  it("runs, steps and stops, and says why", () => {
    const talk = new Conversation();
    expect(talk.say("qSupported:swbreak+;xmlRegisters=i386")[0]).toContain("PacketSize=4000;");
    expect(talk.say("?")).toEqual(["T05thread:1;"]);
    expect(talk.say("c")).toEqual([]);
    expect(talk.say(Uint8Array.of(3))).toEqual(["T02thread:1;"]);
    expect(talk.say(Uint8Array.of(3))).toEqual([]);
    expect(talk.say("vCont;s:1;c")).toEqual([]);
    const stops: readonly (readonly [StopReason, string])[] = [
      [{ kind: "stepped" }, "T05thread:1;"],
      [{ kind: "software" }, "T05thread:1;swbreak:;"],
      [{ kind: "hardware" }, "T05thread:1;"],
      [{ kind: "write", address: 0xffff_8000_0000_1000n }, "T05thread:1;watch:ffff800000001000;"],
      [{ kind: "exited", status: 1 }, "W01"],
    ];
    for (const [reason, reply] of stops) {
      talk.model.onStop(reason);
      expect(talk.answers().at(-1)).toBe(reply);
      if (reason.kind !== "exited") talk.say("vCont;c");
    }
    expect(talk.say("c")).toEqual(["W01"]);
    expect(talk.model.calls.slice(0, 2)).toEqual(["continue", "step"]);
  });

  it("sets breakpoints of the kinds there are", () => {
    const talk = new Conversation();
    expect(
      ["Z0,1000,1", "Z1,2000,1;cond", "Z2,3000,8", "Z4,1,1", "Z5,1,1", "Z0,x,1"].map((each) => talk.say(each)[0]),
    ).toEqual(["OK", "OK", "OK", "E16", "", "E16"]);
    expect([...talk.model.breakpoints]).toEqual(["software 1000 1", "hardware 2000 1", "write 3000 8"]);
    expect([talk.say("z0,1000,1"), talk.say("z0,1000,1")]).toEqual([["OK"], ["E16"]]);
  });

  it("gives its description in pieces, and answers the user's own commands", () => {
    const talk = new Conversation();
    expect(talk.say("qXfer:features:read:target.xml:0,8")).toEqual(["m<target>"]);
    expect(talk.say("qXfer:features:read:target.xml:8,100")).toEqual([`l${"x".repeat(20)}</target>`]);
    expect(talk.say("qXfer:features:read:other.xml:0,8")).toEqual(["E00"]);
    expect(talk.say(`qRcmd,${toHex(bytes("info"))}`)).toEqual([toHex(bytes("here\n"))]);
    expect(talk.say("qRcmd,0")).toEqual(["E16"]);
    expect(talk.say("vMustReplyEmpty")).toEqual([""]);
  });

  it("ends by detaching, by killing, and when the connection does", () => {
    const detached = new Conversation();
    expect(detached.say("D")).toEqual(["OK"]);
    expect([detached.model.calls, detached.hungUp]).toEqual([["detach"], true]);
    expect(detached.say("g")).toEqual([]);
    const killed = new Conversation();
    killed.say("vKill;1");
    expect(killed.model.calls).toEqual(["kill"]);
    const lost = new Conversation();
    lost.session.closed();
    expect(lost.model.calls).toEqual(["detach"]);
  });

  it("answers any packet with one packet at most", () => {
    const word = fc.constantFrom(
      ..."? g G p P m M X c s C S Z z H T q Q v D k vCont; qXfer: qRcmd, Z0, m1000".split(" "),
    );
    const text = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)) });
    fc.assert(
      fc.property(fc.array(fc.tuple(word, text), { maxLength: 6 }), (packets) => {
        const talk = new Conversation();
        for (const [begin, rest] of packets) expect(talk.say(begin + rest).length).toBeLessThanOrEqual(1);
      }),
      { numRuns: 500 },
    );
  });
});
