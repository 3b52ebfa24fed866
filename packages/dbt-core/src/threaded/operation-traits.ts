/** What the assembler of threaded code has to know of operations, by their index. */
import { Op } from "../ir/op.ts";
import { operations } from "../ir/operations.ts";
import { Access } from "../layout.ts";
import { Handler, plainHandler } from "./handlers.ts";

export const VECTOR_BYTES = 16;
export const VALUE_BYTES = 8;

export const ARITY: Uint8Array = Uint8Array.from(operations, ({ operands }) => operands.length);
export const MAY_FAULT: Uint8Array = Uint8Array.from(operations, ({ mayFault }) => (mayFault ? 1 : 0));
export const HAS_EFFECT: Uint8Array = Uint8Array.from(operations, ({ pure, name }) =>
  pure || name.startsWith("getState") || name.startsWith("helperResult") ? 0 : 1,
);
/** Whether eight bytes of its result's cell are written, the upper four of them zero. */
export const IS_EXTENDED: Uint8Array = Uint8Array.from(operations, ({ result }, code) => {
  const hasRecord = (plainHandler[code] >= 0 && code !== Op.i32WrapI64) || (code >= Op.load8U && code <= Op.load32);
  return result === "i32" && hasRecord ? 1 : 0;
});
export const CELL_SIZE: Uint8Array = Uint8Array.from(operations, ({ result }) =>
  result === "v128" ? VECTOR_BYTES : VALUE_BYTES,
);

export interface AccessHandler {
  readonly handler: number;
  /** Of a store whose value is a constant; -1 where there is none. */
  readonly constant: number;
  readonly size: number;
}
const access = (handler: number, size: number, constant = -1): AccessHandler => ({ handler, constant, size });
export const ACCESSES: Readonly<Record<number, AccessHandler>> = {
  [Op.load8U]: access(Handler.load8U, Access.bytes1),
  [Op.load8S]: access(Handler.load8S, Access.bytes1),
  [Op.load16U]: access(Handler.load16U, Access.bytes2),
  [Op.load16S]: access(Handler.load16S, Access.bytes2),
  [Op.load32]: access(Handler.load32, Access.bytes4),
  [Op.load64]: access(Handler.load64, Access.bytes8),
  [Op.loadF32]: access(Handler.load32, Access.bytes4),
  [Op.loadF64]: access(Handler.load64, Access.bytes8),
  [Op.loadV128]: access(Handler.loadV128, Access.bytes16),
  [Op.loadV128Zero32]: access(Handler.loadV128Zero32, Access.bytes4),
  [Op.loadV128Zero64]: access(Handler.loadV128Zero64, Access.bytes8),
  [Op.store8]: access(Handler.store8, Access.bytes1, Handler.storeConstant8),
  [Op.store16]: access(Handler.store16, Access.bytes2, Handler.storeConstant16),
  [Op.store32]: access(Handler.store32, Access.bytes4, Handler.storeConstant32),
  [Op.store64]: access(Handler.store64, Access.bytes8, Handler.storeConstant64),
  [Op.storeF32]: access(Handler.store32, Access.bytes4),
  [Op.storeF64]: access(Handler.store64, Access.bytes8),
  [Op.storeV128]: access(Handler.storeV128, Access.bytes16),
};

/** Extracting or replacing a lane: the handler, and the lane's bytes. */
export const EXTRACT: Readonly<Record<number, readonly [number, number]>> = {
  [Op.i8x16ExtractLaneS]: [Handler.copy8S, 1],
  [Op.i8x16ExtractLaneU]: [Handler.copy8U, 1],
  [Op.i16x8ExtractLaneS]: [Handler.copy16S, 2],
  [Op.i16x8ExtractLaneU]: [Handler.copy16U, 2],
  [Op.i32x4ExtractLane]: [Handler.copy32, 4],
  [Op.f32x4ExtractLane]: [Handler.copy32, 4],
  [Op.i64x2ExtractLane]: [Handler.copy64, 8],
  [Op.f64x2ExtractLane]: [Handler.copy64, 8],
};
export const REPLACE: Readonly<Record<number, readonly [number, number]>> = {
  [Op.i8x16ReplaceLane]: [Handler.put8, 1],
  [Op.i16x8ReplaceLane]: [Handler.put16, 2],
  [Op.i32x4ReplaceLane]: [Handler.copy32, 4],
  [Op.f32x4ReplaceLane]: [Handler.copy32, 4],
  [Op.i64x2ReplaceLane]: [Handler.copy64, 8],
  [Op.f64x2ReplaceLane]: [Handler.copy64, 8],
};
