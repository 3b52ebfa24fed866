/**
 * qsort, qsort_r and bsearch (C17 7.22.5), with the guest's comparators.
 *
 * The order in which glibc compares is visible to comparators, and its stability to everybody; so this is the same
 * top-down merge sort, element for element, over the same addresses: elements of up to 32 bytes move after each merge,
 * larger ones once at the end.
 */
import { C } from "../c-types.ts";
import {
  type CallStep,
  type Declined,
  DECLINED,
  type NativeCall,
  type NativeFunction,
  resumableFunction,
  type Step,
} from "../native-function.ts";
import { prototype } from "../prototype.ts";
import { glibc } from "./libraries.ts";

const comparison = prototype(C.int, [C.pointer, C.pointer]);
const comparisonWithArgument = prototype(C.int, [C.pointer, C.pointer, C.pointer]);

/** Elements larger than this are sorted by their addresses. */
const LARGEST_MOVED = 32;
/** glibc sorts in place, another way, what exceeds a quarter of physical memory. */
const MEMORY_SHARE = 16;

const callees = { compare: { prototype: comparison }, compareWithArgument: { prototype: comparisonWithArgument } };
type SortStep = Step<SortState, void, typeof callees>;

/** Half-open ranges of element numbers. */
interface SortState {
  readonly base: number;
  readonly size: number;
  readonly compare: number;
  /** qsort_r's; -1: there is none. */
  readonly argument: number;
  /** Ranges to sort or, with `merge`, to merge: pairs of first element and count, the next one last. */
  readonly pending: number[];
  /** By place: which element is there. Elements that move are where they are. */
  readonly order: Uint32Array;
  readonly picked: Uint32Array;
  /** The merge at hand: its range, the next element of each half, how many are picked. */
  first: number;
  count: number;
  left: number;
  right: number;
  done: number;
}

/** Marks a pending range whose halves are sorted. */
const MERGE = 1;

function begin(
  call: NativeCall,
  base: number,
  count: number,
  size: number,
  compare: number,
  argument: number,
): SortStep | Declined {
  if (count < 2 || size === 0) return count < 2 ? { returns: undefined } : DECLINED;
  const total = count * size;
  if (total * MEMORY_SHARE > call.memory.bytes.length || count > 2 ** 28) return DECLINED;
  const order = new Uint32Array(count);
  for (let index = 0; index < count; index++) order[index] = index;
  const state: SortState = {
    base,
    size,
    compare,
    argument,
    pending: [0, count, 0],
    order,
    picked: new Uint32Array(count),
    first: 0,
    count: 0,
    left: 0,
    right: 0,
    done: 0,
  };
  call.spend(count / 64);
  nextMerge(state);
  return question(state);
}

/** Takes ranges apart until there is one to merge; count 0 when all is sorted. */
function nextMerge(state: SortState): void {
  const { pending } = state;
  for (;;) {
    const merge = pending.pop();
    if (merge === undefined) {
      state.count = 0;
      return;
    }
    const count = pending.pop()!;
    const first = pending.pop()!;
    const half = count >> 1;
    if (merge === MERGE) {
      state.first = first;
      state.count = count;
      state.left = 0;
      state.right = half;
      state.done = 0;
      return;
    }
    if (count < 2) continue;
    pending.push(first, count, MERGE, first + half, count - half, 0, first, half, 0);
  }
}

function question(state: SortState): CallStep<SortState, typeof callees> {
  const { base, size, order, first, left, right, compare, argument } = state;
  const a = base + order[first + left] * size;
  const b = base + order[first + right] * size;
  return argument < 0
    ? { call: "compare", address: compare, values: [a, b], state }
    : { call: "compareWithArgument", address: compare, values: [a, b, argument], state };
}

function answer(call: NativeCall, state: SortState, result: number): SortStep {
  const { order, picked, first, count, done } = state;
  const half = count >> 1;
  const takeLeft = result <= 0;
  picked[done] = takeLeft ? state.left : state.right;
  const left = takeLeft ? state.left + 1 : state.left;
  const right = takeLeft ? state.right : state.right + 1;
  if (left < half && right < count) {
    state.left = left;
    state.right = right;
    state.done = done + 1;
    return question(state);
  }
  // The rest of the left half comes next; of the right half it is where it belongs.
  let merged = done + 1;
  for (let rest = left; rest < half; rest++) picked[merged++] = rest;
  if (state.size <= LARGEST_MOVED) {
    moveElements(call, state, merged);
  } else {
    const places = order.slice(first, first + count);
    const ordered = state.pending.length === 0 ? order.slice() : order;
    for (let index = 0; index < merged; index++) ordered[first + index] = places[picked[index]];
    // With this merge all are in order; should it fault, the state is still that of the question.
    if (ordered !== order) moveLargeElements(call, state, ordered);
  }
  nextMerge(state);
  return state.count > 0 ? question(state) : { returns: undefined };
}

/** Puts the picked elements of the merge at hand in their order, in guest memory. */
function moveElements({ memory }: NativeCall, { base, size, first, count, picked }: SortState, merged: number): void {
  const start = base + first * size;
  const from = new Uint8Array(count * size);
  memory.copyIn(start, from);
  const to = new Uint8Array(merged * size);
  for (let index = 0; index < merged; index++) {
    const at = picked[index] * size;
    const target = index * size;
    for (let byte = 0; byte < size; byte++) to[target + byte] = from[at + byte];
  }
  memory.copyOut(start, to);
}

function moveLargeElements({ memory }: NativeCall, { base, size }: SortState, order: Uint32Array): void {
  const from = new Uint8Array(order.length * size);
  memory.copyIn(base, from);
  const to = new Uint8Array(from.length);
  order.forEach((element, place) => to.set(from.subarray(element * size, (element + 1) * size), place * size));
  memory.copyOut(base, to);
}

interface SearchState {
  readonly key: number;
  readonly base: number;
  readonly size: number;
  readonly compare: number;
  low: number;
  high: number;
}

const searchCallees = { compare: { prototype: comparison } };

function look(state: SearchState): Step<SearchState, number, typeof searchCallees> {
  const { key, base, size, compare, low, high } = state;
  if (low >= high) return { returns: 0 };
  const middle = Math.floor((low + high) / 2);
  return { call: "compare", address: compare, values: [key, base + middle * size], state };
}

export const sortFunctions: readonly NativeFunction[] = [
  resumableFunction({
    name: "qsort",
    prototype: prototype(C.void, [C.pointer, C.size, C.size, C.pointer]),
    symbols: [glibc("qsort")],
    callees,
    start: (call, base, count, size, compare) => begin(call, base, count, size, compare, -1),
    resume: answer,
  }),
  resumableFunction({
    name: "qsort_r",
    prototype: prototype(C.void, [C.pointer, C.size, C.size, C.pointer, C.pointer]),
    symbols: [glibc("qsort_r")],
    callees,
    start: begin,
    resume: answer,
  }),
  resumableFunction({
    name: "bsearch",
    prototype: prototype(C.pointer, [C.pointer, C.pointer, C.size, C.size, C.pointer]),
    symbols: [glibc("bsearch")],
    callees: searchCallees,
    start: (_call, key, base, count, size, compare) => look({ key, base, size, compare, low: 0, high: count }),
    resume: (_call, state: SearchState, result) => {
      const middle = Math.floor((state.low + state.high) / 2);
      if (result === 0) return { returns: state.base + middle * state.size };
      if (result < 0) state.high = middle;
      else state.low = middle + 1;
      return look(state);
    },
  }),
];
