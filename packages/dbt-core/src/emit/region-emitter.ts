/**
 * A region becomes one WebAssembly function: `(context i32, address i64, slot i32, depth i32) -> i64`.
 *
 * `address` is the guest-virtual address the region runs at; `slot` the table slot it was called through (for the
 * stub that resolves it); `depth` how many more guest calls may nest as wasm calls. The result is the guest address
 * to go on at, or -1 when the region left for a reason it put into the context header.
 *
 * Control flow follows Ramsey, "Beyond Relooper" (ICFP 2022): the dominator tree, with a wasm block around a node for
 * each merge below it and a loop for each header. State slots are locals from the region's entry to its exits.
 * A fault branches to a shared exit that spills what may be dirty, so the hot path carries no spills.
 */
import { Op } from "../ir/op.ts";
import { type Block, DISPATCH, keyOffset, type RegionBuilder, Terminator } from "../ir/region.ts";
import { type CodeLayout, EngineExit, Header, type TlbLayout } from "../layout.ts";
import type { ByteWriter } from "../wasm/byte-writer.ts";
import { AccessEmitter } from "./access-emitter.ts";
import { ContextEmitter } from "./context-emitter.ts";
import { type FaultExit, FaultExits } from "./fault-exits.ts";
import { FlowGraph } from "./flow-graph.ts";
import { MemoryEmitter } from "./memory-emitter.ts";
import { ProfileEmitter } from "./profile-emitter.ts";
import { SlotSets } from "./slot-sets.ts";
import { Wasm } from "./wasm-opcodes.ts";
import {
  BLOCK_EMPTY,
  BranchHints,
  leadsBack,
  type LinkTarget,
  LocalPool,
  Parameter,
  type RegionImports,
} from "./region-frame.ts";
import { branchByHash, hashTargets } from "./target-hash.ts";
import { ValueEmitter } from "./value-emitter.ts";
import { clear } from "../clear.ts";

export interface EmitOptions {
  /** Code addresses wrap at 32 bits. */
  readonly narrowAddresses: boolean;
  /**
   * Byte offset in memory of the count of entries and loops after which the region asks to be promoted; such a region
   * is cold, and kept small. 0: hot for good.
   */
  readonly counter: number;
  /** The soft TLB that accesses go by. Absent: the layout's. */
  readonly tlb?: TlbLayout;
  /** What `guardTest` tests; default nothing. */
  readonly guards?: readonly GuardMask[];
  /** What its function is called in profiles; default: nothing. */
  readonly name?: string | undefined;
}

/** Guard bits that must all be set, as the two halves of the word at a byte offset in memory. */
export interface GuardMask {
  readonly offset: number;
  readonly low: number;
  readonly high: number;
}

export class RegionEmitter {
  readonly graph: FlowGraph = new FlowGraph();
  readonly sets: SlotSets = new SlotSets();
  readonly hints: BranchHints = new BranchHints();
  private readonly locals: LocalPool = new LocalPool();
  /** Where in the code the size of the function's frame is to be. */
  private readonly frames: number[] = [];
  private readonly values: ValueEmitter;
  private readonly memory: MemoryEmitter;
  private readonly accesses: AccessEmitter;
  private readonly context: ContextEmitter = new ContextEmitter();
  private readonly profile: ProfileEmitter = new ProfileEmitter();
  private region!: RegionBuilder;
  private out!: ByteWriter;
  private imports!: RegionImports;
  private link!: LinkTarget;
  private options!: EmitOptions;

  private readonly faultExits: FaultExits = new FaultExits();
  /** Labels in scope, outermost first: block index for a merge or loop header, -1 - n for fault exit n, or `ANONYMOUS`. */
  private readonly labels: number[] = [];
  private cold = false;
  private result = -1;

  constructor(layout: CodeLayout) {
    this.memory = new MemoryEmitter(layout.tlb, this.hints);
    this.values = new ValueEmitter(this.locals, this.hints);
    this.accesses = new AccessEmitter(this.values, this.memory, this.locals);
  }

  /** Writes the function's body (local declarations and code) to `out`; returns where in it the code begins. */
  emit(
    region: RegionBuilder,
    imports: RegionImports,
    link: LinkTarget,
    options: EmitOptions,
    out: ByteWriter,
    code: ByteWriter,
  ): number {
    this.region = region;
    this.imports = imports;
    this.link = link;
    this.options = options;
    this.out = code;
    this.graph.build(region);
    this.cold = options.counter > 0;
    this.sets.compute(region, this.graph, this.cold);
    this.faultExits.plan(region, this.graph, this.sets, this.cold);
    this.locals.reset();
    this.values.begin(region, this.sets, code, this.cold);
    this.memory.begin(this.locals, code, imports, options.tlb);
    this.accesses.begin(region, this.graph, this.cold);
    this.context.begin(this.locals, code, this.cold, options.narrowAddresses);
    this.profile.begin(this.locals, code);
    this.result = this.locals.permanent("i64");

    code.reset();
    clear(this.frames);
    this.hints.reset();
    clear(this.labels);
    this.entry();
    for (let exit = this.faultExits.list.length - 1; exit >= 0; exit--) {
      code.u8(Wasm.block);
      code.u8(BLOCK_EMPTY);
      this.labels.push(-1 - exit);
    }
    this.tree(0);
    for (let exit = 0; exit < this.faultExits.list.length; exit++) {
      code.u8(Wasm.end);
      this.labels.pop();
      this.leaveAtFault(this.faultExits.list[exit]);
    }
    if (this.faultExits.list.length === 0) code.u8(Wasm.unreachable);
    code.u8(Wasm.end);
    for (const at of this.frames) code.setLater(at, this.locals.frameBytes);

    const start = out.length;
    this.locals.declare(out);
    const codeStart = out.length - start;
    out.raw(code.bytes, 0, code.length);
    return codeStart;
  }

  // Entry and exits.

  private entry(): void {
    if (this.cold) this.countDown(0, Parameter.slot);
    if (this.graph.blockAt(DISPATCH) >= 0) this.context.enteredAt(this.result);
    if (this.cold) return;
    this.context.loadBudget();
    for (let slot = 0; slot < this.region.slots.length; slot++) {
      if (this.sets.liveIn.has(0, slot)) this.values.loadSlot(slot);
    }
  }

  /** Counts; when the count is used up, goes on at guest offset `offset` in code translated with care. */
  private countDown(offset: number, slotLocal: number, slot = 0, dirtyBlock = -1): void {
    const { out } = this;
    this.profile.countDown(this.options.counter);
    this.openUnlikely();
    if (dirtyBlock >= 0) this.spillBlock(dirtyBlock);
    if (slotLocal < 0) this.context.storeBudget();
    out.u8(Wasm.localGet);
    out.u32(Parameter.context);
    this.context.pushAddress(offset);
    if (slotLocal < 0) {
      out.u8(Wasm.i32Const);
      out.s32(slot);
    } else {
      out.u8(Wasm.localGet);
      out.u32(slotLocal);
    }
    out.u8(Wasm.localGet);
    out.u32(Parameter.depth);
    out.u8(Wasm.returnCall);
    out.u32(this.imports.promote);
    this.close();
  }

  private leaveAtFault(exit: FaultExit): void {
    this.spill(exit.low, exit.high);
    this.context.storeBudget();
    this.context.storeFaultingInstructionPointer();
    this.context.leave();
  }

  private spill(low: number, high: number): void {
    for (let rest = low; rest !== 0; rest &= rest - 1) this.values.spillSlot(31 - Math.clz32(rest & -rest));
    for (let rest = high; rest !== 0; rest &= rest - 1) this.values.spillSlot(63 - Math.clz32(rest & -rest));
  }

  private spillBlock(block: number): void {
    if (this.cold) return;
    const { dirtyIn, writes } = this.sets;
    this.spill(dirtyIn.low[block] | writes.low[block], dirtyIn.high[block] | writes.high[block]);
  }

  // The dominator tree.

  private tree(block: number): void {
    const merges: number[] = [];
    for (const child of this.graph.children[block]) if (this.graph.isMerge[child] === 1) merges.push(child);
    const loop = this.graph.isLoopHeader[block] === 1;
    if (loop) {
      this.out.u8(Wasm.loop);
      this.out.u8(BLOCK_EMPTY);
      this.labels.push(block);
    }
    this.within(block, merges, merges.length);
    if (loop) {
      this.out.u8(Wasm.end);
      this.labels.pop();
    }
  }

  /** Merge nodes later in the order are further out. */
  private within(block: number, merges: readonly number[], count: number): void {
    if (count === 0) {
      this.block(block);
      return;
    }
    const merge = merges[count - 1];
    this.out.u8(Wasm.block);
    this.out.u8(BLOCK_EMPTY);
    this.labels.push(merge);
    this.within(block, merges, count - 1);
    this.out.u8(Wasm.end);
    this.labels.pop();
    this.tree(merge);
  }

  private labelDepth(label: number): number {
    // A loop header's own merge label is no longer in scope inside the loop, so the innermost match is the right one.
    for (let index = this.labels.length - 1; index >= 0; index--) {
      if (this.labels[index] === label) return this.labels.length - 1 - index;
    }
    throw new Error(`no label for ${label}`);
  }

  private branchTo(label: number, opcode: number): void {
    this.out.u8(opcode);
    this.out.u32(this.labelDepth(label));
  }

  /** Opens an `if` that is seldom entered. */
  private openUnlikely(): void {
    this.hints.mark(this.out, false);
    this.openIf();
  }

  private openIf(type: number = BLOCK_EMPTY): void {
    this.out.u8(Wasm.if);
    this.out.u8(type);
    this.labels.push(ANONYMOUS);
  }

  private close(): void {
    this.out.u8(Wasm.end);
    this.labels.pop();
  }

  /** Goes from `from` to the block or slot that `key` names. `clean`: nothing is dirty (after a call). */
  private edge(from: number, key: number, clean: boolean): void {
    const { graph } = this;
    const to = graph.inside(from, key);
    if (to < 0) {
      this.leaveThroughSlot(from, key, clean);
    } else if (graph.isBackEdge(from, to)) {
      if (this.cold && key % 4 === 0) {
        this.countDown(keyOffset(key), -1, this.link.slotFor(keyOffset(key)), clean ? -1 : from);
      }
      this.context.spendOne();
      this.openUnlikely();
      this.context.storeConstant(Header.exitCode, EngineExit.budget);
      this.context.storeConstant(Header.exitOffset, keyOffset(key));
      this.branchTo(-1 - this.faultExits.ofBlock[from], Wasm.br);
      this.close();
      if (to === graph.blockAt(DISPATCH)) {
        this.context.pushAddress(keyOffset(key));
        this.out.u8(Wasm.localSet);
        this.out.u32(this.result);
      }
      this.branchTo(to, Wasm.br);
    } else if (graph.isMerge[to] === 1) {
      this.branchTo(to, Wasm.br);
    } else {
      this.tree(to);
    }
  }

  /** Control-flow targets of an exit are whole instructions: going on at a later part would repeat the first. */
  private leaveThroughSlot(from: number, key: number, clean: boolean): void {
    const { out } = this;
    if (!clean) this.spillBlock(from);
    const offset = keyOffset(key);
    if (leadsBack(offset)) this.spendBudget(offset);
    this.context.storeBudget();
    out.u8(Wasm.localGet);
    out.u32(Parameter.context);
    this.context.pushAddress(offset);
    const slot = this.link.slotFor(offset);
    this.pushSlot(slot);
    out.u8(Wasm.localGet);
    out.u32(Parameter.depth);
    this.pushSlot(slot);
    out.u8(Wasm.returnCallIndirect);
    out.u32(this.imports.regionType);
    out.u32(0);
  }

  /** Leaves on the budget at guest offset `offset`; everything is in the context block already. */
  private spendBudget(offset: number): void {
    this.context.spendOne();
    this.openUnlikely();
    this.context.leaveOnBudget(offset);
    this.close();
  }

  // Blocks.

  private block(index: number): void {
    const block = this.region.blocks[index];
    this.values.beginBlock(this.sets.dirtyIn.low[index], this.sets.dirtyIn.high[index]);
    const { op, immediate, x } = this.region;
    this.accesses.beginBlock(index);
    let offset = keyOffset(block.key);
    for (let node = block.firstNode; node < block.endNode; node++) {
      const code = op[node];
      if (code === Op.instruction) {
        offset = immediate[node]!;
      } else if (code === Op.setState) {
        if (this.sets.deadSet[node] === 0) this.values.set(immediate[node], x[node]);
      } else if (code >= Op.load8U && code <= Op.storeV128) {
        this.accesses.emit(node, offset, this.faultDepth(index));
      } else if (code === Op.exitIf) {
        this.exitIf(index, node, offset);
      } else if (code === Op.guardTest) {
        this.guardTest(index, offset);
      } else if (code === Op.callHelper) {
        this.callHelper(index, node, offset);
      } else {
        this.values.note(node);
      }
    }
    this.terminate(index, block);
    this.values.endBlock();
  }

  private faultDepth(block: number): number {
    return this.labelDepth(-1 - this.faultExits.ofBlock[block]);
  }

  private exitIf(block: number, node: number, offset: number): void {
    const { region } = this;
    this.values.push(region.x[node]);
    this.openUnlikely();
    this.context.storeConstant(Header.exitCode, region.immediate[node]);
    this.context.storeConstant(Header.exitPayload, region.y[node]);
    this.context.storeConstant(Header.exitOffset, offset);
    this.branchTo(-1 - this.faultExits.ofBlock[block], Wasm.br);
    this.close();
  }

  private guardTest(block: number, offset: number): void {
    const { out } = this;
    const { guards = [] } = this.options;
    if (guards.length === 0) return;
    guards.forEach((guard, index) => {
      out.u8(Wasm.i32Const);
      out.s32(0);
      out.u8(Wasm.i64Load);
      out.u8(3);
      out.u32(guard.offset);
      out.u8(Wasm.i64Const);
      out.s64(guard.low, guard.high);
      out.u8(Wasm.i64And);
      out.u8(Wasm.i64Const);
      out.s64(guard.low, guard.high);
      out.u8(Wasm.i64Ne);
      if (index > 0) out.u8(Wasm.i32Or);
    });
    this.openUnlikely();
    this.context.storeConstant(Header.exitCode, EngineExit.stale);
    this.context.storeConstant(Header.exitOffset, offset);
    this.branchTo(-1 - this.faultExits.ofBlock[block], Wasm.br);
    this.close();
  }

  private callHelper(block: number, node: number, offset: number): void {
    const { region, out } = this;
    const helper = region.immediate[node];
    const declaration = region.helpers[helper];
    this.values.spillFor(declaration.reads, declaration.writes);
    this.values.releaseFor(declaration.writes);
    if (declaration.exits) this.context.storeConstant(Header.exitOffset, offset);
    out.u8(Wasm.localGet);
    out.u32(Parameter.context);
    const start = region.x[node];
    for (let index = 0; index < region.y[node]; index++) this.values.push(region.callArguments[start + index]);
    out.u8(Wasm.call);
    out.u32(this.imports.helper(helper));
    if (!declaration.exits && declaration.result !== undefined) this.values.setHelperResult(node, declaration.result);
    // Before leaving, too: what the helper has written must not be overwritten by the exit's spills.
    this.values.reloadFor(declaration.writes);
    if (declaration.exits) {
      this.hints.mark(out, false);
      out.u8(Wasm.brIf);
      out.u32(this.faultDepth(block));
    }
  }

  private terminate(index: number, block: Block): void {
    const { out } = this;
    switch (block.terminator) {
      case Terminator.jump:
        this.edge(index, block.target, false);
        break;
      case Terminator.branch:
        this.values.push(block.value);
        this.openIf();
        this.edge(index, block.target, false);
        out.u8(Wasm.else);
        this.edge(index, block.next, false);
        this.close();
        break;
      case Terminator.dispatch:
        this.dispatch(index);
        break;
      case Terminator.jumpIndirect: {
        if (block.target === DISPATCH) {
          this.values.push(block.value);
          out.u8(Wasm.localSet);
          out.u32(this.result);
          this.context.spendOne();
          this.openUnlikely();
          this.spillBlock(index);
          this.context.leaveOnBudgetAt(this.result);
          this.close();
          this.branchTo(this.graph.blockAt(DISPATCH), Wasm.br);
          break;
        }
        const target = this.values.toLocal(block.value);
        if (this.cold) this.profile.noteTarget(this.link.siteFor?.(block.offset) ?? 0, target);
        this.spillBlock(index);
        this.context.storeBudget();
        this.transferTo(target, block.offset, false);
        break;
      }
      case Terminator.call:
      case Terminator.callIndirect:
        this.call(index, block);
        break;
      case Terminator.return: {
        this.values.push(block.value);
        out.u8(Wasm.localSet);
        out.u32(this.result);
        this.stayIfAt(index, block.target, this.result);
        this.spillBlock(index);
        this.context.storeBudget();
        out.u8(Wasm.localGet);
        out.u32(this.result);
        out.u8(Wasm.return);
        break;
      }
      case Terminator.service:
        this.spillBlock(index);
        this.context.storeBudget();
        this.context.storeInstructionPointer(keyOffset(block.next));
        out.u8(Wasm.localGet);
        out.u32(Parameter.context);
        out.u8(Wasm.i32Const);
        out.s32(block.target);
        out.u8(Wasm.call);
        out.u32(this.imports.service);
        this.openUnlikely();
        this.context.leave();
        this.close();
        this.reload(index, block.next);
        this.edge(index, block.next, true);
        break;
      case Terminator.exit:
        this.spillBlock(index);
        this.context.storeBudget();
        this.context.storeConstant(Header.exitCode, block.target);
        this.context.storeConstant(Header.exitPayload, block.payload);
        this.context.storeInstructionPointer(keyOffset(block.next));
        this.context.leave();
        break;
      default:
        throw new Error(`block ${block.key} does not end`);
    }
  }

  /** To the region's block that is at the guest address in `result`. */
  private dispatch(index: number): void {
    const { out, region, context } = this;
    const targets = region.dispatchTargets;
    const hash = hashTargets(targets.map(keyOffset));
    out.u8(Wasm.block);
    out.u8(BLOCK_EMPTY);
    this.labels.push(ANONYMOUS);
    if (hash !== undefined) {
      for (let count = 0; count < targets.length; count++) {
        out.u8(Wasm.block);
        out.u8(BLOCK_EMPTY);
        this.labels.push(ANONYMOUS);
      }
      branchByHash(out, hash, this.result, targets.length);
      targets.forEach((key, number) => {
        this.close();
        out.u8(Wasm.localGet);
        out.u32(this.result);
        context.pushAddress(keyOffset(key));
        out.u8(Wasm.i64Ne);
        this.hints.mark(out, false);
        out.u8(Wasm.brIf);
        out.u32(targets.length - 1 - number);
        this.edge(index, key, false);
      });
    }
    this.close();
    this.spillBlock(index);
    context.storeBudget();
    this.jumpThroughCache(this.result, Wasm.returnCall);
  }

  /** Goes to the block that `key` names when the guest address in a local is its: into and out of inlined functions. */
  private stayIfAt(index: number, key: number, address: number): void {
    if (this.graph.inside(index, key) < 0) return;
    const { out } = this;
    out.u8(Wasm.localGet);
    out.u32(address);
    this.context.pushAddress(keyOffset(key));
    out.u8(Wasm.i64Eq);
    this.hints.mark(out, true);
    this.openIf();
    this.edge(index, key, false);
    this.close();
  }

  private jumpThroughCache(target: number, opcode: number): void {
    const { out } = this;
    out.u8(Wasm.localGet);
    out.u32(Parameter.context);
    out.u8(Wasm.localGet);
    out.u32(target);
    out.u8(Wasm.i32Const);
    out.s32(0);
    out.u8(Wasm.localGet);
    out.u32(Parameter.depth);
    if (opcode === Wasm.call) this.lessThisFrame();
    out.u8(opcode);
    out.u32(this.imports.jump);
  }

  /** What is left for who is called, of the stack whose room is on the operand stack. */
  private lessThisFrame(): void {
    const { out } = this;
    out.u8(Wasm.i32Const);
    this.frames.push(out.later());
    out.u8(Wasm.i32Sub);
  }

  /** Guest call as wasm call while the host's stack lasts; then as a jump, whose return goes by way of the engine. */
  private call(index: number, block: Block): void {
    const { out } = this;
    const indirect = block.terminator === Terminator.callIndirect;
    const target = indirect ? this.values.toLocal(block.value) : -1;
    if (indirect && this.cold) this.profile.noteTarget(this.link.siteFor?.(block.offset) ?? 0, target);
    if (indirect) this.stayIfAt(index, block.target, target);
    const offset = keyOffset(block.target);
    this.spillBlock(index);
    const spends = !indirect && leadsBack(offset);
    if (spends) this.spendBudget(offset);
    out.u8(Wasm.localGet);
    out.u32(Parameter.depth);
    out.u8(Wasm.i32Const);
    out.s32(0);
    out.u8(Wasm.i32LeS);
    this.openUnlikely();
    if (indirect) {
      this.context.storeBudget();
      this.jumpThroughCache(target, Wasm.returnCall);
    } else {
      if (!spends) this.spendBudget(offset);
      this.context.storeBudget();
      this.callSlot(offset, Wasm.returnCallIndirect);
    }
    this.close();
    this.context.storeBudget();
    if (indirect) this.transferTo(target, block.offset, true);
    else this.callSlot(offset, Wasm.callIndirect);
    out.u8(Wasm.localTee);
    out.u32(this.result);
    this.context.pushAddress(keyOffset(block.next));
    out.u8(Wasm.i64Ne);
    this.openUnlikely();
    out.u8(Wasm.localGet);
    out.u32(this.result);
    out.u8(Wasm.return);
    this.close();
    this.reload(index, block.next);
    this.edge(index, block.next, true);
  }

  /**
   * Calls or jumps to the guest address in a local, from the instruction at guest offset `from`: through the slot of the
   * place where that usually leads, when it does, else through the jump cache.
   */
  private transferTo(target: number, from: number, isCall: boolean): void {
    const { out } = this;
    const usual = this.cold ? undefined : this.link.usualTarget?.(from);
    if (usual !== undefined) {
      out.u8(Wasm.localGet);
      out.u32(target);
      this.context.pushAddress(usual);
      out.u8(Wasm.i64Eq);
      this.hints.mark(out, true);
      this.openIf(isCall ? I64 : BLOCK_EMPTY);
      this.spendBudget(usual);
      this.context.storeBudget();
      this.callSlot(usual, isCall ? Wasm.callIndirect : Wasm.returnCallIndirect);
      if (isCall) out.u8(Wasm.else);
      else this.close();
    }
    this.jumpThroughCache(target, isCall ? Wasm.call : Wasm.returnCall);
    if (usual !== undefined && isCall) this.close();
  }

  private pushSlot(slot: number): void {
    const { out } = this;
    const global = this.imports.slotGlobal(slot);
    out.u8(global < 0 ? Wasm.i32Const : Wasm.globalGet);
    if (global < 0) out.s32(slot);
    else out.u32(global);
  }

  private callSlot(offset: number, opcode: number): void {
    const { out } = this;
    const slot = this.link.slotFor(offset);
    out.u8(Wasm.localGet);
    out.u32(Parameter.context);
    this.context.pushAddress(offset);
    this.pushSlot(slot);
    out.u8(Wasm.localGet);
    out.u32(Parameter.depth);
    if (opcode === Wasm.callIndirect) this.lessThisFrame();
    this.pushSlot(slot);
    out.u8(opcode);
    out.u32(this.imports.regionType);
    out.u32(0);
  }

  /** After a call everything is in the context block: brings back what is needed from the next block on. */
  private reload(from: number, key: number): void {
    if (this.cold) return;
    this.context.loadBudget();
    const to = this.graph.inside(from, key);
    if (to < 0) return;
    const backEdge = this.graph.isBackEdge(from, to);
    for (let slot = 0; slot < this.region.slots.length; slot++) {
      // A back edge may leave on the budget through an exit that spills this block's dirty slots.
      const needed = this.sets.liveIn.has(to, slot) || (backEdge && this.faultSpills(from, slot));
      if (needed) this.values.loadSlot(slot);
    }
  }

  private faultSpills(block: number, slot: number): boolean {
    const exit = this.faultExits.list[this.faultExits.ofBlock[block]];
    return slot < 32 ? (exit.low & (1 << slot)) !== 0 : (exit.high & (1 << (slot - 32))) !== 0;
  }
}

const ANONYMOUS = 0x7fffffff;
const I64 = 0x7e;
