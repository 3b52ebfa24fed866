/**
 * Functions known by their code: for stripped programs, in which no symbol tells a function's name.
 *
 * A signature is a function's length, its first bytes, and a hash of all its bytes but those that depend on where the
 * linker put things (displacements of calls and of addresses relative to the instruction pointer).
 */
export interface CodeSignature {
  readonly length: number;
  /** The first eight bytes, as two little-endian words: what is looked at first, everywhere. */
  readonly head: readonly [number, number];
  /** Offsets of four bytes each that differ from program to program, ascending, from 8 on. */
  readonly relocated: readonly number[];
  /** 64 bits of FNV-1a over the rest, as hexadecimal digits. */
  readonly hash: string;
}

const HEAD_BYTES = 8;
const PRIME = 0x0000_0100_0000_01b3n;
const OFFSET_BASIS = 0xcbf2_9ce4_8422_2325n;

function hashOf(code: Uint8Array, relocated: readonly number[]): string {
  const skipped = new Set(relocated.flatMap((at) => [at, at + 1, at + 2, at + 3]));
  let hash = OFFSET_BASIS;
  code.forEach((byte, at) => {
    if (!skipped.has(at)) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * PRIME);
  });
  return hash.toString(16).padStart(16, "0");
}

/** The signature of a function's code, or undefined where it is too short, or relocated too early, to be told by it. */
export function signatureOf(code: Uint8Array, relocated: readonly number[]): CodeSignature | undefined {
  if (code.length < 2 * HEAD_BYTES || relocated.some((at) => at < HEAD_BYTES)) return undefined;
  const view = new DataView(code.buffer, code.byteOffset, code.length);
  return {
    length: code.length,
    head: [view.getUint32(0, true), view.getUint32(4, true)],
    relocated,
    hash: hashOf(code, relocated),
  };
}

/** Finds which of many signatures code has. */
export class SignatureIndex<T> {
  private readonly byHead: Map<number, { readonly signature: CodeSignature; readonly value: T }[]> = new Map();

  add(signature: CodeSignature, value: T): void {
    const list = this.byHead.get(signature.head[0]);
    if (list === undefined) this.byHead.set(signature.head[0], [{ signature, value }]);
    else list.push({ signature, value });
  }

  get isEmpty(): boolean {
    return this.byHead.size === 0;
  }

  /** @param first the first four bytes; @param read gives the bytes from there on, or undefined where they end early */
  find(
    first: number,
    read: (length: number) => Uint8Array | undefined,
  ): { readonly signature: CodeSignature; readonly value: T } | undefined {
    return this.byHead.get(first)?.find(({ signature }) => {
      const code = read(signature.length);
      if (code === undefined) return false;
      const second = new DataView(code.buffer, code.byteOffset).getUint32(4, true);
      return second === signature.head[1] && hashOf(code, signature.relocated) === signature.hash;
    });
  }
}
