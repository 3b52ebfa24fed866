/**
 * zlib's `inflate_fast`: the inner loop of decompression (RFC 1951 section 3.2), from zlib's tables to the caller's buffer.
 *
 * What it works on is copied into the module's own memory first, page by page, and what came of it is copied out: so it may read
 * and write some bytes more than a symbol is about. At a symbol that is not valid it stops in front, as it does when what is
 * left of input or output might not suffice for another; zlib's own code goes on from there. The structures are the guest's to
 * write: nothing in them leads out of the copies, and each round gives a byte or ends.
 */
import {
  again,
  call,
  type Code,
  fillOwn,
  get,
  give,
  I32,
  i32,
  I64,
  i64,
  loop,
  own,
  select,
  set,
  V128,
  v128,
  type WasmFunction,
  when,
} from "./code.ts";
import { CHECKSUM_BYTES } from "./checksums.ts";
import { Call } from "./guest-pages.ts";

/** Byte offsets in `z_stream`, */
const STREAM = { nextIn: 0, availableIn: 8, nextOut: 24, availableOut: 32, state: 56, bytes: 64 } as const;
/** and in `struct inflate_state`, of zlib 1.2.11 and later. */
const STATE = {
  mode: 8,
  windowSize: 60,
  windowHave: 64,
  windowNext: 68,
  window: 72,
  hold: 80,
  bits: 88,
  lengthCodes: 104,
  distanceCodes: 112,
  lengthBits: 120,
  distanceBits: 124,
  bytes: 128,
} as const;
/** The mode in which a block's end is noticed. */
const MODE_TYPE = 16191;
/** Entries of the tables at most (ENOUGH_LENS, ENOUGH_DISTS), and bits that they are looked up by first. */
const LENGTH_CODES = 852;
const DISTANCE_CODES = 592;
const ROOT_BITS = 9;
const HISTORY = 32768;
const LONGEST_MATCH = 258;

/** A call does no more than this; zlib calls again. */
const LARGEST = 65536;
/** A round reads eight bytes twice, the second time at most seven further on. */
const ROUND_INPUT = 16;
/** A round gives three literals, or two and a match. */
const ROUND_OUTPUT = LONGEST_MATCH + 3;
/** Matches are copied in whole vectors. */
const SLACK = 16;

// Places in the module's own memory.
const stream = (CHECKSUM_BYTES + 15) & -16;
const state = stream + STREAM.bytes;
/** What the loop leaves beside the stored bits, which it finds and leaves in the state's copy. */
const progress = { input: state + STATE.bytes, output: state + STATE.bytes + 4 } as const;
const lengths = state + STATE.bytes + 16;
const distances = lengths + 4 * LENGTH_CODES;
const input = distances + 4 * DISTANCE_CODES;
const output = input + LARGEST + HISTORY;
/** Bytes of the module's own memory up to here. */
export const INFLATE_END: number = output + LARGEST + SLACK;

const word = (place: number): Code => own.load32(place, i32.const(0));
const setWord = (place: number, value: Code): Code => own.store32(place, i32.const(0), value);
const pointer = (place: number): Code => own.load64(place, i32.const(0));
const setPointer = (place: number, value: Code): Code => own.store64(place, i32.const(0), value);

/**
 * (where input goes on, the last place to begin a round at, the same for output, where history begins, four times the tables'
 * masks): whether the block has ended.
 */
function decode(): WasmFunction {
  const [from, lastFrom, to, lastTo, first, lengthMask, distanceMask] = [0, 1, 2, 3, 4, 5, 6];
  const [bits, code, used, length, distance, source, oldBits, hold, oldHold, vector] = [
    7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
  ];
  const lowHold = i32.wrap(get(hold));
  const refill: Code = [
    set(hold, i64.or(get(hold), i64.shl(own.load64(0, get(from)), i64.extendU(get(bits))))),
    set(from, i32.add(get(from), i32.shrU(i32.sub(i32.const(63), get(bits)), i32.const(3)))),
    set(bits, i32.or(get(bits), i32.const(56))),
  ];
  const root = (table: number, mask: number): Code =>
    set(code, own.load32(table, i32.and(i32.shl(lowHold, i32.const(2)), get(mask))));
  const drop = (count: Code): Code => [
    set(used, count),
    set(hold, i64.shrU(get(hold), i64.extendU(get(used)))),
    set(bits, i32.sub(get(bits), get(used))),
  ];
  const dropCode = drop(i32.and(i32.shrU(get(code), i32.const(8)), i32.const(15)));
  const value = i32.shrU(get(code), i32.const(16));
  const isLiteral = i32.eqz(i32.and(get(code), i32.const(0xff)));
  const literal: Code = [own.store8(0, get(to), value), set(to, i32.add(get(to), i32.const(1)))];
  /** So many of the bits that are there as the code says, behind its base value. */
  const extra: Code = i32.add(
    value,
    i32.and(lowHold, i32.sub(i32.shl(i32.const(1), i32.and(get(code), i32.const(15))), i32.const(1))),
  );
  const dropExtra = drop(i32.and(get(code), i32.const(15)));
  /** Leaves in front of this symbol. */
  const leave = (ended: number): Code => [
    // Whole bytes that were not needed go back.
    setWord(progress.input, i32.sub(get(from), i32.shrU(get(bits), i32.const(3)))),
    setWord(progress.output, get(to)),
    set(bits, i32.and(get(bits), i32.const(7))),
    setWord(state + STATE.bits, get(bits)),
    setPointer(
      state + STATE.hold,
      i64.and(get(hold), i64.extendU(i32.sub(i32.shl(i32.const(1), get(bits)), i32.const(1)))),
    ),
    give(i32.const(ended)),
  ];
  const giveUp: Code = [set(hold, get(oldHold)), set(bits, get(oldBits)), leave(0)];
  /** In a second table, behind the first. */
  const subTable = (table: number, entries: number): Code =>
    when(
      i32.eqz(i32.and(get(code), i32.const(0x50))),
      dropCode,
      set(source, extra),
      when(i32.geU(get(source), i32.const(entries)), giveUp),
      set(code, own.load32(table, i32.shl(get(source), i32.const(2)))),
    );
  const copying = (step: number, body: Code): Code =>
    loop(
      body,
      set(to, i32.add(get(to), i32.const(step))),
      set(source, i32.add(get(source), i32.const(step))),
      when(i32.ltU(get(to), get(length)), again(1)),
    );
  const atLength = set(to, get(length));
  return {
    parameters: [I32, I32, I32, I32, I32, I32, I32],
    results: [I32],
    locals: [I32, I32, I32, I32, I32, I32, I32, I64, I64, V128],
    body: [
      set(bits, word(state + STATE.bits)),
      set(
        hold,
        i64.and(pointer(state + STATE.hold), i64.sub(i64.shl(i64.const(1n), i64.extendU(get(bits))), i64.const(1n))),
      ),
      loop(
        when(i32.or(i32.gtU(get(from), get(lastFrom)), i32.gtU(get(to), get(lastTo))), leave(0)),
        refill,
        // Three literals are 45 bits at most.
        root(lengths, lengthMask),
        when(
          isLiteral,
          literal,
          dropCode,
          root(lengths, lengthMask),
          when(isLiteral, literal, dropCode, root(lengths, lengthMask), when(isLiteral, literal, dropCode, again(3))),
        ),
        // A match is 48 bits at most.
        refill,
        set(oldHold, get(hold)),
        set(oldBits, get(bits)),
        subTable(lengths, LENGTH_CODES),
        dropCode,
        when(isLiteral, literal, again(1)),
        when(i32.eqz(i32.and(get(code), i32.const(16))), when(i32.and(get(code), i32.const(32)), leave(1)), giveUp),
        set(length, extra),
        dropExtra,
        root(distances, distanceMask),
        subTable(distances, DISTANCE_CODES),
        dropCode,
        when(i32.eqz(i32.and(get(code), i32.const(16))), giveUp),
        set(distance, extra),
        dropExtra,
        set(source, i32.sub(get(to), get(distance))),
        when(
          i32.or(
            i32.or(
              i32.geU(i32.sub(get(length), i32.const(3)), i32.const(LONGEST_MATCH - 2)),
              i32.geU(i32.sub(get(distance), i32.const(1)), i32.sub(get(to), get(first))),
            ),
            i32.ltS(get(bits), i32.const(0)),
          ),
          giveUp,
        ),
        set(length, i32.add(get(to), get(length))),
        when(
          i32.geU(get(distance), i32.const(16)),
          copying(16, own.store128(0, get(to), own.load128(0, get(source)))),
          atLength,
          again(1),
        ),
        when(
          i32.geU(get(distance), i32.const(8)),
          copying(8, own.store64(0, get(to), own.load64(0, get(source)))),
          atLength,
          again(1),
        ),
        when(
          i32.eq(get(distance), i32.const(1)),
          set(vector, v128.splat8(own.load8(0, get(source)))),
          copying(16, own.store128(0, get(to), get(vector))),
          atLength,
          again(1),
        ),
        copying(1, own.store8(0, get(to), own.load8(0, get(source)))),
        again(),
      ),
      i32.const(0),
    ],
  };
}

/** (context, `z_stream`, its available output when `inflate` began): one more than the bytes given, or 0 with nothing written. */
function inflate(): WasmFunction {
  const [context, strm, start] = [0, 1, 2];
  const [inputBytes, outputBytes, near, reach, upper, lower, ended, scratch, guestState, nextIn, nextOut] = [
    3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13,
  ];
  const copyIn = (address: Code, place: Code, length: Code): Code =>
    i32.eqz(call(Call.copyIn, get(context), address, place, length));
  const refuse = give(i32.const(0));
  const capped = (value: Code, largest: number): Code => [
    ...set(scratch, value),
    ...select(get(scratch), i32.const(largest), i32.ltU(get(scratch), i32.const(largest))),
  ];
  const plus = (address: Code, offset: Code): Code => i64.add(address, i64.extendU(offset));
  const minus = (address: Code, offset: Code): Code => i64.sub(address, i64.extendU(offset));
  const table = (place: number, entries: number, address: number, rootBits: number): Code[] => [
    when(i32.gtU(word(rootBits), i32.const(ROOT_BITS)), refuse),
    when(
      copyIn(pointer(address), i32.const(place), i32.const(4 * entries)),
      // It may end where memory ends: then what is behind its root is no table.
      fillOwn(i32.const(place), i32.const(0), i32.const(4 * entries)),
      when(copyIn(pointer(address), i32.const(place), i32.shl(i32.const(4), word(rootBits))), refuse),
    ),
  ];
  const mask = (rootBits: number): Code => i32.sub(i32.shl(i32.const(4), word(rootBits)), i32.const(4));
  const produced = i32.sub(word(progress.output), i32.const(output));
  const consumed = i32.sub(word(progress.input), i32.const(input));
  const writable = (address: Code, length: Code): Code =>
    i32.eqz(call(Call.writable, get(context), address, i64.extendU(length)));
  const copyOut = (address: Code, place: number, length: Code): Code =>
    when(i32.eqz(call(Call.copyOut, get(context), address, i32.const(place), length)), refuse);
  const less = (place: number, by: Code): Code => setWord(place, i32.sub(word(place), by));
  const onward = (place: number, by: Code): Code => setPointer(place, plus(pointer(place), by));
  return {
    parameters: [I32, I64, I32],
    results: [I32],
    locals: [I32, I32, I32, I32, I32, I32, I32, I32, I64, I64, I64],
    body: [
      when(copyIn(get(strm), i32.const(stream), i32.const(STREAM.bytes)), refuse),
      set(guestState, pointer(stream + STREAM.state)),
      when(copyIn(get(guestState), i32.const(state), i32.const(STATE.bytes)), refuse),
      set(nextIn, pointer(stream + STREAM.nextIn)),
      set(nextOut, pointer(stream + STREAM.nextOut)),
      set(inputBytes, capped(word(stream + STREAM.availableIn), LARGEST)),
      set(outputBytes, capped(word(stream + STREAM.availableOut), LARGEST)),
      when(i32.ltU(get(inputBytes), i32.const(ROUND_INPUT)), refuse),
      when(i32.ltU(get(outputBytes), i32.const(ROUND_OUTPUT)), refuse),
      when(i32.gtU(word(state + STATE.bits), i32.const(32)), refuse),
      when(i32.ltU(get(start), word(stream + STREAM.availableOut)), refuse),
      ...table(lengths, LENGTH_CODES, state + STATE.lengthCodes, state + STATE.lengthBits),
      ...table(distances, DISTANCE_CODES, state + STATE.distanceCodes, state + STATE.distanceBits),
      when(copyIn(get(nextIn), i32.const(input), get(inputBytes)), refuse),
      // In front of the output: what this call of `inflate` has given, and in front of that the window's.
      set(near, capped(i32.sub(get(start), word(stream + STREAM.availableOut)), HISTORY)),
      when(copyIn(minus(get(nextOut), get(near)), i32.sub(i32.const(output), get(near)), get(near)), refuse),
      set(reach, i32.sub(i32.const(HISTORY), get(near))),
      ...[STATE.windowHave, STATE.windowSize].map((field) =>
        set(reach, select(get(reach), word(state + field), i32.ltU(get(reach), word(state + field)))),
      ),
      // The window is a ring: its newest byte is before `next`.
      set(
        upper,
        select(get(reach), word(state + STATE.windowNext), i32.ltU(get(reach), word(state + STATE.windowNext))),
      ),
      set(lower, i32.sub(get(reach), get(upper))),
      set(reach, i32.add(get(reach), get(near))),
      when(
        copyIn(
          plus(pointer(state + STATE.window), i32.sub(word(state + STATE.windowNext), get(upper))),
          i32.sub(i32.const(output), i32.add(get(near), get(upper))),
          get(upper),
        ),
        refuse,
      ),
      when(
        copyIn(
          plus(pointer(state + STATE.window), i32.sub(word(state + STATE.windowSize), get(lower))),
          i32.sub(i32.const(output), get(reach)),
          get(lower),
        ),
        refuse,
      ),
      set(
        ended,
        call(
          Call.decode,
          i32.const(input),
          i32.add(get(inputBytes), i32.const(input - ROUND_INPUT)),
          i32.const(output),
          i32.add(get(outputBytes), i32.const(output - ROUND_OUTPUT)),
          i32.sub(i32.const(output), get(reach)),
          mask(state + STATE.lengthBits),
          mask(state + STATE.distanceBits),
        ),
      ),
      when(i32.eqz(i32.or(produced, get(ended))), refuse),
      when(writable(get(nextOut), produced), refuse),
      when(writable(get(strm), i32.const(STREAM.availableOut + 4)), refuse),
      when(writable(get(guestState), i32.const(STATE.bits + 4)), refuse),
      copyOut(get(nextOut), output, produced),
      onward(stream + STREAM.nextIn, consumed),
      less(stream + STREAM.availableIn, consumed),
      onward(stream + STREAM.nextOut, produced),
      less(stream + STREAM.availableOut, produced),
      setWord(state + STATE.mode, i32.const(MODE_TYPE)),
      // A pointer with a count behind it, twice, and the bits with theirs.
      copyOut(plus(get(strm), i32.const(STREAM.nextIn)), stream + STREAM.nextIn, i32.const(12)),
      copyOut(plus(get(strm), i32.const(STREAM.nextOut)), stream + STREAM.nextOut, i32.const(12)),
      copyOut(plus(get(guestState), i32.const(STATE.hold)), state + STATE.hold, i32.const(12)),
      when(get(ended), copyOut(plus(get(guestState), i32.const(STATE.mode)), state + STATE.mode, i32.const(4))),
      i32.add(produced, i32.const(1)),
    ],
  };
}

/** Numbers `decode` and `inflate`. */
export const inflateFunctions = (): readonly WasmFunction[] => [decode(), inflate()];
