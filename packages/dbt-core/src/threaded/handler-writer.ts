/** Writes the bodies of threaded code's handlers. */
import type { ValueType } from "../ir/operations.ts";
import { EngineExit, Header } from "../layout.ts";
import { ByteWriter } from "../wasm/byte-writer.ts";
import { FRAME_BYTES } from "../emit/region-frame.ts";
import { Wasm } from "../emit/wasm-opcodes.ts";
import { AccessField, RecordField } from "./record.ts";

/** A block type: nothing is left on the stack. */
export const EMPTY = 0x40;

const LOAD: Readonly<Record<ValueType, number>> = {
  i32: Wasm.i32Load,
  i64: Wasm.i64Load,
  f32: Wasm.f32Load,
  f64: Wasm.f64Load,
  v128: Wasm.v128Load,
};
export const STORE: Readonly<Record<ValueType, number>> = {
  i32: Wasm.i32Store,
  i64: Wasm.i64Store,
  f32: Wasm.f32Store,
  f64: Wasm.f64Store,
  v128: Wasm.v128Store,
};

/** Parameters, and locals that a handler may ask for. */
export const Local = { context: 0, address: 1, record: 2, depth: 3, i32: 4, i64: 5 } as const;

/** Functions that handlers call: imports, and those of the threaded module itself. */
export const Callee = {
  jump: 0,
  trap: 1,
  compile: 2,
  load: 3,
  store1: 4,
  store2: 5,
  store4: 6,
  store8: 7,
  store16: 8,
  service: 9,
  helper: 10,
  /** Defined: leaves at the header's exit offset. */
  leave: 11,
  leaveNarrow: 12,
} as const;

/** Writes the body of one handler. */
export class HandlerWriter extends ByteWriter {
  /** Code addresses wrap at 32 bits. */
  readonly narrow: boolean;

  constructor(narrow: boolean) {
    super(256);
    this.narrow = narrow;
  }

  get(local: number): void {
    this.u8(Wasm.localGet);
    this.u8(local);
  }
  set(local: number): void {
    this.u8(Wasm.localSet);
    this.u8(local);
  }
  tee(local: number): void {
    this.u8(Wasm.localTee);
    this.u8(local);
  }
  i32(value: number): void {
    this.u8(Wasm.i32Const);
    this.s32(value);
  }

  /** Loads or stores at what is on the stack plus an offset; alignment is never promised. */
  at(opcode: number, offset = 0): void {
    this.opcode(opcode);
    this.u8(0);
    this.u32(offset);
  }

  /** Pushes a field of the record. */
  field(offset: number, opcode: number = Wasm.i32Load): void {
    this.get(Local.record);
    this.at(opcode, offset);
  }

  /** Pushes where the operand that a field names is. */
  place(field: number): void {
    this.get(Local.context);
    this.field(field, Wasm.i32Load16U);
    this.u8(Wasm.i32Add);
  }

  operand(field: number, type: ValueType): void {
    this.place(field);
    this.at(LOAD[type]);
  }

  /** Pushes the address that a load or store is of. */
  accessAddress(): void {
    this.operand(RecordField.a, "i64");
    this.field(AccessField.displacement, Wasm.i64Load32S);
    this.u8(Wasm.i64Add);
  }

  /** Pushes the address at the guest offset that a field holds. */
  guestAddress(field: number): void {
    this.get(Local.address);
    this.field(field, Wasm.i64Load32S);
    this.u8(Wasm.i64Add);
    this.wrap();
  }

  wrap(): void {
    if (!this.narrow) return;
    this.u8(Wasm.i32WrapI64);
    this.u8(Wasm.i64ExtendI32U);
  }

  header(offset: number, push: () => void, opcode: number = Wasm.i32Store): void {
    this.get(Local.context);
    push();
    this.at(opcode, offset);
  }

  /** Goes on with the record behind this one, of `bytes` bytes. */
  next(bytes: number): void {
    this.get(Local.context);
    this.get(Local.address);
    this.get(Local.record);
    this.i32(bytes);
    this.u8(Wasm.i32Add);
    this.get(Local.depth);
    this.field(bytes, Wasm.i32Load16U);
    this.u8(Wasm.returnCallIndirect);
    this.u8(0);
    this.u8(1);
  }

  /** Goes on with the record whose distance from this one is on the stack. */
  goOn(): void {
    this.get(Local.record);
    this.u8(Wasm.i32Add);
    this.set(Local.record);
    this.next(0);
  }

  call(callee: number): void {
    this.u8(Wasm.call);
    this.u8(callee);
  }

  /** Leaves with the state as it is; the header's exit offset says where. */
  leave(): void {
    this.get(Local.context);
    this.get(Local.address);
    this.u8(Wasm.returnCall);
    this.u8(this.narrow ? Callee.leaveNarrow : Callee.leave);
  }

  /** `if` the i32 on the stack is not zero: leaves with the state as it is. */
  leaveIf(): void {
    this.u8(Wasm.if);
    this.u8(EMPTY);
    this.leave();
    this.u8(Wasm.end);
  }

  returnLeft(): void {
    this.u8(Wasm.i64Const);
    this.s32(-1);
    this.u8(Wasm.return);
  }

  instructionPointer(field: number): void {
    this.header(Header.instructionPointer, () => this.guestAddress(field), Wasm.i64Store);
  }

  /** Takes one from the count whose address is on the stack (twice); pushes whether it is used up. */
  countDown(offset: number): void {
    this.at(Wasm.i32Load, offset);
    this.i32(1);
    this.u8(Wasm.i32Sub);
    this.tee(Local.i32);
    this.at(Wasm.i32Store, offset);
    this.get(Local.i32);
    this.i32(0);
    this.u8(Wasm.i32LtS);
  }

  /** Takes one from the budget; leaves at the guest offset in `field` when it is used up. */
  spendBudget(field: number): void {
    this.get(Local.context);
    this.get(Local.context);
    this.countDown(Header.budget);
    this.u8(Wasm.if);
    this.u8(EMPTY);
    this.header(Header.exitCode, () => this.i32(EngineExit.budget));
    this.instructionPointer(field);
    this.returnLeft();
    this.u8(Wasm.end);
  }

  transfer(opcode: number): void {
    this.u8(opcode);
    this.u8(0);
    this.u8(0);
  }

  /** Keeps the returned address on the stack only to compare it: returns it unless it is the guest offset in `field`. */
  returnUnless(field: number): void {
    this.tee(Local.i64);
    this.guestAddress(field);
    this.u8(Wasm.i64Ne);
    this.u8(Wasm.if);
    this.u8(EMPTY);
    this.get(Local.i64);
    this.u8(Wasm.return);
    this.u8(Wasm.end);
  }

  /** Arguments of a transfer to the guest offset in a field, through the slot in another. */
  transferArguments(offset: number, slot: number, deeper: boolean): void {
    this.get(Local.context);
    this.guestAddress(offset);
    this.field(slot);
    if (deeper) this.roomBelow();
    else this.get(Local.depth);
    this.field(slot);
  }

  /** Whether the host's stack has no room for a call. */
  noRoom(): void {
    this.get(Local.depth);
    this.i32(0);
    this.u8(Wasm.i32LeS);
  }

  /** What of the host's stack is left for who is called. */
  roomBelow(): void {
    this.get(Local.depth);
    this.i32(FRAME_BYTES);
    this.u8(Wasm.i32Sub);
  }
}
