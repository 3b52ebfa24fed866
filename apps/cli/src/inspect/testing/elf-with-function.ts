/** The smallest ELF file with code and a symbol table. */

const BASE = 0x401000;
const TEXT_AT = 0x1000;

/** A static x86-64 program whose only function is `code`, at 0x401000. */
export function elfWithFunction(name: string, code: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(0x1400);
  const view = new DataView(bytes.buffer);
  const u64 = (at: number, value: number): void => view.setBigUint64(at, BigInt(value), true);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true); // ET_EXEC
  view.setUint16(18, 62, true); // EM_X86_64
  u64(24, BASE);
  u64(32, 64); // program headers
  u64(40, 0x200); // section headers
  view.setUint16(54, 56, true);
  view.setUint16(56, 1, true);
  view.setUint16(58, 64, true);
  view.setUint16(60, 3, true);
  view.setUint32(64, 1, true); // PT_LOAD
  view.setUint32(68, 5, true); // R X
  u64(72, TEXT_AT);
  u64(80, BASE);
  u64(96, code.length);
  u64(104, code.length);
  bytes.set(code, TEXT_AT);
  const section = (index: number, type: number, offset: number, size: number, link: number, entry: number): void => {
    const at = 0x200 + 64 * index;
    view.setUint32(at + 4, type, true);
    u64(at + 24, offset);
    u64(at + 32, size);
    view.setUint32(at + 40, link, true);
    u64(at + 56, entry);
  };
  section(1, 2, 0x400, 48, 2, 24); // symbols: the null one, and ours
  section(2, 3, 0x500, name.length + 2, 0, 0);
  view.setUint32(0x418, 1, true);
  bytes[0x41c] = 0x12; // a global function
  view.setUint16(0x41e, 1, true);
  u64(0x420, BASE);
  u64(0x428, code.length);
  bytes.set(new TextEncoder().encode(name), 0x501);
  return bytes;
}
