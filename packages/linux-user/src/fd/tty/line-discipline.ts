/**
 * The line discipline of a terminal, as n_tty of Linux: typed bytes in, lines or raw bytes out, with editing, echo
 * and signals on the way (termios(3)). It knows no files and no processes; what it causes goes through `hooks`.
 */
import { SIGINT, SIGQUIT, SIGTSTP } from "../../kernel/signal-info.ts";
import type { Transfer } from "../transfer.ts";
import { fill } from "../transfer.ts";
import { ByteQueue } from "../byte-queue.ts";
import {
  DISABLED,
  ECHO,
  ECHOCTL,
  ECHOE,
  ECHOK,
  ECHOKE,
  ECHONL,
  ICANON,
  ICRNL,
  IEXTEN,
  IGNCR,
  INLCR,
  ISIG,
  ISTRIP,
  IUTF8,
  IXANY,
  IXON,
  NOFLSH,
  VEOF,
  VEOL,
  VEOL2,
  VERASE,
  VINTR,
  VKILL,
  VLNEXT,
  VMIN,
  VQUIT,
  VREPRINT,
  VSTART,
  VSTOP,
  VSUSP,
  VTIME,
  VWERASE,
  defaultTermios,
  type Termios,
} from "./termios.ts";

export interface DisciplineHooks {
  /** Echo: bytes to show, before output processing. */
  echo(bytes: Uint8Array): void;
  /** To the foreground group. */
  signal(signal: number): void;
  /** XON and XOFF. */
  flow(stopped: boolean): void;
  /** Drops output that was not sent. */
  flushOutput(): void;
}

/** N_TTY_BUF_SIZE: the longest line that can be edited, newline included. */
const LINE_BYTES = 4096;
const NEWLINE = 10;
const RETURN = 13;
const TAB = 9;

const ERASE_ONE = Uint8Array.of(8, 32, 8);

function isContinuation(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}

function isWordByte(byte: number): boolean {
  return (
    (byte >= 48 && byte <= 57) ||
    (byte >= 65 && byte <= 90) ||
    (byte >= 97 && byte <= 122) ||
    byte === 95 ||
    byte >= 128
  );
}

/** Invariants: `#line` is empty unless ICANON is on; `#lines` and `#raw` are not both filled. */
export class LineDiscipline {
  termios: Termios = defaultTermios();
  readonly #hooks: DisciplineHooks;
  /** The line being typed. */
  #line: number[] = [];
  /** Finished lines; an empty one is an end of file. */
  #lines: Uint8Array[] = [];
  readonly #raw: ByteQueue = new ByteQueue();
  #literalNext = false;
  #stopped = false;

  constructor(hooks: DisciplineHooks) {
    this.#hooks = hooks;
  }

  get #canonical(): boolean {
    return (this.termios.localFlags & ICANON) !== 0;
  }

  #local(flag: number): boolean {
    return (this.termios.localFlags & flag) !== 0;
  }

  #is(byte: number, which: number): boolean {
    const character = this.termios.characters[which];
    return character !== DISABLED && character === byte;
  }

  /** TCSETS: what is half typed survives a change of mode. */
  setTermios(termios: Termios): void {
    const was = this.#canonical;
    this.termios = termios;
    if (was && !this.#canonical) {
      for (const line of this.#lines) this.#raw.push(line);
      this.#raw.push(Uint8Array.from(this.#line));
      this.#lines = [];
      this.#line = [];
    } else if (!was && this.#canonical && this.#raw.length > 0) {
      this.#lines.push(this.#raw.take(this.#raw.length));
    }
    if ((termios.inputFlags & IXON) === 0 && this.#stopped) this.#setStopped(false);
  }

  #setStopped(stopped: boolean): void {
    this.#stopped = stopped;
    this.#hooks.flow(stopped);
  }

  /** Bytes from the keyboard. */
  receive(bytes: Uint8Array): void {
    for (const byte of bytes) this.#receiveByte(byte);
  }

  #receiveByte(typed: number): void {
    const { inputFlags } = this.termios;
    const byte = (inputFlags & ISTRIP) !== 0 ? typed & 0x7f : typed;
    if (this.#literalNext) {
      this.#literalNext = false;
      this.#store(byte);
      return;
    }
    if ((inputFlags & IXON) !== 0 && this.#flowControl(byte)) return;
    if (this.#local(ISIG) && this.#signal(byte)) return;
    const mapped = this.#mapNewline(byte);
    if (mapped < 0) return;
    if (this.#canonical && this.#edit(mapped)) return;
    this.#store(mapped);
  }

  #flowControl(byte: number): boolean {
    if (this.#is(byte, VSTART)) this.#setStopped(false);
    else if (this.#is(byte, VSTOP)) this.#setStopped(true);
    else {
      if (this.#stopped && (this.termios.inputFlags & IXANY) !== 0) this.#setStopped(false);
      return false;
    }
    return true;
  }

  #signal(byte: number): boolean {
    let signal = 0;
    if (this.#is(byte, VINTR)) signal = SIGINT;
    else if (this.#is(byte, VQUIT)) signal = SIGQUIT;
    else if (this.#is(byte, VSUSP)) signal = SIGTSTP;
    else return false;
    if (!this.#local(NOFLSH)) {
      this.flushInput();
      this.#hooks.flushOutput();
    }
    if (this.#stopped) this.#setStopped(false);
    if (this.#local(ECHO)) this.#echoByte(byte);
    this.#hooks.signal(signal);
    return true;
  }

  /** -1 when the byte is dropped. */
  #mapNewline(byte: number): number {
    const { inputFlags } = this.termios;
    if (byte === RETURN) {
      if ((inputFlags & IGNCR) !== 0) return -1;
      return (inputFlags & ICRNL) !== 0 ? NEWLINE : byte;
    }
    return byte === NEWLINE && (inputFlags & INLCR) !== 0 ? RETURN : byte;
  }

  /** Editing characters of canonical mode; false for what belongs to the line. */
  #edit(byte: number): boolean {
    if (this.#is(byte, VERASE)) this.#erase();
    else if (this.#is(byte, VKILL)) this.#kill();
    else if (this.#local(IEXTEN) && this.#is(byte, VWERASE)) this.#eraseWord();
    else if (this.#local(IEXTEN) && this.#is(byte, VLNEXT)) this.#beginLiteral();
    else if (this.#local(IEXTEN) && this.#is(byte, VREPRINT)) this.#reprint();
    else if (this.#is(byte, VEOF)) this.#finishLine();
    else if (byte === NEWLINE) this.#newline();
    else if (this.#is(byte, VEOL) || (this.#local(IEXTEN) && this.#is(byte, VEOL2))) {
      if (this.#local(ECHO)) this.#echoByte(byte);
      this.#line.push(byte);
      this.#finishLine();
    } else return false;
    return true;
  }

  #newline(): void {
    if (this.#local(ECHO) || this.#local(ECHONL)) this.#hooks.echo(Uint8Array.of(NEWLINE));
    this.#line.push(NEWLINE);
    this.#finishLine();
  }

  #finishLine(): void {
    this.#lines.push(Uint8Array.from(this.#line));
    this.#line = [];
  }

  #beginLiteral(): void {
    this.#literalNext = true;
    if (this.#local(ECHO) && this.#local(ECHOCTL)) this.#hooks.echo(Uint8Array.of(94, 8));
  }

  #reprint(): void {
    if (!this.#local(ECHO)) return;
    this.#echoByte(this.termios.characters[VREPRINT]);
    this.#hooks.echo(Uint8Array.of(NEWLINE));
    for (const byte of this.#line) this.#echoByte(byte);
  }

  #store(byte: number): void {
    if (!this.#canonical) {
      if (this.#raw.length < LINE_BYTES * 16) this.#raw.push(Uint8Array.of(byte));
      if (this.#local(ECHO)) this.#echoByte(byte);
      return;
    }
    if (this.#line.length >= LINE_BYTES - 1) {
      this.#hooks.echo(Uint8Array.of(7));
      return;
    }
    this.#line.push(byte);
    if (this.#local(ECHO)) this.#echoByte(byte);
  }

  #isShownAsControl(byte: number): boolean {
    return this.#local(ECHOCTL) && (byte < 32 || byte === 127) && byte !== TAB && byte !== NEWLINE;
  }

  #echoByte(byte: number): void {
    this.#hooks.echo(this.#isShownAsControl(byte) ? Uint8Array.of(94, byte ^ 64) : Uint8Array.of(byte));
  }

  /** Takes the last character (all its UTF-8 bytes) off the line; its last byte, or -1. */
  #pop(): number {
    let byte = this.#line.pop();
    if (byte === undefined) return -1;
    const last = byte;
    if ((this.termios.inputFlags & IUTF8) !== 0) {
      while (byte !== undefined && isContinuation(byte) && this.#line.length > 0) byte = this.#line.pop();
    }
    return last;
  }

  #showErased(byte: number): void {
    if (!this.#local(ECHO)) return;
    if (!this.#local(ECHOE)) {
      this.#echoByte(this.termios.characters[VERASE]);
      return;
    }
    if (byte === TAB) {
      this.#showErasedTab();
      return;
    }
    this.#hooks.echo(ERASE_ONE);
    if (this.#isShownAsControl(byte)) this.#hooks.echo(ERASE_ONE);
  }

  /** A tab went as far as the line before it left room in its column of eight. */
  #showErasedTab(): void {
    let column = 0;
    for (const byte of this.#line) {
      if (byte === TAB) column = (column | 7) + 1;
      else if (!isContinuation(byte)) column += this.#isShownAsControl(byte) ? 2 : 1;
    }
    this.#hooks.echo(new Uint8Array(8 - (column & 7)).fill(8));
  }

  #erase(): void {
    const byte = this.#pop();
    if (byte >= 0) this.#showErased(byte);
  }

  #eraseWord(): void {
    while (this.#line.length > 0 && !isWordByte(this.#line.at(-1)!)) this.#erase();
    while (this.#line.length > 0 && isWordByte(this.#line.at(-1)!)) this.#erase();
  }

  #kill(): void {
    if (this.#local(ECHO) && this.#local(ECHOK) && this.#local(ECHOKE) && this.#local(ECHOE)) {
      while (this.#line.length > 0) this.#erase();
      return;
    }
    this.#line = [];
    if (!this.#local(ECHO)) return;
    this.#echoByte(this.termios.characters[VKILL]);
    if (this.#local(ECHOK)) this.#hooks.echo(Uint8Array.of(NEWLINE));
  }

  flushInput(): void {
    this.#line = [];
    this.#lines = [];
    this.#raw.clear();
  }

  /** Bytes a read would give (FIONREAD). */
  get available(): number {
    if (!this.#canonical) return this.#raw.length;
    return this.#lines.reduce((sum, line) => sum + line.length, 0);
  }

  /** Whether bytes are being gathered to a line, which only more bytes can finish. */
  get isEditing(): boolean {
    return this.#canonical && this.#lines.length === 0;
  }

  /** Whether poll(2) says readable. */
  get isReadable(): boolean {
    if (this.#canonical) return this.#lines.length > 0;
    const { characters } = this.termios;
    const wanted = characters[VTIME] === 0 ? Math.max(1, characters[VMIN]) : 1;
    return this.#raw.length >= wanted;
  }

  /** Nanoseconds after which a read without any byte gives 0 (VMIN 0, VTIME); undefined for none. */
  get readTimeoutNs(): number | undefined {
    const { characters } = this.termios;
    if (this.#canonical || characters[VMIN] !== 0) return undefined;
    return characters[VTIME] * 100_000_000;
  }

  /** -1 when nothing can be read yet, else the count; 0 is the end of file, or VMIN 0 with nothing typed. */
  read(into: Transfer, nonblocking: boolean): number {
    return this.#canonical ? this.#readLine(into) : this.#readRaw(into, nonblocking);
  }

  #readLine(into: Transfer): number {
    const line = this.#lines[0];
    if (line === undefined) return -1;
    const count = fill(into, line);
    if (count === line.length) this.#lines.shift();
    else this.#lines[0] = line.subarray(count);
    return count;
  }

  #readRaw(into: Transfer, nonblocking: boolean): number {
    const { characters } = this.termios;
    const minimum = Math.min(characters[VMIN], into.remaining);
    const have = this.#raw.length;
    if (have === 0) return characters[VMIN] === 0 && characters[VTIME] === 0 ? 0 : -1;
    if (have < minimum && characters[VTIME] === 0 && !nonblocking) return -1;
    return this.#raw.moveTo(into);
  }
}
