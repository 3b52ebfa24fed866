/**
 * Packets of gdb's remote serial protocol (GDB manual, appendix E "Overview"): `$data#cc`, where cc is the sum of the
 * bytes of data; `}` escapes the byte behind it, XOR 20H. Between packets there are `+` and `-`, and 03H, an interrupt.
 */

/** Bytes of the longest packet's data. */
export const PACKET_BYTES = 16_384;

const DOLLAR = 0x24;
const HASH = 0x23;
const STAR = 0x2a;
const PLUS = 0x2b;
const MINUS = 0x2d;
const ESCAPE = 0x7d;
const ESCAPED_BIT = 0x20;
const INTERRUPT = 3;
const HEX = "0123456789abcdef";

export type PacketEvent =
  | { readonly kind: "packet"; readonly data: Uint8Array }
  /** Too long, or its checksum is not that of its data. */
  | { readonly kind: "damaged" }
  | { readonly kind: "interrupt" }
  /** The other side has got a packet, or got it damaged. */
  | { readonly kind: "acknowledged" | "refused" };

/** Packets out of a stream of bytes. */
export class PacketReader {
  private state: "between" | "data" | "escaped" | "first digit" | "second digit" = "between";
  private readonly data: Uint8Array = new Uint8Array(PACKET_BYTES);
  private length = 0;
  private sum = 0;
  private claimed = 0;
  private isTooLong = false;

  *read(bytes: Uint8Array): Generator<PacketEvent, void, undefined> {
    for (const byte of bytes) {
      const event = this.take(byte);
      if (event !== undefined) yield event;
    }
  }

  private take(byte: number): PacketEvent | undefined {
    switch (this.state) {
      case "between":
        return this.takeBetween(byte);
      case "data":
        this.takeData(byte);
        return undefined;
      case "escaped":
        this.append(byte, byte ^ ESCAPED_BIT);
        this.state = "data";
        return undefined;
      case "first digit":
        this.claimed = digit(byte) << 4;
        this.state = "second digit";
        return undefined;
      default: {
        this.state = "between";
        const isWhole = !this.isTooLong && (this.claimed | digit(byte)) === (this.sum & 0xff);
        return isWhole ? { kind: "packet", data: this.data.slice(0, this.length) } : { kind: "damaged" };
      }
    }
  }

  private takeBetween(byte: number): PacketEvent | undefined {
    switch (byte) {
      case DOLLAR:
        this.begin();
        return undefined;
      case INTERRUPT:
        return { kind: "interrupt" };
      case PLUS:
        return { kind: "acknowledged" };
      case MINUS:
        return { kind: "refused" };
      default:
        return undefined;
    }
  }

  private takeData(byte: number): void {
    if (byte === HASH) this.state = "first digit";
    else if (byte === DOLLAR) this.begin();
    else if (byte === ESCAPE) {
      this.sum += byte;
      this.state = "escaped";
    } else this.append(byte, byte);
  }

  private begin(): void {
    this.state = "data";
    this.length = this.sum = 0;
    this.isTooLong = false;
  }

  private append(raw: number, byte: number): void {
    this.sum += raw;
    if (this.length < PACKET_BYTES) this.data[this.length++] = byte;
    else this.isTooLong = true;
  }
}

/** A digit's value; beyond any checksum for what is no digit. */
function digit(byte: number): number {
  const value = HEX.indexOf(String.fromCharCode(byte).toLowerCase());
  return value < 0 ? 0x1000 : value;
}

export function encodePacket(data: Uint8Array): Uint8Array {
  const out: number[] = [DOLLAR];
  let sum = 0;
  for (const byte of data) {
    const isSpecial = byte === DOLLAR || byte === HASH || byte === ESCAPE || byte === STAR;
    if (isSpecial) out.push(ESCAPE);
    out.push(isSpecial ? byte ^ ESCAPED_BIT : byte);
    sum += isSpecial ? ESCAPE + (byte ^ ESCAPED_BIT) : byte;
  }
  out.push(HASH, HEX.charCodeAt((sum >> 4) & 15), HEX.charCodeAt(sum & 15));
  return Uint8Array.from(out);
}

export function toHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += HEX[byte >> 4] + HEX[byte & 15];
  return text;
}

/** Undefined for what is not an even number of digits. */
export function fromHex(text: string): Uint8Array | undefined {
  if (text.length % 2 !== 0 || !/^[0-9a-f]*$/i.test(text)) return undefined;
  return Uint8Array.from({ length: text.length / 2 }, (_, index) =>
    Number.parseInt(text.slice(2 * index, 2 * index + 2), 16),
  );
}
