/**
 * Helpers of the integer instructions: what has no short expression in WebAssembly's operations.
 */
import type { HelperDeclaration, StateSlot, ValueType } from "@doppel/dbt-core";
import { cpuid as everything } from "./cpuid.ts";
import { readConditionFlags } from "./flags-word.ts";
import type { Helper, HelperPort } from "./helper-port.ts";
import { Slot, StateOffset } from "./state.ts";

type Slots = readonly number[] | "none";

function declare(
  name: string,
  parameters: number,
  reads: Slots,
  writes: Slots,
  result: StateSlot["type"] = "i32",
): HelperDeclaration {
  const types: ValueType[] = Array.from({ length: parameters }, () => "i32");
  return result === "v128"
    ? { name, parameters: types, reads, writes, exits: false }
    : { name, parameters: types, result, reads, writes, exits: false };
}

const { rax, rcx, rdx, rbx, rsi, rdi } = Slot;
const flagSlots = [Slot.flagOperation, Slot.flagA, Slot.flagB, Slot.flagResult];
const segmentBases = [0, 1, 2, 3, 4, 5].map((segment) => Slot.segmentBase + segment);

export const integerHelperDeclarations: readonly HelperDeclaration[] = [
  /** The condition flags as a word, from the record. */
  declare("resolveFlags", 0, flagSlots, "none"),
  /** RDX:RAX by a 64-bit divisor (low, high, signed); not zero: #DE, and nothing has changed. */
  declare("divide128", 3, [rax, rdx], [rax, rdx]),
  /** REP MOVS, REP STOS (bytes an item, address width); not zero: some items are done. */
  declare("repeatMove", 2, [rcx, rsi, rdi, Slot.direction], [rcx, rsi, rdi]),
  declare("repeatStore", 2, [rax, rcx, rdi, Slot.direction], [rcx, rdi]),
  declare("cpuid", 0, [rax, rcx, rdx, rsi, rdi], [rax, rbx, rcx, rdx]),
  /** The high half of the last 64-bit result. */
  declare("highHalf", 0, "none", "none"),
  declare("timestamp", 0, "none", "none"),
  declare("random", 0, "none", "none"),
  /** Source low, high, mask low, high. */
  declare("pdep", 4, "none", "none"),
  declare("pext", 4, "none", "none"),
  /** CRC-32C of so far, data, its bytes. */
  declare("crc32c", 3, "none", "none"),
  declare("readSelector", 1, "none", "none"),
  /** Segment register, selector; not zero: #GP with the selector. */
  declare("loadSelector", 2, "none", segmentBases),
  declare("tscAux", 0, "none", "none"),
  /** Whether an interrupt waits for the interrupt flag. */
  declare("interruptWaits", 0, "none", "none"),
  /** Port, bytes, and what is written. */
  declare("readPort", 2, "none", "none"),
  declare("writePort", 3, "none", "none"),
  /** The supervisor's right to reach user pages has ended. */
  declare("userAccessEnds", 0, "none", "none"),
];

/** Pages are the unit in which guest memory is contiguous. */
const PAGE = 4096;

export function createIntegerHelpers(port: HelperPort): Record<string, Helper> {
  const cpuid = port.cpuid ?? everything;
  let view = new DataView(port.buffer);
  let bytes = new Uint8Array(port.buffer);
  let high = 0;

  const refresh = (): void => {
    if (view.buffer === port.buffer) return;
    view = new DataView(port.buffer);
    bytes = new Uint8Array(port.buffer);
  };
  const low = (cpu: number, register: number): number => view.getUint32(cpu + StateOffset.gpr + 8 * register, true);
  const top = (cpu: number, register: number): number => view.getUint32(cpu + StateOffset.gpr + 8 * register + 4, true);
  const put = (cpu: number, register: number, value: number): void => {
    view.setUint32(cpu + StateOffset.gpr + 8 * register, value, true);
    view.setUint32(cpu + StateOffset.gpr + 8 * register + 4, 0, true);
  };
  /** Adds up to a page to a register, in 64 bits or 32. */
  const advance = (cpu: number, register: number, length: number, width: number): void => {
    const sum = low(cpu, register) + length;
    const carried = width === 64 && sum > 0xffff_ffff ? 1 : 0;
    const upper = width === 64 ? top(cpu, register) + carried : 0;
    view.setUint32(cpu + StateOffset.gpr + 8 * register, sum, true);
    view.setUint32(cpu + StateOffset.gpr + 8 * register + 4, upper, true);
  };
  /** Items left to do, or more than any page holds. */
  const itemsLeft = (cpu: number, width: number): number =>
    width === 64 && top(cpu, rcx) !== 0 ? PAGE : low(cpu, rcx);
  const takeItems = (cpu: number, items: number, width: number): void => {
    const before = low(cpu, rcx);
    view.setUint32(cpu + StateOffset.gpr + 8 * rcx, before - items, true);
    const upper = width !== 64 ? 0 : before < items ? top(cpu, rcx) - 1 : top(cpu, rcx);
    view.setUint32(cpu + StateOffset.gpr + 8 * rcx + 4, upper, true);
  };
  const upperOf = (cpu: number, register: number, width: number): number => (width === 64 ? top(cpu, register) : 0);
  const isBackwards = (cpu: number): boolean => view.getInt32(cpu + StateOffset.direction, true) !== 0;
  const toPageEnd = (address: number): number => PAGE - (address & (PAGE - 1));

  return {
    resolveFlags: (cpu) => {
      refresh();
      return readConditionFlags(view, cpu);
    },

    divide128: (cpu, divisorLow, divisorHigh, signed) => {
      refresh();
      const raxAt = cpu + StateOffset.gpr + 8 * rax;
      const rdxAt = cpu + StateOffset.gpr + 8 * rdx;
      const divisorBits = (BigInt(divisorHigh >>> 0) << 32n) | BigInt(divisorLow >>> 0);
      const lowHalf = view.getBigUint64(raxAt, true);
      const highHalf = signed === 0 ? view.getBigUint64(rdxAt, true) : view.getBigInt64(rdxAt, true);
      const divisor = signed === 0 ? divisorBits : BigInt.asIntN(64, divisorBits);
      if (divisor === 0n) return 1;
      const dividend = (highHalf << 64n) | lowHalf;
      const quotient = dividend / divisor;
      const fits = signed === 0 ? BigInt.asUintN(64, quotient) === quotient : BigInt.asIntN(64, quotient) === quotient;
      if (!fits) return 1;
      view.setBigUint64(raxAt, BigInt.asUintN(64, quotient), true);
      view.setBigUint64(rdxAt, BigInt.asUintN(64, dividend % divisor), true);
      return 0;
    },

    repeatMove: (cpu, unit, width) => {
      refresh();
      if (isBackwards(cpu)) return 0;
      const from = low(cpu, rsi);
      const to = low(cpu, rdi);
      let length = Math.min(itemsLeft(cpu, width) * unit, toPageEnd(from), toPageEnd(to));
      // Bytes already written are read again when the destination lies just above the source: a pattern repeats.
      const distance = to - from;
      if (distance > 0 && distance < length && upperOf(cpu, rsi, width) === upperOf(cpu, rdi, width)) length = distance;
      length -= length % unit;
      if (length === 0) return 0;
      const source = port.hostRange(cpu, from, upperOf(cpu, rsi, width), length, false);
      if (source === 0) return 0;
      const destination = port.hostRange(cpu, to, upperOf(cpu, rdi, width), length, true);
      if (destination === 0) return 0;
      refresh();
      // Two virtual pages may be the same physical one.
      if (destination > source && destination < source + length) return 0;
      bytes.copyWithin(destination, source, source + length);
      advance(cpu, rsi, length, width);
      advance(cpu, rdi, length, width);
      takeItems(cpu, length / unit, width);
      return 1;
    },

    repeatStore: (cpu, unit, width) => {
      refresh();
      if (isBackwards(cpu)) return 0;
      const to = low(cpu, rdi);
      let length = Math.min(itemsLeft(cpu, width) * unit, toPageEnd(to));
      length -= length % unit;
      if (length === 0) return 0;
      const destination = port.hostRange(cpu, to, upperOf(cpu, rdi, width), length, true);
      if (destination === 0) return 0;
      refresh();
      const pattern = cpu + StateOffset.gpr + 8 * rax;
      if (unit === 1 || isOneByte(view, pattern, unit)) {
        bytes.fill(bytes[pattern], destination, destination + length);
      } else {
        bytes.copyWithin(destination, pattern, pattern + unit);
        // Doubles what is there: 2, 4, 8 … items.
        for (let done = unit; done < length; done *= 2) {
          bytes.copyWithin(destination + done, destination, destination + Math.min(done, length - done));
        }
      }
      advance(cpu, rdi, length, width);
      takeItems(cpu, length / unit, width);
      return 1;
    },

    cpuid: (cpu) => {
      refresh();
      if (port.call?.(cpu, low(cpu, rax)) === true) return 0;
      const leaf = cpuid(low(cpu, rax), low(cpu, rcx));
      put(cpu, rax, leaf.eax);
      put(cpu, rbx, leaf.ebx);
      put(cpu, rcx, leaf.ecx);
      put(cpu, rdx, leaf.edx);
      return 0;
    },

    highHalf: () => high,

    timestamp: (cpu) => {
      const time = port.timestamp(cpu);
      high = Math.floor(time / 0x1_0000_0000) | 0;
      return time | 0;
    },

    random: (cpu) => port.random(cpu) | 0,

    pdep: (_cpu, sourceLow, sourceHigh, maskLow, maskHigh) => {
      const taken = deposit(sourceLow, maskLow);
      const used = onesIn(maskLow);
      // The bits the low mask did not take go to the high mask.
      const rest =
        used === 0 ? sourceLow : used === 32 ? sourceHigh : (sourceLow >>> used) | (sourceHigh << (32 - used));
      high = deposit(rest, maskHigh);
      return taken;
    },

    pext: (_cpu, sourceLow, sourceHigh, maskLow, maskHigh) => {
      const first = extract(sourceLow, maskLow);
      const second = extract(sourceHigh, maskHigh);
      const used = onesIn(maskLow);
      high = used === 32 ? second : used === 0 ? 0 : second >>> (32 - used);
      return used === 32 ? first : first | (second << used);
    },

    crc32c: (_cpu, crc, data, length) => {
      let remainder = crc;
      for (let index = 0; index < length; index++) {
        remainder = (remainder >>> 8) ^ crcTable[(remainder ^ (data >>> (8 * index))) & 0xff];
      }
      return remainder;
    },

    readSelector: (cpu, segment) => {
      refresh();
      return view.getUint16(cpu + StateOffset.segmentSelector + 2 * segment, true);
    },

    loadSelector: (cpu, segment, selector) => {
      const base = port.loadSegment === undefined ? 0 : port.loadSegment(cpu, segment, selector & 0xffff);
      if (base < 0) return 1;
      refresh();
      view.setUint16(cpu + StateOffset.segmentSelector + 2 * segment, selector, true);
      view.setUint32(cpu + StateOffset.segmentBase + 8 * segment, base, true);
      view.setUint32(cpu + StateOffset.segmentBase + 8 * segment + 4, 0, true);
      return 0;
    },

    readPort: (cpu, at, length) => (port.readPort?.(cpu, at & 0xffff, length) ?? -1) | 0,

    writePort: (cpu, at, length, value) => {
      port.writePort?.(cpu, at & 0xffff, length, length === 4 ? value >>> 0 : value & (length === 2 ? 0xffff : 0xff));
      return 0;
    },

    userAccessEnds: (cpu) => {
      port.userAccessEnds?.(cpu);
      return 0;
    },

    interruptWaits: (cpu) => (port.interruptWaits?.(cpu) === true ? 1 : 0),

    tscAux: (cpu) => {
      refresh();
      return view.getInt32(cpu + StateOffset.tscAux, true);
    },
  };
}

/** Whether an item of 2, 4 or 8 bytes is one byte again and again, as the zeros are that most memory is filled with. */
function isOneByte(view: DataView, at: number, unit: number): boolean {
  const word = Math.imul(view.getUint8(at), 0x0101_0101);
  if (unit === 2) return view.getUint16(at, true) === (word & 0xffff);
  return view.getInt32(at, true) === word && (unit === 4 || view.getInt32(at + 4, true) === word);
}

/** PDEP: source bits, lowest first, to the places of the mask's ones. */
function deposit(source: number, mask: number): number {
  let result = 0;
  let rest = source;
  for (let left = mask; left !== 0; left &= left - 1) {
    if ((rest & 1) !== 0) result |= left & -left;
    rest >>>= 1;
  }
  return result;
}

/** PEXT: source bits at the mask's ones, packed to the bottom. */
function extract(source: number, mask: number): number {
  let result = 0;
  let place = 1;
  for (let left = mask; left !== 0; left &= left - 1) {
    if ((source & left & -left) !== 0) result |= place;
    place <<= 1;
  }
  return result;
}

function onesIn(value: number): number {
  let count = 0;
  for (let left = value; left !== 0; left &= left - 1) count++;
  return count;
}

/** The Castagnoli polynomial 11EDC6F41H, bits reversed (SDM vol. 2, CRC32). */
const crcTable = Int32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit++) remainder = (remainder >>> 1) ^ ((remainder & 1) === 0 ? 0 : 0x82f63b78);
  return remainder;
});
