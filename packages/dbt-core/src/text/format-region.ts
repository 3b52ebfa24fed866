/**
 * A region's intermediate representation as text, for people and for golden tests. Constants stand where they are used;
 * pure values that nobody uses, which no code is made for either, are left out.
 *
 * ```text
 * block +0x0
 *   ; +0x0                    a guest instruction begins
 *   v2 = rsi                  a state slot is read
 *   v4 = i64Add v2, 8
 *   v5 = load32 v4
 *   rax = v5                  and written
 *   branch v7, +0x0, +0x9     taken, not taken
 * ```
 */
import { Op } from "../ir/op.ts";
import { operations } from "../ir/operations.ts";
import { type Block, DISPATCH, keyCopy, keyOffset, NOWHERE, type RegionBuilder, Terminator } from "../ir/region.ts";

/** Shown where they are used. */
const INLINED: ReadonlySet<number> = new Set([Op.i32Const, Op.i64Const, Op.v128Const, Op.regionBase]);

/** Guest offsets relative to the region's entry. */
function offsetName(offset: number): string {
  return offset < 0 ? `-0x${(-offset).toString(16)}` : `+0x${offset.toString(16)}`;
}

/** A block's name: its guest offset, and the part where an instruction has several. */
function keyName(key: number): string {
  if (key === DISPATCH) return "dispatch";
  const part = ((key % 4) + 4) % 4;
  const copy = keyCopy(key);
  return `${offsetName(keyOffset(key))}${part === 0 ? "" : `.${part}`}${copy === 0 ? "" : ` copy ${copy}`}`;
}

function wideText(region: RegionBuilder, at: number): string {
  return [...region.wide.subarray(at, at + 16)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
}

function longText(low: number, high: number): string {
  const value = (BigInt(high) << 32n) | BigInt(low >>> 0);
  return value > -4096n && value < 4096n ? `${value}` : `0x${BigInt.asUintN(64, value).toString(16)}`;
}

class RegionText {
  readonly #region: RegionBuilder;
  readonly #uses: Uint32Array;
  readonly #lines: string[] = [];

  constructor(region: RegionBuilder) {
    this.#region = region;
    this.#uses = new Uint32Array(region.nodeCount);
    this.#countUses();
  }

  toString(): string {
    for (const block of this.#region.blocks) {
      this.#lines.push(`block ${keyName(block.key)}`);
      for (let node = block.firstNode; node < block.endNode; node++) this.#node(node);
      this.#lines.push(`  ${this.#terminator(block)}`);
    }
    return `${this.#lines.join("\n")}\n`;
  }

  /** Operand nodes of a node, whatever its operation. */
  #operands(node: number): number[] {
    const { op, x, y, z, callArguments } = this.#region;
    const code = op[node];
    if (code === Op.callHelper) return callArguments.slice(x[node], x[node] + y[node]);
    if (code === Op.setState || code === Op.exitIf) return [x[node]];
    const count = operations[code].operands.length;
    return [x[node], y[node], z[node]].slice(0, count);
  }

  #isPure(node: number): boolean {
    const code = this.#region.op[node];
    return operations[code].pure || (code >= Op.getStateI32 && code <= Op.getStateV128);
  }

  /** Uses by nodes that are themselves used: operands come before their users. */
  #countUses(): void {
    const uses = this.#uses;
    for (const block of this.#region.blocks) if (block.value >= 0) uses[block.value]++;
    for (let node = this.#region.nodeCount - 1; node >= 0; node--) {
      if (this.#isPure(node) && uses[node] === 0) continue;
      for (const operand of this.#operands(node)) if (operand >= 0) uses[operand]++;
    }
  }

  #usually({ target }: Block): string {
    return target === NOWHERE ? "" : `, usually ${keyName(target)}`;
  }

  #value(node: number): string {
    const { op, x, immediate } = this.#region;
    switch (op[node]) {
      case Op.i32Const:
        return longText(immediate[node], immediate[node] >> 31);
      case Op.i64Const:
        return longText(immediate[node], x[node]);
      case Op.v128Const:
        return `[${wideText(this.#region, immediate[node])}]`;
      case Op.regionBase:
        return "base";
      default:
        return `v${node}`;
    }
  }

  #node(node: number): void {
    const region = this.#region;
    const { op, x, y, immediate } = region;
    const code = op[node];
    const operation = operations[code];
    const line = (text: string): void => void this.#lines.push(`  ${text}`);
    if (INLINED.has(code) || (this.#isPure(node) && this.#uses[node] === 0)) return;
    const values = this.#operands(node).map((operand) => this.#value(operand));
    switch (code) {
      case Op.instruction:
        return line(`; ${offsetName(immediate[node])}`);
      case Op.getStateI32:
      case Op.getStateI64:
      case Op.getStateF64:
      case Op.getStateV128:
        return line(`v${node} = ${region.slots[immediate[node]].name}`);
      case Op.setState:
        return line(`${region.slots[immediate[node]].name} = ${values[0]}`);
      case Op.guardTest:
        return line("guardTest");
      case Op.exitIf:
        return line(`exitIf ${values[0]}, code ${immediate[node]}, payload ${y[node]}`);
      case Op.callHelper:
        return line(`call ${region.helpers[immediate[node]].name}(${values.join(", ")})`);
      case Op.helperResultI32:
      case Op.helperResultI64:
      case Op.helperResultF64:
        return line(`v${node} = result of ${region.helpers[immediate[x[node]]].name}`);
      default:
        break;
    }
    if (operation.immediate === "lane") values.push(`lane ${immediate[node]}`);
    if (operation.immediate === "shuffle") values.push(`lanes [${wideText(region, immediate[node])}]`);
    const result = operation.result === undefined ? "" : `v${node} = `;
    line(`${result}${operation.name} ${values.join(", ")}`);
  }

  #terminator(block: Block): string {
    const value = block.value >= 0 ? this.#value(block.value) : "";
    const target = keyName(block.target);
    const next = keyName(block.next);
    switch (block.terminator) {
      case Terminator.jump:
        return `jump ${target}`;
      case Terminator.branch:
        return `branch ${value}, ${target}, ${next}`;
      case Terminator.jumpIndirect:
        return block.target === DISPATCH ? `dispatch to ${value}` : `jump to ${value}`;
      case Terminator.dispatch:
        return `dispatch, to ${this.#region.dispatchTargets.map(keyName).join(", ")} or elsewhere`;
      case Terminator.call:
        return `call ${target}, then ${next}`;
      case Terminator.callIndirect:
        return `call to ${value}${this.#usually(block)}, then ${next}`;
      case Terminator.return:
        return `return to ${value}${this.#usually(block)}`;
      case Terminator.service:
        return `service ${block.target}, then ${next}`;
      case Terminator.exit:
        return `exit ${block.target}, payload ${block.payload}, at ${next}`;
      default:
        return "(does not end)";
    }
  }
}

/** The blocks of a lifted region, in the order they were lifted. */
export function formatRegion(region: RegionBuilder): string {
  return new RegionText(region).toString();
}
