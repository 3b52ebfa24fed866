/** Sizes and WebAssembly instructions of the accesses to guest memory. */
import { Op } from "../ir/op.ts";
import { Access } from "../layout.ts";
import { Wasm } from "./wasm-opcodes.ts";

export interface MemoryShape {
  readonly size: number;
  readonly opcode: number;
}

export const LOADS: Readonly<Record<number, MemoryShape>> = {
  [Op.load8U]: { size: Access.bytes1, opcode: Wasm.i32Load8U },
  [Op.load8S]: { size: Access.bytes1, opcode: Wasm.i32Load8S },
  [Op.load16U]: { size: Access.bytes2, opcode: Wasm.i32Load16U },
  [Op.load16S]: { size: Access.bytes2, opcode: Wasm.i32Load16S },
  [Op.load32]: { size: Access.bytes4, opcode: Wasm.i32Load },
  [Op.load64]: { size: Access.bytes8, opcode: Wasm.i64Load },
  [Op.loadF32]: { size: Access.bytes4, opcode: Wasm.f32Load },
  [Op.loadF64]: { size: Access.bytes8, opcode: Wasm.f64Load },
  [Op.loadV128]: { size: Access.bytes16, opcode: Wasm.v128Load },
  [Op.loadV128Zero32]: { size: Access.bytes4, opcode: Wasm.v128Load32Zero },
  [Op.loadV128Zero64]: { size: Access.bytes8, opcode: Wasm.v128Load64Zero },
};

export const STORES: Readonly<Record<number, MemoryShape>> = {
  [Op.store8]: { size: Access.bytes1, opcode: Wasm.i32Store8 },
  [Op.store16]: { size: Access.bytes2, opcode: Wasm.i32Store16 },
  [Op.store32]: { size: Access.bytes4, opcode: Wasm.i32Store },
  [Op.store64]: { size: Access.bytes8, opcode: Wasm.i64Store },
  [Op.storeF32]: { size: Access.bytes4, opcode: Wasm.f32Store },
  [Op.storeF64]: { size: Access.bytes8, opcode: Wasm.f64Store },
  [Op.storeV128]: { size: Access.bytes16, opcode: Wasm.v128Store },
};

/** Bytes that a load or store accesses. */
export function accessSize(op: number): number {
  return (LOADS[op] ?? STORES[op]).size;
}
