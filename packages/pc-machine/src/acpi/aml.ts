/**
 * Writes ACPI Machine Language (ACPI 6.5, chapter 20): as much of it as describes devices that never change. Each
 * function returns the encoding of one term.
 */

const Op = {
  zero: 0x00,
  one: 0x01,
  name: 0x08,
  byte: 0x0a,
  word: 0x0b,
  doubleWord: 0x0c,
  string: 0x0d,
  scope: 0x10,
  buffer: 0x11,
  package: 0x12,
  extended: 0x5b,
  /** After `extended`. */
  device: 0x82,
} as const;

/** A package holds at most this many elements. */
const maximumElements = 255;

const encoder: TextEncoder = new TextEncoder();

function joined(parts: readonly (Uint8Array | number)[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(parts.flatMap((part) => (typeof part === "number" ? [part] : [...part])));
}

function littleEndian(value: number, bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, index) => Math.floor(value / 2 ** (8 * index)) & 0xff);
}

/** PkgLength counts itself (20.2.4): one byte up to 63, else the low four bits and up to three bytes more. */
function withLength(content: Uint8Array): Uint8Array {
  if (content.length + 1 < 0x40) return joined([content.length + 1, content]);
  let more = 1;
  while (content.length + 1 + more >= 2 ** (4 + 8 * more)) more++;
  const total = content.length + 1 + more;
  return joined([(more << 6) | (total & 15), littleEndian(Math.floor(total / 16), more), content]);
}

/** "\\_SB.PCI0": segments of up to four characters, from the root when it begins with a backslash (20.2.2). */
function nameString(path: string): Uint8Array {
  const isRooted = path.startsWith("\\");
  const segments = (isRooted ? path.slice(1) : path).split(".").filter((segment) => segment !== "");
  for (const segment of segments) {
    if (!/^[A-Z_][A-Z0-9_]{0,3}$/.test(segment)) throw new RangeError(`not a name in ACPI's namespace: ${path}`);
  }
  const prefix = [0x00];
  if (segments.length === 2) prefix[0] = 0x2e;
  if (segments.length > 2) prefix.splice(0, 1, 0x2f, segments.length);
  if (segments.length === 1) prefix.pop();
  return joined([
    ...(isRooted ? [0x5c] : []),
    ...prefix,
    ...segments.map((name) => encoder.encode(name.padEnd(4, "_"))),
  ]);
}

/** The shortest encoding of an integer of 32 bits. */
export function integer(value: number): Uint8Array {
  if (value === 0 || value === 1) return joined([value === 0 ? Op.zero : Op.one]);
  if (value < 0x100) return joined([Op.byte, value]);
  if (value < 0x10000) return joined([Op.word, littleEndian(value, 2)]);
  return joined([Op.doubleWord, littleEndian(value, 4)]);
}

export function text(value: string): Uint8Array {
  return joined([Op.string, encoder.encode(value), 0]);
}

export function buffer(bytes: Uint8Array): Uint8Array {
  return joined([Op.buffer, withLength(joined([integer(bytes.length), bytes]))]);
}

export function packageOf(elements: readonly Uint8Array[]): Uint8Array {
  if (elements.length > maximumElements) throw new RangeError(`${elements.length} elements in one package`);
  return joined([Op.package, withLength(joined([elements.length, ...elements]))]);
}

/** `Name (path, value)`. */
export function named(path: string, value: Uint8Array): Uint8Array {
  return joined([Op.name, nameString(path), value]);
}

export function scope(path: string, terms: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return joined([Op.scope, withLength(joined([nameString(path), ...terms]))]);
}

export function device(path: string, terms: readonly Uint8Array[]): Uint8Array {
  return joined([Op.extended, Op.device, withLength(joined([nameString(path), ...terms]))]);
}

/** "PNP0A03" in the 32 bits of EISAID (19.3.4): three letters of five bits, four hexadecimal digits, big-endian. */
export function eisaId(id: string): Uint8Array {
  const letters = [...id.slice(0, 3)].reduce((word, letter) => (word << 5) | (letter.charCodeAt(0) - 0x40), 0);
  const word = letters * 0x10000 + Number.parseInt(id.slice(3), 16);
  return joined([Op.doubleWord, littleEndian(word, 4).reverse()]);
}

// Resource descriptors (6.4).

/** Ports that a device decodes. */
export function ports(first: number, count: number): Uint8Array {
  return joined([0x47, 1, littleEndian(first, 2), littleEndian(first, 2), 1, count]);
}

/** Memory that a device decodes. */
export function memory(first: number, bytes: number): Uint8Array {
  return joined([0x86, littleEndian(9, 2), 1, littleEndian(first, 4), littleEndian(bytes, 4)]);
}

/** An edge-triggered interrupt of the ISA bus. */
export function isaInterrupt(number: number): Uint8Array {
  return joined([0x22, littleEndian(1 << number, 2)]);
}

/** What a bridge passes on: from `start` up to, not including, `end`. */
export function window(kind: "memory" | "ports" | "buses", start: number, end: number): Uint8Array {
  const isMemory = kind === "memory";
  const bytes = isMemory ? 4 : 2;
  const type = isMemory ? 0 : kind === "ports" ? 1 : 2;
  // Both ends fixed; memory that can be written, ports of all numbers.
  const flags = [type, 0x0c, isMemory ? 1 : kind === "ports" ? 3 : 0];
  const values = [0, start, end - 1, 0, end - start].map((value) => littleEndian(value, bytes));
  return joined([isMemory ? 0x87 : 0x88, 3 + 5 * bytes, 0, ...flags, ...values]);
}

/** `_CRS`: what a device occupies. */
export function resources(descriptors: readonly Uint8Array[]): Uint8Array {
  return named("_CRS", buffer(joined([...descriptors, 0x79, 0])));
}
