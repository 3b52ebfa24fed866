/**
 * What a region's code does with the context header: exit code and payload, instruction pointer, budget. In cold code
 * the budget stays in the header; in hot code it is a local between entry and exits.
 */
import { EngineExit, Header } from "../layout.ts";
import type { ByteWriter } from "../wasm/byte-writer.ts";
import { type LocalPool, OTHER_ENTRY, Parameter } from "./region-frame.ts";
import { Wasm } from "./wasm-opcodes.ts";

const I64 = 0x7e;

export class ContextEmitter {
  private out!: ByteWriter;
  private cold = false;
  private narrowAddresses = false;
  private budget = -1;

  begin(locals: LocalPool, out: ByteWriter, cold: boolean, narrowAddresses: boolean): void {
    this.out = out;
    this.cold = cold;
    this.narrowAddresses = narrowAddresses;
    this.budget = locals.permanent("i32");
  }

  // The header.

  storeConstant(offset: number, value: number): void {
    const { out } = this;
    out.u8(Wasm.localGet);
    out.u32(Parameter.context);
    out.u8(Wasm.i32Const);
    out.s32(value);
    out.u8(Wasm.i32Store);
    out.u8(2);
    out.u32(offset);
  }

  /** Sets the instruction pointer to a guest offset's address. */
  storeInstructionPointer(offset: number): void {
    const { out } = this;
    out.u8(Wasm.localGet);
    out.u32(Parameter.context);
    this.pushAddress(offset);
    this.writeInstructionPointer();
  }

  /** Sets it to the address of the header's exit offset. */
  storeFaultingInstructionPointer(): void {
    const { out } = this;
    out.u8(Wasm.localGet);
    out.u32(Parameter.context);
    out.u8(Wasm.localGet);
    out.u32(Parameter.address);
    out.u8(Wasm.localGet);
    out.u32(Parameter.context);
    out.u8(Wasm.i64Load32S);
    out.u8(2);
    out.u32(Header.exitOffset);
    out.u8(Wasm.i64Add);
    this.narrow();
    this.writeInstructionPointer();
  }

  private writeInstructionPointer(): void {
    this.out.u8(Wasm.i64Store);
    this.out.u8(3);
    this.out.u32(Header.instructionPointer);
  }

  /** Returns to whoever asks the header why. */
  leave(): void {
    this.out.u8(Wasm.i64Const);
    this.out.s32(-1);
    this.out.u8(Wasm.return);
  }

  // Addresses.

  /** Pushes the guest-virtual address of a guest offset. */
  pushAddress(offset: number): void {
    const { out } = this;
    out.u8(Wasm.localGet);
    out.u32(Parameter.address);
    if (offset === 0) return;
    out.u8(Wasm.i64Const);
    out.s32(offset);
    out.u8(Wasm.i64Add);
    this.narrow();
  }

  private narrow(): void {
    if (!this.narrowAddresses) return;
    this.out.u8(Wasm.i32WrapI64);
    this.out.u8(Wasm.i64ExtendI32U);
  }

  // The budget.

  loadBudget(): void {
    const { out } = this;
    if (this.cold) return;
    this.readBudget();
    out.u8(Wasm.localSet);
    out.u32(this.budget);
  }

  private readBudget(): void {
    const { out } = this;
    out.u8(Wasm.localGet);
    out.u32(Parameter.context);
    out.u8(Wasm.i32Load);
    out.u8(2);
    out.u32(Header.budget);
  }

  storeBudget(): void {
    const { out } = this;
    if (this.cold) return;
    out.u8(Wasm.localGet);
    out.u32(Parameter.context);
    out.u8(Wasm.localGet);
    out.u32(this.budget);
    this.writeBudget();
  }

  private writeBudget(): void {
    this.out.u8(Wasm.i32Store);
    this.out.u8(2);
    this.out.u32(Header.budget);
  }

  /** Takes one from the budget; pushes whether it is used up. */
  spendOne(): void {
    const { out } = this;
    if (this.cold) {
      out.u8(Wasm.localGet);
      out.u32(Parameter.context);
      this.readBudget();
    } else {
      out.u8(Wasm.localGet);
      out.u32(this.budget);
    }
    out.u8(Wasm.i32Const);
    out.s32(1);
    out.u8(Wasm.i32Sub);
    out.u8(Wasm.localTee);
    out.u32(this.budget);
    if (this.cold) {
      this.writeBudget();
      out.u8(Wasm.localGet);
      out.u32(this.budget);
    }
    out.u8(Wasm.i32Const);
    out.s32(0);
    out.u8(Wasm.i32LtS);
  }

  /** The same at the guest address in a local. */
  leaveOnBudgetAt(address: number): void {
    const { out } = this;
    this.storeConstant(Header.exitCode, EngineExit.budget);
    out.u8(Wasm.localGet);
    out.u32(Parameter.context);
    out.u8(Wasm.localGet);
    out.u32(address);
    this.writeInstructionPointer();
    this.storeBudget();
    this.leave();
  }

  /** Puts the guest address that the region is entered at into a local: its own, or another (`OTHER_ENTRY`). */
  enteredAt(local: number): void {
    const { out } = this;
    out.u8(Wasm.localGet);
    out.u32(Parameter.slot);
    out.u8(Wasm.i32Const);
    out.s32(0);
    out.u8(Wasm.i32LtS);
    out.u8(Wasm.if);
    out.u8(I64);
    out.u8(Wasm.localGet);
    out.u32(Parameter.address);
    out.u8(Wasm.localGet);
    out.u32(Parameter.slot);
    out.u8(Wasm.i32Const);
    out.s32(OTHER_ENTRY);
    out.u8(Wasm.i32Sub);
    out.u8(Wasm.i64ExtendI32S);
    out.u8(Wasm.i64Add);
    this.narrow();
    out.u8(Wasm.else);
    out.u8(Wasm.localGet);
    out.u32(Parameter.address);
    out.u8(Wasm.end);
    out.u8(Wasm.localSet);
    out.u32(local);
  }

  /** Leaves because the budget is used up, at guest offset `offset`; everything is in the context block already. */
  leaveOnBudget(offset: number): void {
    this.storeConstant(Header.exitCode, EngineExit.budget);
    this.storeInstructionPointer(offset);
    this.storeBudget();
    this.leave();
  }
}
