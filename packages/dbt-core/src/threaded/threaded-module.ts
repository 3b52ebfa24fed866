/**
 * The WebAssembly module of the handlers, of which every process has an instance beside its support module's. Handlers go
 * to one another through a table of their own; regions are entered and left through the process's.
 */
import { VALUE_TYPE_CODE, type ValueType } from "../ir/operations.ts";
import { type CodeLayout, Header } from "../layout.ts";
import { ByteWriter } from "../wasm/byte-writer.ts";
import { ModuleName, writeNameSection } from "../wasm/name-section.ts";
import { Wasm } from "../emit/wasm-opcodes.ts";
import { Callee } from "./handler-writer.ts";
import { handlerCount, writeHandlers } from "./handlers.ts";
import { EntryField, RecordField } from "./record.ts";

const REGION: readonly ValueType[] = ["i32", "i64", "i32", "i32"];
const STORE: readonly ValueType[] = ["i32", "i64", "i64", "i32"];

/** In the order of `Callee`. */
const IMPORTS: readonly (readonly [string, readonly ValueType[], ValueType])[] = [
  ["jump", REGION, "i64"],
  ["trap", REGION, "i64"],
  ["compile", REGION, "i64"],
  ["load", ["i32", "i64", "i32"], "i32"],
  ["store1", STORE, "i32"],
  ["store2", STORE, "i32"],
  ["store4", STORE, "i32"],
  ["store8", STORE, "i32"],
  ["store16", ["i32", "i64", "v128", "i32"], "i32"],
  ["service", ["i32", "i32"], "i32"],
  ["helper", ["i32", "i32"], "i32"],
];
/** `leave` and `leaveNarrow`, then `enter`, then the handlers. */
const FIRST_DEFINED: number = Callee.leave;
const ENTER = FIRST_DEFINED + 2;
const FIRST_HANDLER = ENTER + 1;
const LEAVE_TYPE = 1;

const I32 = 0x7f;
const I32_GT_S = 0x4a;
const I32_XOR = 0x73;
const I32_SHL = 0x74;
const I64_EQ = 0x51;
const I64_SHR_U = 0x88;
const EMPTY = 0x40;

/** Returns -1, with the instruction pointer at the header's exit offset. */
function writeLeave(out: ByteWriter, narrow: boolean): void {
  out.u8(0);
  out.raw(Uint8Array.of(Wasm.localGet, 0, Wasm.localGet, 1, Wasm.localGet, 0, Wasm.i64Load32S, 2));
  out.u32(Header.exitOffset);
  out.u8(Wasm.i64Add);
  if (narrow) out.raw(Uint8Array.of(Wasm.i32WrapI64, Wasm.i64ExtendI32U));
  out.u8(Wasm.i64Store);
  out.u8(3);
  out.u32(Header.instructionPointer);
  out.u8(Wasm.i64Const);
  out.s32(-1);
  out.u8(Wasm.end);
}

/**
 * A region's function for all regions in threaded code. Where to begin is found by the slot gone through, or, after a jump whose
 * target was known only at run time, by the address in the jump cache; if neither says, the resolver is asked.
 */
function writeEnter(out: ByteWriter, { jumpCache }: CodeLayout): void {
  const entry = 4;
  const parameters = [Wasm.localGet, 0, Wasm.localGet, 1, Wasm.localGet, 2, Wasm.localGet, 3];
  out.raw(Uint8Array.of(1, 1, 0x7f));
  // if slot > 0 and there are slot entries
  out.raw(Uint8Array.of(Wasm.localGet, 2, Wasm.i32Const, 0, I32_GT_S, Wasm.if, I32));
  out.raw(Uint8Array.of(Wasm.localGet, 0, Wasm.i32Load, 2, Header.slotEntries, Wasm.localTee, entry));
  out.raw(Uint8Array.of(Wasm.else, Wasm.i32Const, 0, Wasm.end, Wasm.if, EMPTY));
  // entry = slot entries[slot]
  out.raw(Uint8Array.of(Wasm.localGet, entry, Wasm.localGet, 2, Wasm.i32Const, 2, I32_SHL, Wasm.i32Add));
  out.raw(Uint8Array.of(Wasm.i32Load, 2, 0, Wasm.localSet, entry, Wasm.else));
  // entry = set of the address in the jump cache; entry = a way is for the address ? way.unit : 0
  out.raw(Uint8Array.of(Wasm.localGet, 1, Wasm.i32WrapI64, Wasm.localGet, 1, Wasm.i64Const, 12, I64_SHR_U));
  out.raw(Uint8Array.of(Wasm.i32WrapI64, I32_XOR, Wasm.i32Const));
  out.s32((1 << jumpCache.indexBits) - 1);
  out.raw(Uint8Array.of(Wasm.i32And, Wasm.i32Const, 5, I32_SHL, Wasm.localGet, 0, Wasm.i32Add, Wasm.localSet, entry));
  for (const way of [0, 16]) {
    out.raw(Uint8Array.of(Wasm.localGet, entry, Wasm.i64Load, 3));
    out.u32(jumpCache.offset + way);
    out.raw(Uint8Array.of(Wasm.localGet, 1, I64_EQ, Wasm.if, I32, Wasm.localGet, entry, Wasm.i32Load, 2));
    out.u32(jumpCache.offset + way + 12);
    out.u8(Wasm.else);
  }
  out.raw(Uint8Array.of(Wasm.i32Const, 0, Wasm.end, Wasm.end, Wasm.localSet, entry, Wasm.end));
  out.raw(Uint8Array.of(Wasm.localGet, entry, Wasm.i32Eqz, Wasm.if, EMPTY));
  out.raw(Uint8Array.of(...parameters, Wasm.returnCall, Callee.trap, Wasm.end));
  // if --entry.count < 0
  out.raw(Uint8Array.of(Wasm.localGet, entry, Wasm.localGet, entry, Wasm.i32Load, 2, EntryField.count));
  out.raw(Uint8Array.of(Wasm.i32Const, 1, Wasm.i32Sub, Wasm.i32Store, 2, EntryField.count));
  out.raw(Uint8Array.of(Wasm.localGet, entry, Wasm.i32Load, 2, EntryField.count, Wasm.i32Const, 0, Wasm.i32LtS));
  out.raw(Uint8Array.of(Wasm.if, EMPTY, ...parameters, Wasm.returnCall, Callee.compile, Wasm.end));
  out.raw(Uint8Array.of(Wasm.localGet, 0, Wasm.localGet, 1, Wasm.localGet, entry, Wasm.localGet, 3));
  out.raw(Uint8Array.of(Wasm.localGet, entry, Wasm.i32Load16U, 1, RecordField.handler));
  out.raw(Uint8Array.of(Wasm.returnCallIndirect, 0, 1, Wasm.end));
}

export function threadedModule(layout: CodeLayout, memoryPages: number): Uint8Array<ArrayBuffer> {
  const out = new ByteWriter(1 << 16);
  const section = new ByteWriter(1 << 16);
  const body = new ByteWriter(256);
  const write = (id: number, fill: (writer: ByteWriter) => void): void => {
    out.u8(id);
    out.sized(section, fill);
  };
  const functionType = (writer: ByteWriter, parameters: readonly ValueType[], result: ValueType): void => {
    writer.u8(0x60);
    writer.u32(parameters.length);
    for (const parameter of parameters) writer.u8(VALUE_TYPE_CODE[parameter]);
    writer.u8(1);
    writer.u8(VALUE_TYPE_CODE[result]);
  };
  out.raw(Uint8Array.of(0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00));
  write(1, (writer) => {
    writer.u32(2 + IMPORTS.length);
    functionType(writer, REGION, "i64");
    functionType(writer, ["i32", "i64"], "i64");
    for (const [, parameters, result] of IMPORTS) functionType(writer, parameters, result);
  });
  write(2, (writer) => {
    writer.u32(2 + IMPORTS.length);
    IMPORTS.forEach(([name, parameters], index) => {
      writer.name("e");
      writer.name(name);
      writer.u8(0);
      writer.u32(parameters === REGION ? 0 : 2 + index);
    });
    writer.name("e");
    writer.name("table");
    writer.raw(Uint8Array.of(1, 0x70, 0, 1));
    writer.name("e");
    writer.name("memory");
    writer.u8(2);
    writer.u8(1);
    writer.u32(memoryPages);
    writer.u32(memoryPages);
  });
  write(3, (writer) => {
    writer.u32(3 + handlerCount);
    writer.u8(LEAVE_TYPE);
    writer.u8(LEAVE_TYPE);
    for (let index = 0; index < 1 + handlerCount; index++) writer.u8(0);
  });
  // The handlers' table holds references of their very type, so that no call through it checks one.
  write(4, (writer) => {
    writer.u32(1);
    writer.raw(Uint8Array.of(0x63, 0, 1));
    writer.u32(handlerCount);
    writer.u32(handlerCount);
  });
  write(7, (writer) => {
    writer.u32(1);
    writer.name("enter");
    writer.u8(0);
    writer.u32(ENTER);
  });
  write(9, (writer) => {
    writer.u32(1);
    writer.raw(Uint8Array.of(6, 1, Wasm.i32Const, 0, Wasm.end, 0x63, 0));
    writer.u32(handlerCount);
    for (let index = 0; index < handlerCount; index++) {
      writer.u8(0xd2);
      writer.u32(FIRST_HANDLER + index);
      writer.u8(Wasm.end);
    }
  });
  write(10, (writer) => {
    writer.u32(3 + handlerCount);
    for (const fill of [
      (): void => writeLeave(body, false),
      (): void => writeLeave(body, true),
      (): void => writeEnter(body, layout),
    ]) {
      body.reset();
      fill();
      writer.u32(body.length);
      writer.raw(body.bytes, 0, body.length);
    }
    writeHandlers(writer);
  });
  writeNameSection(out, section, ModuleName.threaded, []);
  return out.toBytes();
}
