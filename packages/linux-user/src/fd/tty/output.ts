/** Output processing of a terminal: OPOST and what it switches on, with the column that tabs and erasing need. */
import { OCRNL, ONLCR, ONLRET, ONOCR, OPOST, TABDLY, XTABS, type Termios } from "./termios.ts";

const NEWLINE = 10;
const RETURN = 13;
const TAB = 9;
const BACKSPACE = 8;

export class OutputProcessor {
  /** Where the cursor stands, as far as plain text tells. */
  column = 0;

  /** What is to be sent for `bytes`; the same array when nothing changes. */
  process(bytes: Uint8Array, termios: Termios): Uint8Array {
    const flags = termios.outputFlags;
    if ((flags & OPOST) === 0) return bytes;
    const result: number[] = [];
    let changed = false;
    for (const byte of bytes) {
      const before = result.length;
      this.#one(byte, flags, result);
      if (result.length !== before + 1 || result[before] !== byte) changed = true;
    }
    return changed ? Uint8Array.from(result) : bytes;
  }

  #one(byte: number, flags: number, result: number[]): void {
    switch (byte) {
      case NEWLINE:
        if ((flags & ONLCR) !== 0) result.push(RETURN);
        if ((flags & (ONLCR | ONLRET)) !== 0) this.column = 0;
        result.push(NEWLINE);
        return;
      case RETURN:
        if ((flags & ONOCR) !== 0 && this.column === 0) return;
        this.column = 0;
        result.push((flags & OCRNL) !== 0 ? NEWLINE : RETURN);
        return;
      case TAB: {
        const spaces = 8 - (this.column & 7);
        this.column += spaces;
        if ((flags & TABDLY) !== XTABS) result.push(TAB);
        else for (let index = 0; index < spaces; index++) result.push(32);
        return;
      }
      case BACKSPACE:
        if (this.column > 0) this.column--;
        result.push(byte);
        return;
      default:
        // Continuation bytes of UTF-8 take no column of their own.
        if (byte >= 32 && (byte & 0xc0) !== 0x80) this.column++;
        result.push(byte);
    }
  }
}
