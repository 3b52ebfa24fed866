/**
 * Threaded code: a region of IR as records in guest memory that WebAssembly functions, the handlers, work through. It needs
 * no compiler, which is what code that runs a few times spends most on (Bell, "Threaded Code", CACM 1973).
 *
 * ```text
 *   unit    bytes i32           of the whole unit
 *           entries i32         how many there are
 *           record …            of the first block, then of the next, without gaps
 *           entry …             a record for each block that can be entered from elsewhere: the first, and most others
 *
 *   record  +0 handler u16      what to do
 *           +2 result  u16      \
 *           +4 a       u16       } operands: offsets from the context pointer
 *           +6 b       u16      /
 *           +8 …                what the handler takes besides: a third operand, constants, distances to other records
 * ```
 *
 * An operand is 8 or 16 bytes in the context block: a state slot, read where it is, or a *cell*, where the block keeps a
 * value of its own. Cells are free again at the block's end, since values never cross one. An operation's result of 32
 * bits takes up 8 bytes, of which the upper four are zero.
 */
export const RecordField = { handler: 0, result: 2, a: 4, b: 6, c: 8 } as const;

/** Fields of a load or store besides its operands: see `Access`; what is added to the address; a constant to be stored. */
export const AccessField = { info: 8, displacement: 12, value: 16 } as const;

/** Bytes of the context block that hold cells: more than any block of some dozen guest instructions needs. */
export const CELL_BYTES = 8192;
/** Bytes at the start of a unit, before its first record. */
export const UNIT_HEADER = 8;
export const UnitField = { bytes: 0, entries: 4 } as const;
/** An entry's block (its guest offset, its distance), and how often it is entered until it is worth compiling. */
export const EntryField = { offset: 8, block: 12, count: 16 } as const;
export const ENTRY_BYTES = 20;
/** Fields of a helper call's record: the helper, where it is called, the record's size, the arguments' places. */
export const HelperField = { result: 2, helper: 4, count: 6, offset: 8, bytes: 12, arguments: 14 } as const;
