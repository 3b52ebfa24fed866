// Small ELF files for tests.

export interface BuiltSegment {
  readonly type?: number;
  readonly flags?: number;
  readonly offset?: number;
  readonly address: number;
  readonly fileBytes?: number;
  readonly memoryBytes?: number;
}

export interface BuiltElf {
  readonly entry?: number;
  /** 2 executable, 3 shared object. */
  readonly type?: number;
  readonly machine?: number;
  readonly segments?: readonly BuiltSegment[];
  readonly interpreter?: string;
  readonly size?: number;
}

/** A 64-bit file: header, program headers, then `size` bytes in all (default two pages). */
export function buildElf64(options: BuiltElf = {}): Uint8Array {
  const bytes = new Uint8Array(options.size ?? 8192);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, options.type ?? 2, true);
  view.setUint16(18, options.machine ?? 62, true);
  view.setUint32(20, 1, true);
  view.setBigUint64(24, BigInt(options.entry ?? 0x401000), true);
  view.setBigUint64(32, 64n, true);
  view.setUint16(52, 64, true);
  view.setUint16(54, 56, true);
  const segments: BuiltSegment[] = [
    ...(options.segments ?? [{ address: 0x400000, fileBytes: 8192, memoryBytes: 8192, flags: 5 }]),
  ];
  if (options.interpreter !== undefined) {
    const at = 1024;
    bytes.set(new TextEncoder().encode(options.interpreter), at);
    segments.unshift({ type: 3, address: 0, offset: at, fileBytes: options.interpreter.length + 1 });
  }
  view.setUint16(56, segments.length, true);
  segments.forEach((segment, index) => {
    const at = 64 + index * 56;
    view.setUint32(at, segment.type ?? 1, true);
    view.setUint32(at + 4, segment.flags ?? 6, true);
    view.setBigUint64(at + 8, BigInt(segment.offset ?? 0), true);
    view.setBigUint64(at + 16, BigInt(segment.address), true);
    view.setBigUint64(at + 32, BigInt(segment.fileBytes ?? 0), true);
    view.setBigUint64(at + 40, BigInt(segment.memoryBytes ?? segment.fileBytes ?? 0), true);
    view.setBigUint64(at + 48, 4096n, true);
  });
  return bytes;
}
