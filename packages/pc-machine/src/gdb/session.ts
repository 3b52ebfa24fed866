/**
 * gdb's remote serial protocol, the stub's side, for one thread (GDB manual, appendix E): bytes in, bytes out, and what the
 * packets ask for done to a `DebugTarget`. All-stop: while the target runs, the only thing to come is an interrupt.
 */
import { encodePacket, fromHex, PACKET_BYTES, PacketReader, toHex } from "./packets.ts";
import type { BreakpointKind, DebugTarget, StopReason } from "./target.ts";

const SIGINT = 2;
const SIGTRAP = 5;
const OK = "OK";
/** "" says: unknown packet. */
const UNKNOWN = "";
const ERROR_ARGUMENT = "E16";
const ERROR_MEMORY = "E0e";

/** By the number behind Z and z. */
const breakpointKinds: readonly BreakpointKind[] = ["software", "hardware", "write", "read", "access"];
const watchNames = { write: "watch", read: "rwatch", access: "awatch" } as const;

/** Answers: text, or nothing when the target runs and the answer is its stop. */
type Answer = string | undefined;

export class GdbSession {
  private readonly target: DebugTarget;
  private readonly send: (bytes: Uint8Array) => void;
  private readonly hangUp: () => void;
  private readonly reader: PacketReader = new PacketReader();
  private acknowledges = true;
  private isRunning = false;
  private isOver = false;
  private lastSent: Uint8Array = new Uint8Array(0);
  private lastStop: StopReason = { kind: "stepped" };
  /** What the debugger said it understands in stop replies. */
  private knowsReason = { software: false, hardware: false };

  /** The target is stopped. `hangUp` is called when the debugger is done. */
  constructor(target: DebugTarget, send: (bytes: Uint8Array) => void, hangUp: () => void) {
    this.target = target;
    this.send = send;
    this.hangUp = hangUp;
    target.onStop = (reason) => this.stopped(reason);
  }

  receive(bytes: Uint8Array): void {
    for (const event of this.reader.read(bytes)) {
      if (this.isOver) return;
      switch (event.kind) {
        case "packet": {
          if (this.acknowledges) this.send(Uint8Array.of(0x2b));
          const answer = this.answer(event.data);
          if (answer !== undefined) this.reply(answer);
          break;
        }
        case "damaged":
          if (this.acknowledges) this.send(Uint8Array.of(0x2d));
          break;
        case "refused":
          if (this.lastSent.length > 0) this.send(this.lastSent);
          break;
        case "interrupt":
          if (this.isRunning) this.target.interrupt();
          break;
        case "acknowledged":
          break;
      }
    }
  }

  /** The connection is gone. */
  closed(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.target.detach();
  }

  private reply(text: string): void {
    this.lastSent = encodePacket(Uint8Array.from(text, (character) => character.charCodeAt(0)));
    this.send(this.lastSent);
  }

  private stopped(reason: StopReason): void {
    this.lastStop = reason;
    if (!this.isRunning || this.isOver) return;
    this.isRunning = false;
    this.reply(this.stopReply());
  }

  private stopReply(): string {
    const reason = this.lastStop;
    const trap = `T${hexByte(SIGTRAP)}thread:1;`;
    switch (reason.kind) {
      case "exited":
        return `W${hexByte(reason.status)}`;
      case "interrupted":
        return `T${hexByte(SIGINT)}thread:1;`;
      case "stepped":
        return trap;
      case "software":
      case "hardware":
        return this.knowsReason[reason.kind] ? `${trap}${reason.kind === "software" ? "sw" : "hw"}break:;` : trap;
      default:
        return `${trap}${watchNames[reason.kind]}:${reason.address.toString(16)};`;
    }
  }

  private answer(data: Uint8Array): Answer {
    // Bytes are characters: only X has some that are no text.
    const packet = String.fromCharCode(...data);
    const rest = packet.slice(1);
    switch (packet[0]) {
      case "?":
        return this.stopReply();
      case "g":
        return this.readAllRegisters();
      case "G":
        return this.writeAllRegisters(rest);
      case "p":
        return this.readRegister(rest);
      case "P":
        return this.writeRegister(rest);
      case "m":
        return this.readMemory(rest);
      case "M":
      case "X":
        return this.writeMemory(rest, packet[0] === "X");
      case "c":
      case "s":
        return this.resumeAt(packet[0] === "s", rest);
      case "C":
      case "S":
        // Signals are a process's.
        return this.resumeAt(packet[0] === "S", /;(.*)$/.exec(rest)?.[1] ?? "");
      case "Z":
      case "z":
        return this.changeBreakpoint(packet[0] === "Z", rest);
      case "H":
      case "T":
        return OK;
      case "q":
      case "Q":
        return this.query(packet);
      case "v":
        return this.verbose(packet);
      case "D":
        this.reply(OK);
        this.end(() => this.target.detach());
        return undefined;
      case "k":
        this.end(() => this.target.kill());
        return undefined;
      default:
        return UNKNOWN;
    }
  }

  private end(last: () => void): void {
    this.isOver = true;
    last();
    this.hangUp();
  }

  // Registers.

  private readAllRegisters(): string {
    const { target } = this;
    let text = "";
    for (let index = 0; index < target.registerCount; index++) text += toHex(target.readRegister(index));
    return text;
  }

  private writeAllRegisters(text: string): string {
    const { target } = this;
    const values = fromHex(text);
    if (values === undefined) return ERROR_ARGUMENT;
    let at = 0;
    for (let index = 0; index < target.registerCount; index++) {
      const now = target.readRegister(index);
      const value = values.subarray(at, at + now.length);
      at += now.length;
      if (value.length < now.length) break;
      // What cannot be written may come back as it was.
      if (toHex(value) !== toHex(now) && !target.writeRegister(index, value)) return ERROR_ARGUMENT;
    }
    return OK;
  }

  private registerIndex(text: string): number | undefined {
    const index = /^[0-9a-f]{1,4}$/i.test(text) ? Number.parseInt(text, 16) : -1;
    return index >= 0 && index < this.target.registerCount ? index : undefined;
  }

  private readRegister(text: string): string {
    const index = this.registerIndex(text);
    return index === undefined ? ERROR_ARGUMENT : toHex(this.target.readRegister(index));
  }

  private writeRegister(text: string): string {
    const [, number = "", digits = ""] = /^([^=]*)=(.*)$/.exec(text) ?? [];
    const index = this.registerIndex(number);
    const value = fromHex(digits);
    if (index === undefined || value?.length !== this.target.readRegister(index).length) return ERROR_ARGUMENT;
    return this.target.writeRegister(index, value) ? OK : ERROR_ARGUMENT;
  }

  // Memory.

  private readMemory(text: string): string {
    const [address, length] = range(text) ?? [];
    if (address === undefined || length === undefined) return ERROR_ARGUMENT;
    const data = this.target.readMemory(address, Math.min(length, PACKET_BYTES / 2));
    return data.length === 0 && length > 0 ? ERROR_MEMORY : toHex(data);
  }

  private writeMemory(text: string, isBinary: boolean): string {
    const colon = text.indexOf(":");
    const [address, length] = range(text.slice(0, colon)) ?? [];
    const content = text.slice(colon + 1);
    const data = isBinary ? Uint8Array.from(content, (character) => character.charCodeAt(0)) : fromHex(content);
    if (address === undefined || data === undefined || data.length !== length) return ERROR_ARGUMENT;
    return data.length === 0 || this.target.writeMemory(address, data) ? OK : ERROR_MEMORY;
  }

  // Running.

  private resumeAt(isStep: boolean, address: string): Answer {
    if (address !== "") return ERROR_ARGUMENT;
    return this.resume(isStep);
  }

  private resume(isStep: boolean): Answer {
    if (this.lastStop.kind === "exited") return this.stopReply();
    if (this.isRunning) return ERROR_ARGUMENT;
    this.isRunning = true;
    this.target.resume(isStep ? "step" : "continue");
    return undefined;
  }

  private changeBreakpoint(isSet: boolean, text: string): string {
    const [, type = "", where = ""] = /^(\d),([^;]*)/.exec(text) ?? [];
    const kind = breakpointKinds[Number(type)];
    const [address, length] = range(where) ?? [];
    if (kind === undefined) return UNKNOWN;
    if (address === undefined || length === undefined) return ERROR_ARGUMENT;
    const change = isSet ? "setBreakpoint" : "clearBreakpoint";
    return this.target[change](kind, address, length) ? OK : ERROR_ARGUMENT;
  }

  private verbose(packet: string): Answer {
    if (packet === "vCont?") return "vCont;c;C;s;S";
    if (packet === "vCtrlC") {
      this.target.interrupt();
      return OK;
    }
    if (packet.startsWith("vKill")) {
      this.reply(OK);
      this.end(() => this.target.kill());
      return undefined;
    }
    // There is one thread: the first action is for it.
    const action = /^vCont;([cCsS])/.exec(packet)?.[1];
    return action === undefined ? UNKNOWN : this.resume(action === "s" || action === "S");
  }

  // Questions.

  private query(packet: string): string {
    const [name] = packet.split(/[:,;]/, 1);
    switch (name) {
      case "qSupported":
        this.knowsReason = { software: packet.includes("swbreak+"), hardware: packet.includes("hwbreak+") };
        return `PacketSize=${PACKET_BYTES.toString(16)};QStartNoAckMode+;qXfer:features:read+;vContSupported+;swbreak+;hwbreak+`;
      case "QStartNoAckMode":
        this.acknowledges = false;
        return OK;
      case "qXfer":
        return this.readDescription(packet);
      case "qAttached":
        return "1";
      case "qC":
        return "QC1";
      case "qfThreadInfo":
        return "m1";
      case "qsThreadInfo":
        return "l";
      case "qThreadExtraInfo":
        return toHex(new TextEncoder().encode("CPU 0"));
      case "qSymbol":
        return OK;
      case "qRcmd":
        return this.monitor(packet.slice("qRcmd,".length));
      default:
        return UNKNOWN;
    }
  }

  private readDescription(packet: string): string {
    const where = /^qXfer:features:read:target\.xml:(.*)$/.exec(packet)?.[1];
    if (where === undefined) return packet.startsWith("qXfer:features:read:") ? "E00" : UNKNOWN;
    const [offset, length] = range(where) ?? [];
    if (offset === undefined || length === undefined) return ERROR_ARGUMENT;
    const { description } = this.target;
    const part = description.slice(Number(offset), Number(offset) + Math.min(length, PACKET_BYTES / 2));
    return (Number(offset) + part.length < description.length ? "m" : "l") + part;
  }

  private monitor(digits: string): string {
    const command = fromHex(digits);
    if (command === undefined) return ERROR_ARGUMENT;
    const printed = this.target.monitor(new TextDecoder().decode(command).trim());
    const text = printed ?? "there is no such command: monitor help lists them\n";
    return text === "" ? OK : toHex(new TextEncoder().encode(text));
  }
}

/** `address,length`, in hexadecimal; undefined for what is none of 64 and 32 bits. */
function range(text: string): readonly [address: bigint, length: number] | undefined {
  const [, address, length] = /^([0-9a-f]{1,16}),([0-9a-f]{1,8})$/i.exec(text) ?? [];
  return length === undefined ? undefined : [BigInt(`0x${address}`), Number.parseInt(length, 16)];
}

function hexByte(value: number): string {
  return (value & 0xff).toString(16).padStart(2, "0");
}
