/**
 * What two runners' results of a case differ in, as far as the architecture says what they must be.
 *
 * Everything is compared bit by bit; what may differ is data in tolerances.ts.
 */
import { firstInstruction } from "./case-instruction.ts";
import { type Batch, ImageAt, pattern, ResultKind, StateAt } from "./format.ts";
import { close32, closeExtended, ignoredImage, tolerances } from "./tolerances.ts";
import { undefinedFlagsOf } from "./undefined-flags.ts";

export interface CompareOptions {
  /** Compare what the architecture leaves undefined too, for this processor's sake. */
  readonly exact: boolean;
}

/** One difference: where, and both values. */
export interface Difference {
  readonly what: string;
  readonly expected: string;
  readonly actual: string;
}

const hex = (value: bigint | number, digits = 1): string => `0x${value.toString(16).padStart(digits, "0")}`;
const kindNames = ["end", "fault", "timeout"];
export const gprNames: readonly string[] = [
  "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
]; // prettier-ignore

function outcome(results: Batch, index: number): string {
  const kind = results.kind(index);
  const rip = `rip ${hex(results.rip(index))}`;
  if (kind !== ResultKind.fault) return `${kindNames[kind]} at ${rip}`;
  const vector = results.vector(index);
  const address = results.faultAddress(index);
  // From the end of the user's half on, Linux says "protection" whatever is there (sanitize_error_code).
  const errorCode = results.errorCode(index) | (address >= 0x7fff_ffff_f000n ? 1 : 0);
  const detail = vector === 14 ? ` error ${hex(errorCode)} address ${hex(address)}` : "";
  return `fault ${vector}${detail} at ${rip}`;
}

/** Differences between result `index` of `expected` and of `actual`. */
export function compare(
  cases: Batch,
  expected: Batch,
  actual: Batch,
  index: number,
  options: CompareOptions = { exact: false },
): Difference[] {
  const differences: Difference[] = [];
  const add = (what: string, left: string, right: string): void => {
    if (left !== right) differences.push({ what, expected: left, actual: right });
  };
  if (quicklyEqual(expected, actual, index)) return differences;

  add("outcome", outcome(expected, index), outcome(actual, index));
  for (let register = 0; register < 16; register++) {
    add(gprNames[register], hex(expected.gpr(index, register)), hex(actual.gpr(index, register)));
  }
  const left = expected.flags(index);
  const right = actual.flags(index);
  if (left !== right) {
    const mask = options.exact ? -1 : ~undefinedFlagsOf(cases, index, expected.rip(index));
    add("flags", hex(left & mask), hex(right & mask));
  }
  compareImages(cases, expected, actual, index, options, add);
  compareWords(cases, expected, actual, index, options, add);
  return differences;
}

/** The usual case: header and state alike in everything that is compared. */
function quicklyEqual(expected: Batch, actual: Batch, index: number): boolean {
  const left = expected.offsets[index];
  const right = actual.offsets[index];
  const size = expected.view.getUint32(left, true);
  if (size !== actual.view.getUint32(right, true)) return false;
  if (expected.kind(index) !== ResultKind.end || actual.kind(index) !== ResultKind.end) return false;
  for (let i = 8; i < size; i += 4) {
    // Signal details, the x87's pointers and the MXCSR mask are not compared.
    if (i === 152 || i === 156 || (i >= 164 && i < 184) || i === 188 || (i >= 576 && i < 592)) continue;
    if (expected.view.getInt32(left + i, true) !== actual.view.getInt32(right + i, true)) return false;
  }
  return expected.view.getUint16(left + 164, true) === actual.view.getUint16(right + 164, true);
}

type Add = (what: string, left: string, right: string) => void;

function compareImages(
  cases: Batch,
  expected: Batch,
  actual: Batch,
  index: number,
  options: CompareOptions,
  add: Add,
): void {
  const leftAt = expected.stateOffset(index) + StateAt.image;
  const rightAt = actual.stateOffset(index) + StateAt.image;
  const [left, right] = [expected.view, actual.view];
  const tolerance = options.exact ? undefined : tolerances(firstInstruction(cases, index));
  const statusMask = tolerance?.statusMask ?? 0xffff;
  add("fcw", hex(left.getUint16(leftAt, true)), hex(right.getUint16(rightAt, true)));
  add("fsw", hex(left.getUint16(leftAt + 2, true) & statusMask), hex(right.getUint16(rightAt + 2, true) & statusMask));
  add("ftw", hex(left.getUint8(leftAt + 4)), hex(right.getUint8(rightAt + 4)));
  add("mxcsr", hex(left.getUint32(leftAt + ImageAt.mxcsr, true)), hex(right.getUint32(rightAt + ImageAt.mxcsr, true)));
  for (let i = 0; i < 8; i++) {
    const at = ImageAt.st + 16 * i;
    const value = (view: DataView, from: number): string =>
      `${hex(view.getUint16(from + at + 8, true), 4)}:${hex(view.getBigUint64(from + at, true), 16)}`;
    if (value(left, leftAt) === value(right, rightAt)) continue;
    if (
      tolerance?.extendedUlps !== undefined &&
      closeExtended(left, leftAt + at, right, rightAt + at, tolerance.extendedUlps)
    )
      continue;
    add(`st${i}`, value(left, leftAt), value(right, rightAt));
  }
  for (let i = 0; i < 16; i++) {
    const at = ImageAt.xmm + 16 * i;
    const value = (view: DataView, from: number): string =>
      `${hex(view.getBigUint64(from + at + 8, true), 16)}:${hex(view.getBigUint64(from + at, true), 16)}`;
    if (value(left, leftAt) === value(right, rightAt)) continue;
    if (tolerance?.relative32 !== undefined && close32(left, leftAt + at, right, rightAt + at, tolerance.relative32))
      continue;
    add(`xmm${i}`, value(left, leftAt), value(right, rightAt));
  }
}

function compareWords(
  cases: Batch,
  expected: Batch,
  actual: Batch,
  index: number,
  options: CompareOptions,
  add: Add,
): void {
  const words = (results: Batch): Map<bigint, bigint> => {
    const map = new Map<bigint, bigint>();
    for (let i = 0; i < results.wordCount(index); i++) {
      const at = results.wordOffset(index, i);
      map.set(results.view.getBigUint64(at, true), results.view.getBigUint64(at + 8, true));
    }
    return map;
  };
  const [left, right] = [words(expected), words(actual)];
  const image = options.exact ? undefined : ignoredImage(cases, index);
  for (const address of new Set([...left.keys(), ...right.keys()])) {
    const show = (value: bigint | undefined): string => {
      if (image === undefined) return value === undefined ? "unchanged" : hex(value, 16);
      return hex((value ?? initialWord(cases, index, address)) & image(address), 16);
    };
    add(`[${hex(address)}]`, show(left.get(address)), show(right.get(address)));
  }
}

/** What a case's memory holds at first in the word at `address`. */
function initialWord(cases: Batch, index: number, address: bigint): bigint {
  const word = new DataView(new ArrayBuffer(8));
  word.setBigUint64(0, pattern(Number(address)), true);
  cases.forPatches(index, (start, content) => {
    content.forEach((byte, i) => {
      const offset = start + i - Number(address);
      if (offset >= 0 && offset < 8) word.setUint8(offset, byte);
    });
  });
  return word.getBigUint64(0, true);
}
