/** Terminal settings (termios(3)), and struct termios and termios2 as the kernel lays them out for both ABIs. */

// c_iflag
export const BRKINT = 0o2;
export const ISTRIP = 0o40;
export const INLCR = 0o100;
export const IGNCR = 0o200;
export const ICRNL = 0o400;
export const IXON = 0o2000;
export const IXANY = 0o4000;
export const IMAXBEL = 0o20000;
export const IUTF8 = 0o40000;
// c_oflag
export const OPOST = 0o1;
export const ONLCR = 0o4;
export const OCRNL = 0o10;
export const ONOCR = 0o20;
export const ONLRET = 0o40;
export const TABDLY = 0o14000;
export const XTABS = 0o14000;
// c_lflag
export const ISIG = 0o1;
export const ICANON = 0o2;
export const ECHO = 0o10;
export const ECHOE = 0o20;
export const ECHOK = 0o40;
export const ECHONL = 0o100;
export const NOFLSH = 0o200;
export const TOSTOP = 0o400;
export const ECHOCTL = 0o1000;
export const ECHOKE = 0o4000;
export const IEXTEN = 0o100000;
// c_cc
export const VINTR = 0;
export const VQUIT = 1;
export const VERASE = 2;
export const VKILL = 3;
export const VEOF = 4;
export const VTIME = 5;
export const VMIN = 6;
export const VSTART = 8;
export const VSTOP = 9;
export const VSUSP = 10;
export const VEOL = 11;
export const VREPRINT = 12;
export const VWERASE = 14;
export const VLNEXT = 15;
export const VEOL2 = 16;
const CONTROL_CHARACTERS = 19;

/** A control character that is switched off. */
export const DISABLED = 0;

const B38400 = 0o17;
const CS8 = 0o60;
const CREAD = 0o200;

export interface Termios {
  inputFlags: number;
  outputFlags: number;
  controlFlags: number;
  localFlags: number;
  lineDiscipline: number;
  readonly characters: Uint8Array;
  inputSpeed: number;
  outputSpeed: number;
}

/** What the kernel gives a new terminal (`tty_std_termios`). */
export function defaultTermios(): Termios {
  const characters = new Uint8Array(CONTROL_CHARACTERS);
  characters.set([3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0]);
  return {
    inputFlags: ICRNL | IXON | IUTF8,
    outputFlags: OPOST | ONLCR,
    controlFlags: B38400 | CS8 | CREAD,
    localFlags: ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
    lineDiscipline: 0,
    characters,
    inputSpeed: 38400,
    outputSpeed: 38400,
  };
}

/** struct termios: four flag words, the line discipline, 19 characters; termios2 adds two speeds. */
export const TERMIOS_BYTES = 36;
export const TERMIOS2_BYTES = 44;

export function encodeTermios(termios: Termios, extended: boolean): Uint8Array {
  const bytes = new Uint8Array(extended ? TERMIOS2_BYTES : TERMIOS_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, termios.inputFlags, true);
  view.setUint32(4, termios.outputFlags, true);
  view.setUint32(8, termios.controlFlags, true);
  view.setUint32(12, termios.localFlags, true);
  view.setUint8(16, termios.lineDiscipline);
  bytes.set(termios.characters, 17);
  if (extended) {
    view.setUint32(36, termios.inputSpeed, true);
    view.setUint32(40, termios.outputSpeed, true);
  }
  return bytes;
}

export function decodeTermios(bytes: Uint8Array, previous: Termios): Termios {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const extended = bytes.length >= TERMIOS2_BYTES;
  return {
    inputFlags: view.getUint32(0, true),
    outputFlags: view.getUint32(4, true),
    controlFlags: view.getUint32(8, true),
    localFlags: view.getUint32(12, true),
    lineDiscipline: view.getUint8(16),
    characters: bytes.slice(17, 17 + CONTROL_CHARACTERS),
    inputSpeed: extended ? view.getUint32(36, true) : previous.inputSpeed,
    outputSpeed: extended ? view.getUint32(40, true) : previous.outputSpeed,
  };
}

/** struct termio of TCGETA: 16-bit flags, line, 8 characters (18 bytes with padding). */
export function encodeTermio(termios: Termios): Uint8Array {
  const bytes = new Uint8Array(18);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, termios.inputFlags, true);
  view.setUint16(2, termios.outputFlags, true);
  view.setUint16(4, termios.controlFlags, true);
  view.setUint16(6, termios.localFlags, true);
  view.setUint8(8, termios.lineDiscipline);
  bytes.set(termios.characters.subarray(0, 8), 9);
  return bytes;
}

export function decodeTermio(bytes: Uint8Array, previous: Termios): Termios {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const low = (old: number, at: number): number => ((old & ~0xffff) | view.getUint16(at, true)) >>> 0;
  const characters = previous.characters.slice();
  characters.set(bytes.subarray(9, 17));
  return {
    ...previous,
    inputFlags: low(previous.inputFlags, 0),
    outputFlags: low(previous.outputFlags, 2),
    controlFlags: low(previous.controlFlags, 4),
    localFlags: low(previous.localFlags, 6),
    characters,
  };
}
