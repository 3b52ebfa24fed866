/** Guest memory of a few pages with a soft TLB in front, and the twins in WebAssembly over it. */
import { wasmTwinModule, type WasmTwinName } from "../wasm/twins.ts";

export const PAGE = 4096;
export const PAGES = 16;
export const CONTEXT: number = 15 * PAGE * PAGES;
const REGISTERS = 64;
const OUTCOME = 32;
const TLB = { offset: 256, indexBits: 4, entryShift: 5, readTag: 0, writeTag: 16, addend: 8 };
const [RAX, RDX, RSI, RDI] = [0, 2, 6, 7];
const RETURNED = 1n;
/** Guest-virtual page n, from BASE, is physical page 2n + 1: neighbours are not neighbours in memory. */
const physical = (page: number): number => 2 * page + 1;
export const BASE = 0x7fff_0000_0000n;

export class TwinMachine {
  readonly memory: WebAssembly.Memory = new WebAssembly.Memory({ initial: 16, maximum: 16 });
  readonly bytes: Uint8Array = new Uint8Array(this.memory.buffer);
  readonly view: DataView = new DataView(this.memory.buffer);
  readonly exports: Record<string, CallableFunction>;
  readable: (page: number) => boolean = () => true;
  writable: (page: number) => boolean = () => true;
  /** Calls that went on to JavaScript, and units of time taken. */
  slow = 0;
  spent = 0;

  constructor() {
    const module = new WebAssembly.Module(
      wasmTwinModule({ memoryPages: 16, tlb: TLB, registers: REGISTERS, outcome: OUTCOME }),
    );
    const e = {
      memory: this.memory,
      translate: (_context: number, low: number, high: number, write: number) => this.translate(low, high, write !== 0),
      slow: () => {
        this.slow++;
        return 0;
      },
      spend: (_context: number, units: number) => {
        this.spent += units;
        return 0;
      },
    };
    this.exports = new WebAssembly.Instance(module, { e }).exports as Record<string, CallableFunction>;
  }

  private translate(low: number, high: number, write: boolean): number {
    const address = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
    const page = Number((address - BASE) >> 12n);
    if (page < 0 || page >= PAGES || !(write ? this.writable(page) : this.readable(page))) return 0;
    const host = physical(page) * PAGE;
    const entry = CONTEXT + TLB.offset + (((low >>> 12) & 15) << TLB.entryShift);
    const tag = address & ~4095n;
    this.view.setBigUint64(entry, this.readable(page) ? tag : 1n << 12n, true);
    this.view.setBigUint64(entry + 16, this.writable(page) ? tag : 1n << 12n, true);
    for (const addend of [entry + 8, entry + 24])
      this.view.setInt32(addend, (host - Number(BigInt.asIntN(32, tag))) | 0, true);
    return host + (low & 4095);
  }

  /** RAX, or undefined when the call went on to JavaScript. */
  call(name: WasmTwinName, rdi: bigint, rsi: bigint, rdx = 0n): bigint | undefined {
    const register = (n: number, value: bigint): void =>
      this.view.setBigUint64(CONTEXT + REGISTERS + 8 * n, BigInt.asUintN(64, value), true);
    register(RDI, rdi);
    register(RSI, rsi);
    register(RDX, rdx);
    this.view.setInt32(CONTEXT + OUTCOME, 0, true);
    if (this.exports[name](CONTEXT, 0) !== 0) throw new Error(`${name} wants to leave`);
    if (BigInt(this.view.getInt32(CONTEXT + OUTCOME, true)) !== RETURNED) return undefined;
    return this.view.getBigUint64(CONTEXT + REGISTERS + 8 * RAX, true);
  }

  read64(at: number): bigint {
    return this.view.getBigUint64(this.host(at), true);
  }
  read32(at: number): number {
    return this.view.getUint32(this.host(at), true);
  }
  write64(at: number, value: bigint): void {
    this.view.setBigUint64(this.host(at), value, true);
  }
  write32(at: number, value: number): void {
    this.view.setUint32(this.host(at), value, true);
  }
  /** Where a byte is in `bytes`. */
  host(at: number): number {
    return physical(at >> 12) * PAGE + (at & 4095);
  }
  get(at: number): number {
    return this.bytes[this.host(at)];
  }
  put(at: number, value: number): void {
    this.bytes[this.host(at)] = value;
  }
}
