// String instructions and port I/O. Their operands are implicit: [rSI] (segment override allowed), [ES:rDI], rAX, rCX, DX; the
// item's size is the operand size, the registers' size the address size. Columns and letters: ./legend.ts
import type { Table } from "./legend.ts";

export const string: Table = `
ins   | 6C |        | r=d            | | rep iopl byte
ins   | 6D |        | r=d            | | rep iopl z
outs  | 6E |        | r=d            | | rep iopl byte
outs  | 6F |        | r=d            | | rep iopl z
movs  | A4 |        | r=d            | | rep byte
movs  | A5 |        | r=d            | | rep
cmps  | A6 |        | r=d w=oszapc ? | | rep byte
cmps  | A7 |        | r=d w=oszapc ? | | rep
stos  | AA |        | r=d            | | rep byte
stos  | AB |        | r=d            | | rep
lods  | AC |        | r=d            | | rep byte
lods  | AD |        | r=d            | | rep
scas  | AE |        | r=d w=oszapc ? | | rep byte
scas  | AF |        | r=d w=oszapc ? | | rep
in    | E4 | AL Ib  |                | | iopl byte
in    | E5 | eAX Ib |                | | iopl z
out   | E6 | Ib AL  |                | | iopl byte
out   | E7 | Ib eAX |                | | iopl z
in    | EC | AL DX  |                | | iopl byte
in    | ED | eAX DX |                | | iopl z
out   | EE | DX AL  |                | | iopl byte
out   | EF | DX eAX |                | | iopl z
`;
