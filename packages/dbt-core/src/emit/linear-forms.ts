/**
 * What addresses are made of: a sum of a constant and something else, which is named so that equal names are equal values.
 *
 * Names last from block to block along the rounds of an unrolled loop, where a register is what it was and some more.
 */
import { Op } from "../ir/op.ts";
import { operations } from "../ir/operations.ts";
import type { RegionBuilder } from "../ir/region.ts";

const PURE: Uint8Array = Uint8Array.from(operations, (operation) => (operation.pure ? 1 : 0));
const ARITY: Uint8Array = Uint8Array.from(operations, (operation) => operation.operands.length);
/** How deep expressions are looked into. */
const DEEPEST = 4;
/** Names are no longer: each may be made of others. */
const LONGEST_NAME = 120;
const FARTHEST = 2 ** 30;

/** `name` + `distance`, and what the low half is, modulo 2^32. */
export interface LinearForm extends Sum {
  readonly low: Sum;
}

interface Sum {
  readonly name: string;
  readonly distance: number;
}

function whole(name: string, distance: number): LinearForm {
  return { name, distance, low: { name, distance } };
}

/** Forms of state slots at some place. */
export type SlotForms = Map<number, LinearForm>;

export class LinearForms {
  private region!: RegionBuilder;
  private slots: SlotForms = new Map();
  private follows = false;
  /** By `getState` node. */
  private readonly states: Map<number, LinearForm> = new Map();

  begin(region: RegionBuilder): void {
    this.region = region;
    this.states.clear();
  }

  /** A block begins with the slots as they were at the end of another, or unknown. `follows`: what it sets is of interest. */
  beginBlock(slots: SlotForms | undefined, follows: boolean): void {
    this.slots = new Map(slots);
    this.follows = follows;
  }

  /** What the slots are at the end of the block that was gone through last. */
  get slotForms(): SlotForms {
    return this.slots;
  }

  /** Takes note of a node of the block, in turn; what the block began with is named after it. */
  note(node: number, block: number): void {
    const { op, x, immediate } = this.region;
    const code = op[node];
    if (code >= Op.getStateI32 && code <= Op.getStateV128) {
      const slot = immediate[node];
      let form = this.slots.get(slot);
      if (form === undefined) this.slots.set(slot, (form = whole(`s${slot}.${block}`, 0)));
      this.states.set(node, form);
    } else if (code === Op.setState) {
      if (this.follows) this.slots.set(immediate[node], this.of(x[node]));
    } else if (code === Op.callHelper) {
      // What it writes has names of its own from here on.
      const { writes } = this.region.helpers[immediate[node]];
      const slots = writes === "all" ? this.region.slots.keys() : writes === "none" ? [] : writes;
      for (const slot of slots) this.slots.set(slot, whole(`h${node}.${slot}`, 0));
    }
  }

  of(node: number, depth: number = DEEPEST): LinearForm {
    const state = this.states.get(node);
    if (state !== undefined) return state;
    const form = depth > 0 ? this.ofOperation(node, depth) : undefined;
    return form !== undefined && form.name.length <= LONGEST_NAME ? form : whole(`v${node}`, 0);
  }

  private ofOperation(node: number, depth: number): LinearForm | undefined {
    const { op, x, y, immediate } = this.region;
    const code = op[node];
    switch (code) {
      case Op.i64Const:
        if (x[node] === immediate[node] >> 31 && Math.abs(immediate[node]) < FARTHEST)
          return whole("", immediate[node]);
        return whole(`${x[node]}:${immediate[node]}`, 0);
      case Op.i32Const:
        return whole("", immediate[node]);
      case Op.i64Add:
      case Op.i32Add:
        return sum(this.of(x[node], depth - 1), this.of(y[node], depth - 1), 1);
      case Op.i64Sub:
      case Op.i32Sub:
        return sum(this.of(x[node], depth - 1), this.of(y[node], depth - 1), -1);
      case Op.i64Shl:
      case Op.i32Shl: {
        const count = op[y[node]] === Op.i64Const || op[y[node]] === Op.i32Const ? immediate[y[node]] : FARTHEST;
        if (count >= 0 && count < 8) return shifted(this.of(x[node], depth - 1), count);
        return undefined;
      }
      case Op.regionBase:
        return whole("base", 0);
      case Op.i32WrapI64: {
        const { low } = this.of(x[node], depth);
        return whole(low.name, low.distance);
      }
      case Op.i64ExtendI32U: {
        const { low } = this.of(x[node], depth);
        return { name: `u(${low.name}+${low.distance})`, distance: 0, low };
      }
      default: {
        const arity = ARITY[code];
        if (PURE[code] === 0 || arity === 0) return undefined;
        const names: string[] = [];
        for (let index = 0; index < arity; index++) {
          const { name, distance } = this.of(this.region[OPERANDS[index]][node], depth - 1);
          names.push(`${name}+${distance}`);
        }
        return whole(`${code}/${immediate[node]}(${names.join()})`, 0);
      }
    }
  }
}

const OPERANDS = ["x", "y", "z"] as const;

function shifted({ name, distance, low }: LinearForm, count: number): LinearForm {
  return { ...shiftedSum({ name, distance }, count), low: shiftedSum(low, count) };
}

function shiftedSum({ name, distance }: Sum, count: number): Sum {
  const far = distance * 2 ** count;
  if (Math.abs(far) >= FARTHEST) return { name: `(${name}+${distance}<<${count})`, distance: 0 };
  return { name: name === "" ? "" : `(${name}<<${count})`, distance: far };
}

function sum(a: LinearForm, b: LinearForm, sign: 1 | -1): LinearForm {
  const { name, distance } = add(a, b, sign);
  return { name, distance, low: add(a.low, b.low, sign) };
}

function add(a: Sum, b: Sum, sign: 1 | -1): Sum {
  const distance = a.distance + sign * b.distance;
  if (Math.abs(distance) >= FARTHEST)
    return { name: `(${a.name}+${a.distance}${sign}*${b.name}+${b.distance})`, distance: 0 };
  if (b.name === "") return { name: a.name, distance };
  if (a.name === "" && sign === 1) return { name: b.name, distance };
  return { name: `(${a.name}${sign === 1 ? "+" : "-"}${b.name})`, distance };
}
