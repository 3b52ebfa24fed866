/**
 * The handlers of threaded code, as data: one for each pure operation of the IR (and one with a constant as second operand), and
 * those that touch memory, leave, or decide what comes next.
 *
 * A handler has a region's type. What is the slot to a region is the place of the record to a handler: it does the
 * record's work and goes on, by a tail call, to the handler of the next.
 */
import { operations, type ValueType } from "../ir/operations.ts";
import { EngineExit, Header } from "../layout.ts";
import type { ByteWriter } from "../wasm/byte-writer.ts";
import { Wasm } from "../emit/wasm-opcodes.ts";
import { Callee, EMPTY, HandlerWriter, Local, STORE } from "./handler-writer.ts";
import { AccessField, ENTRY_BYTES, EntryField, HelperField, RecordField } from "./record.ts";

const SELECT = 0x1b;
const I32_EQ = 0x46;
const I64_LOAD_32U = 0x35;
const I8X16_SWIZZLE = 0xfd0e;
const I8X16_SUB = 0xfd71;
const I8X16_SPLAT = 0xfd0f;
const V128_OR = 0xfd50;

interface Handler {
  /** Of its records, when all are of one size. */
  readonly bytes: number;
  readonly write: (out: HandlerWriter, bytes: number) => void;
  /** Whether it works out code addresses: then there are two of it, the second for code whose addresses wrap. */
  readonly addresses: boolean;
}

const handlers: Handler[] = [];

type Write = (out: HandlerWriter, bytes: number) => void;

function define(bytes: number, write: Write): number {
  return handlers.push({ bytes, write, addresses: false }) - 1;
}
/** The handler for wide addresses; the one behind it is for narrow ones. */
function defineWithAddresses(bytes: number, write: Write): number {
  const index = handlers.push({ bytes, write, addresses: true }) - 1;
  handlers.push({ bytes, write, addresses: true });
  return index;
}

const { a, b, c, result } = RecordField;
const FIELDS = [a, b, c] as const;

/** Pushes where the result goes, what `value` pushes, stores it there, and goes on. */
function define1(bytes: number, store: number, value: (out: HandlerWriter) => void): number {
  return define(bytes, (out) => {
    out.place(result);
    value(out);
    out.at(store);
    out.next(bytes);
  });
}

// Pure operations.

/** Stores the result on the stack; of an i32 8 bytes, so that it is the i64 without a sign as well. */
function storeResult(out: HandlerWriter, type: ValueType): void {
  if (type === "i32") {
    out.u8(Wasm.i64ExtendI32U);
    out.at(Wasm.i64Store);
  } else {
    out.at(STORE[type]);
  }
}

/** By operation: the handler, or -1. */
export const plainHandler: Int16Array = new Int16Array(operations.length).fill(-1);
/** By operation: the handler whose second operand is the i32 (sign-extended to an i64, if need be) at `c`, or -1. */
export const constantHandler: Int16Array = new Int16Array(operations.length).fill(-1);

/** By comparison: the handler that branches by it, and the one whose second operand is a constant, at `c + 8`; or -1. */
export const branchHandler: Int16Array = new Int16Array(operations.length).fill(-1);
export const branchConstantHandler: Int16Array = new Int16Array(operations.length).fill(-1);
/** WebAssembly's comparisons of numbers, from i32.eqz to f64.ge. */
const FIRST_COMPARISON = 0x45;
const LAST_COMPARISON = 0x66;

operations.forEach(({ opcode, operands, result: type, immediate, pure }, index) => {
  if (!pure || opcode < 0 || immediate !== "none" || type === undefined) return;
  const [first, second] = operands;
  const pushPlain = (out: HandlerWriter): void => {
    operands.forEach((operand, position) => out.operand(FIELDS[position], operand));
    out.opcode(opcode);
  };
  const pushWithConstant =
    (at: number) =>
    (out: HandlerWriter): void => {
      out.operand(a, first);
      out.field(at, second === "i32" ? Wasm.i32Load : Wasm.i64Load32S);
      out.opcode(opcode);
    };
  plainHandler[index] = defineOperation(operands.length > 2 ? 12 : 8, type, pushPlain);
  const takesConstant = operands.length === 2 && (second === "i32" || second === "i64");
  if (takesConstant) constantHandler[index] = defineOperation(12, type, pushWithConstant(c));
  if (opcode < FIRST_COMPARISON || opcode > LAST_COMPARISON) return;
  branchHandler[index] = defineBranch(16, pushPlain);
  if (takesConstant) branchConstantHandler[index] = defineBranch(20, pushWithConstant(c + 8));
});

function defineOperation(bytes: number, type: ValueType, push: (out: HandlerWriter) => void): number {
  return define(bytes, (out) => {
    out.place(result);
    push(out);
    storeResult(out, type);
    out.next(bytes);
  });
}

/** Goes on at the distance `c` or `c + 4`, as the i32 that `push` pushes is not zero or is. */
function defineBranch(bytes: number, push: (out: HandlerWriter) => void): number {
  return define(bytes, (out) => {
    out.field(c);
    out.field(c + 4);
    push(out);
    out.u8(SELECT);
    out.goOn();
  });
}

/** `result = a`, by a load and a store: a lane of a vector is a part of its cell. */
function copy(load: number, store: number): number {
  return define1(8, store, (out) => {
    out.place(a);
    out.at(load);
  });
}
/** `result = ` what stands at `c`. */
function constant(bytes: number, load: number, store: number): number {
  return define1(bytes, store, (out) => out.field(c, load));
}

// Memory.

/** `result = [a + displacement]`. */
function loadMemory(opcode: number, type: ValueType): number {
  return defineWithAddresses(16, (out, bytes) => {
    out.get(Local.context);
    out.accessAddress();
    out.field(AccessField.info);
    out.call(Callee.load);
    out.tee(Local.i32);
    out.u8(Wasm.i32Eqz);
    out.leaveIf();
    out.place(result);
    out.get(Local.i32);
    out.at(opcode);
    storeResult(out, type);
    out.next(bytes);
  });
}

/** `[a + displacement] = b`, or a constant. */
function storeMemory(callee: number, bytes: number, value: (out: HandlerWriter) => void): number {
  return defineWithAddresses(bytes, (out) => {
    out.get(Local.context);
    out.accessAddress();
    value(out);
    out.field(AccessField.info);
    out.call(callee);
    out.leaveIf();
    out.next(bytes);
  });
}
function storeOperand(callee: number, opcode: number): number {
  return storeMemory(callee, 16, (out) => {
    out.place(b);
    out.at(opcode);
  });
}
function storeConstant(callee: number): number {
  return storeMemory(callee, 20, (out) => out.field(AccessField.value, Wasm.i64Load32S));
}

// Control. An edge inside a region is a distance to another record.

/** Guest calls are wasm calls while the host's stack lasts; then jumps, whose return goes by way of the engine. */
function call(leadsBack: boolean): number {
  return defineWithAddresses(20, (out, bytes) => {
    const [offset, slot, next] = [c, c + 4, c + 8];
    if (leadsBack) out.spendBudget(offset);
    out.noRoom();
    out.u8(Wasm.if);
    out.u8(EMPTY);
    if (!leadsBack) out.spendBudget(offset);
    out.transferArguments(offset, slot, false);
    out.transfer(Wasm.returnCallIndirect);
    out.u8(Wasm.end);
    out.transferArguments(offset, slot, true);
    out.transfer(Wasm.callIndirect);
    out.returnUnless(next);
    out.next(bytes);
  });
}

function transferThroughSlot(leadsBack: boolean): number {
  return defineWithAddresses(16, (out) => {
    if (leadsBack) out.spendBudget(c);
    out.transferArguments(c, c + 4, false);
    out.transfer(Wasm.returnCallIndirect);
  });
}

/** `counted`: there is a count of loops behind the slot. */
function loop(counted: boolean): number {
  return defineWithAddresses(24, (out) => {
    const [target, offset, slot, count] = [c, c + 4, c + 8, c + 12];
    if (counted) {
      out.get(Local.record);
      out.get(Local.record);
      out.countDown(count);
      out.u8(Wasm.if);
      out.u8(EMPTY);
      // The first time the compiler is asked, which links the slot.
      out.get(Local.i32);
      out.i32(-1);
      out.u8(I32_EQ);
      out.u8(Wasm.if);
      out.u8(EMPTY);
      out.get(Local.context);
      out.guestAddress(offset);
      out.field(slot);
      out.get(Local.depth);
      out.u8(Wasm.returnCall);
      out.u8(Callee.compile);
      out.u8(Wasm.end);
      out.transferArguments(offset, slot, false);
      out.transfer(Wasm.returnCallIndirect);
      out.u8(Wasm.end);
    }
    out.spendBudget(offset);
    out.field(target);
    out.goOn();
  });
}

type HandlerName =
  | "copy32"
  | "copy64"
  | "copy128"
  | "copy8U"
  | "copy8S"
  | "copy16U"
  | "copy16S"
  | "put8"
  | "put16"
  | "constant32"
  | "constant32To64"
  | "constant64"
  | "constant128"
  | "address"
  | "shuffle"
  | "load8U"
  | "load8S"
  | "load16U"
  | "load16S"
  | "load32"
  | "load64"
  | "loadV128"
  | "loadV128Zero32"
  | "loadV128Zero64"
  | "store8"
  | "store16"
  | "store32"
  | "store64"
  | "storeV128"
  | "storeConstant8"
  | "storeConstant16"
  | "storeConstant32"
  | "storeConstant64"
  | "exitIf"
  | "guardTest"
  | "helper"
  | "jump"
  | "branch"
  | "loop"
  | "loopUncounted"
  | "transfer"
  | "transferBack"
  | "call"
  | "callBack"
  | "jumpIndirect"
  | "callIndirect"
  | "entry"
  | "gone"
  | "return"
  | "service"
  | "exit";

/** Handlers by name. Of those that work out code addresses, the next is for narrow ones. */
export const Handler: Readonly<Record<HandlerName, number>> = {
  copy32: copy(Wasm.i32Load, Wasm.i32Store),
  copy64: copy(Wasm.i64Load, Wasm.i64Store),
  copy128: copy(Wasm.v128Load, Wasm.v128Store),
  copy8U: copy(Wasm.i32Load8U, Wasm.i32Store),
  copy8S: copy(Wasm.i32Load8S, Wasm.i32Store),
  copy16U: copy(Wasm.i32Load16U, Wasm.i32Store),
  copy16S: copy(Wasm.i32Load16S, Wasm.i32Store),
  put8: copy(Wasm.i32Load, Wasm.i32Store8),
  put16: copy(Wasm.i32Load, Wasm.i32Store16),
  constant32: constant(12, Wasm.i32Load, Wasm.i32Store),
  constant32To64: constant(12, Wasm.i64Load32S, Wasm.i64Store),
  constant64: constant(16, Wasm.i64Load, Wasm.i64Store),
  constant128: constant(24, Wasm.v128Load, Wasm.v128Store),
  /** The region's address, plus a constant. */
  address: define1(12, Wasm.i64Store, (out) => {
    out.get(Local.address);
    out.field(c, Wasm.i64Load32S);
    out.u8(Wasm.i64Add);
  }),
  /** Lanes that are not of one vector are beyond the end of the other's, where a swizzle gives zero. */
  shuffle: define1(24, Wasm.v128Store, (out) => {
    out.operand(a, "v128");
    out.field(c, Wasm.v128Load);
    out.opcode(I8X16_SWIZZLE);
    out.operand(b, "v128");
    out.field(c, Wasm.v128Load);
    out.i32(16);
    out.opcode(I8X16_SPLAT);
    out.opcode(I8X16_SUB);
    out.opcode(I8X16_SWIZZLE);
    out.opcode(V128_OR);
  }),
  load8U: loadMemory(Wasm.i32Load8U, "i32"),
  load8S: loadMemory(Wasm.i32Load8S, "i32"),
  load16U: loadMemory(Wasm.i32Load16U, "i32"),
  load16S: loadMemory(Wasm.i32Load16S, "i32"),
  load32: loadMemory(Wasm.i32Load, "i32"),
  load64: loadMemory(Wasm.i64Load, "i64"),
  loadV128: loadMemory(Wasm.v128Load, "v128"),
  loadV128Zero32: loadMemory(Wasm.v128Load32Zero, "v128"),
  loadV128Zero64: loadMemory(Wasm.v128Load64Zero, "v128"),
  store8: storeOperand(Callee.store1, I64_LOAD_32U),
  store16: storeOperand(Callee.store2, I64_LOAD_32U),
  store32: storeOperand(Callee.store4, I64_LOAD_32U),
  store64: storeOperand(Callee.store8, Wasm.i64Load),
  storeV128: storeOperand(Callee.store16, Wasm.v128Load),
  storeConstant8: storeConstant(Callee.store1),
  storeConstant16: storeConstant(Callee.store2),
  storeConstant32: storeConstant(Callee.store4),
  storeConstant64: storeConstant(Callee.store8),
  /** Leaves with code, payload and offset when `a` is not zero. */
  exitIf: defineWithAddresses(20, (out, bytes) => {
    out.operand(a, "i32");
    out.u8(Wasm.if);
    out.u8(EMPTY);
    out.header(Header.exitCode, () => out.field(c));
    out.header(Header.exitPayload, () => out.field(c + 4));
    out.header(Header.exitOffset, () => out.field(c + 8));
    out.leave();
    out.u8(Wasm.end);
    out.next(bytes);
  }),
  /** Leaves when not all bits of the mask are set in the guard word at an offset in memory. */
  guardTest: defineWithAddresses(24, (out, bytes) => {
    const [word, mask, offset] = [c, c + 4, c + 12];
    out.field(word);
    out.at(Wasm.i64Load);
    out.field(mask, Wasm.i64Load);
    out.u8(Wasm.i64And);
    out.field(mask, Wasm.i64Load);
    out.u8(Wasm.i64Ne);
    out.u8(Wasm.if);
    out.u8(EMPTY);
    out.header(Header.exitCode, () => out.i32(EngineExit.stale));
    out.header(Header.exitOffset, () => out.field(offset));
    out.leave();
    out.u8(Wasm.end);
    out.next(bytes);
  }),
  /** JavaScript reads the record, of any size, calls the helper, and says whether to leave. */
  helper: defineWithAddresses(0, (out) => {
    out.get(Local.context);
    out.get(Local.record);
    out.call(Callee.helper);
    out.leaveIf();
    out.field(HelperField.bytes, Wasm.i32Load16U);
    out.goOn();
  }),
  jump: define(12, (out) => {
    out.field(c);
    out.goOn();
  }),
  branch: define(16, (out) => {
    out.field(c);
    out.field(c + 4);
    out.operand(a, "i32");
    out.u8(SELECT);
    out.goOn();
  }),
  loop: loop(true),
  loopUncounted: loop(false),
  transfer: transferThroughSlot(false),
  transferBack: transferThroughSlot(true),
  call: call(false),
  callBack: call(true),
  jumpIndirect: define(8, (out) => {
    out.get(Local.context);
    out.operand(a, "i64");
    out.i32(0);
    out.get(Local.depth);
    out.u8(Wasm.returnCall);
    out.u8(Callee.jump);
  }),
  callIndirect: defineWithAddresses(12, (out, bytes) => {
    out.noRoom();
    out.u8(Wasm.if);
    out.u8(EMPTY);
    out.get(Local.context);
    out.operand(a, "i64");
    out.i32(0);
    out.i32(0);
    out.u8(Wasm.returnCall);
    out.u8(Callee.jump);
    out.u8(Wasm.end);
    out.get(Local.context);
    out.operand(a, "i64");
    out.i32(0);
    out.roomBelow();
    out.call(Callee.jump);
    out.returnUnless(c);
    out.next(bytes);
  }),
  /** Where threaded code is entered, at its block of some guest offset. */
  entry: defineWithAddresses(ENTRY_BYTES, (out) => {
    out.get(Local.address);
    out.field(EntryField.offset, Wasm.i64Load32S);
    out.u8(Wasm.i64Sub);
    out.wrap();
    out.set(Local.address);
    out.field(EntryField.block);
    out.goOn();
  }),
  /** An entry of a unit that was discarded: has the resolver say where the address leads. */
  gone: define(ENTRY_BYTES, (out) => {
    out.get(Local.context);
    out.get(Local.address);
    out.i32(0);
    out.get(Local.depth);
    out.u8(Wasm.returnCall);
    out.u8(Callee.trap);
  }),
  return: define(8, (out) => out.operand(a, "i64")),
  service: defineWithAddresses(16, (out, bytes) => {
    out.instructionPointer(c + 4);
    out.get(Local.context);
    out.field(c);
    out.call(Callee.service);
    out.u8(Wasm.if);
    out.u8(EMPTY);
    out.returnLeft();
    out.u8(Wasm.end);
    out.next(bytes);
  }),
  exit: defineWithAddresses(20, (out) => {
    out.header(Header.exitCode, () => out.field(c));
    out.header(Header.exitPayload, () => out.field(c + 4));
    out.instructionPointer(c + 8);
    out.returnLeft();
  }),
};

/** Bytes of a handler's records; 0 where the record says. */
export const recordBytes: Uint8Array = Uint8Array.from(handlers, ({ bytes }) => bytes);
export const handlerCount: number = handlers.length;

/** Bodies of all handlers, each preceded by its size. */
export function writeHandlers(out: ByteWriter): void {
  const wide = new HandlerWriter(false);
  const narrow = new HandlerWriter(true);
  handlers.forEach(({ bytes, write, addresses }, index) => {
    const second = addresses && handlers[index - 1]?.write === write;
    const body = second ? narrow : wide;
    body.reset();
    // Locals: one i32, one i64.
    body.raw(LOCALS);
    write(body, bytes);
    body.u8(Wasm.end);
    out.u32(body.length);
    out.raw(body.bytes, 0, body.length);
  });
}

const LOCALS = Uint8Array.of(2, 1, 0x7f, 1, 0x7e);
