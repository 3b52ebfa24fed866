/**
 * Port and memory space: which window answers an access. What nobody answers reads as all ones, and swallows writes, as
 * on a PC. An access that begins in a window and leaves it is done byte by byte.
 *
 * Both spaces are kept as "for every address, the window", recomputed when a window comes or goes, so that an access
 * is one look-up: ports in a table of 65,536, memory in a sorted list of segments that do not overlap.
 */

import type { Bus, Mapping, RegisterWindow } from "../ports.ts";

interface Range {
  readonly first: number;
  /** One past the last. */
  readonly end: number;
  readonly window: RegisterWindow;
}

/** Part of a range: what others that were mapped before it left of it. */
interface Segment {
  readonly first: number;
  readonly end: number;
  readonly range: Range;
}

const portCount = 0x10000;
const pageBytes = 4096;

export class SystemBus implements Bus {
  /** For each port, the index in `#portRanges` of who answers, plus one. */
  readonly #ports = new Uint16Array(portCount);
  #portRanges: Range[] = [];
  #memoryRanges: Range[] = [];
  #segments: Segment[] = [];
  /** The segment used last: drivers use one device many times. */
  #recent: Segment | undefined;

  /** @throws RangeError when that is not a range of ports */
  mapPorts(first: number, count: number, window: RegisterWindow): Mapping {
    const range = checkedRange(first, count, portCount, window);
    this.#portRanges.push(range);
    this.#indexPorts();
    return {
      unmap: () => {
        this.#portRanges = this.#portRanges.filter((other) => other !== range);
        this.#indexPorts();
      },
    };
  }

  /** @throws RangeError when that is not a range of whole pages */
  mapMemory(address: number, length: number, window: RegisterWindow): Mapping {
    if (address % pageBytes !== 0 || length % pageBytes !== 0) {
      throw new RangeError(`not whole pages: ${length} bytes at ${address}`);
    }
    const range = checkedRange(address, length, Number.MAX_SAFE_INTEGER, window);
    this.#memoryRanges.push(range);
    this.#indexMemory();
    return {
      unmap: () => {
        this.#memoryRanges = this.#memoryRanges.filter((other) => other !== range);
        this.#indexMemory();
      },
    };
  }

  /** 1, 2 or 4 bytes, unsigned. */
  readPort(port: number, size: number): number {
    const index = this.#ports[port & 0xffff];
    return index === 0 ? allOnes(size) : readRange(this.#portRanges[index - 1], port & 0xffff, size, this.#portBytes);
  }

  writePort(port: number, size: number, value: number): void {
    const index = this.#ports[port & 0xffff];
    if (index !== 0) writeRange(this.#portRanges[index - 1], port & 0xffff, size, value, this.#portBytes);
  }

  /** 1, 2 or 4 bytes, unsigned. The caller has made sure that this is not RAM. */
  readMemory(address: number, size: number): number {
    const segment = this.#segmentAt(address);
    return segment === undefined ? allOnes(size) : readRange(segment.range, address, size, this.#memoryBytes);
  }

  writeMemory(address: number, size: number, value: number): void {
    const segment = this.#segmentAt(address);
    if (segment !== undefined) writeRange(segment.range, address, size, value, this.#memoryBytes);
  }

  readonly #portBytes: ByteAccess = {
    read: (address) => (address < portCount ? this.readPort(address, 1) : 0xff),
    write: (address, value) => {
      if (address < portCount) this.writePort(address, 1, value);
    },
  };

  readonly #memoryBytes: ByteAccess = {
    read: (address) => this.readMemory(address, 1),
    write: (address, value) => this.writeMemory(address, 1, value),
  };

  #indexPorts(): void {
    this.#ports.fill(0);
    // Backwards, so that what was mapped first is written last.
    for (let index = this.#portRanges.length - 1; index >= 0; index--) {
      const { first, end } = this.#portRanges[index];
      this.#ports.fill(index + 1, first, end);
    }
  }

  #indexMemory(): void {
    const segments: Segment[] = [];
    for (const range of this.#memoryRanges) {
      let pieces = [{ first: range.first, end: range.end, range }];
      for (const taken of segments) pieces = pieces.flatMap((piece) => without(piece, taken));
      segments.push(...pieces);
    }
    this.#segments = segments.sort((left, right) => left.first - right.first);
    this.#recent = undefined;
  }

  #segmentAt(address: number): Segment | undefined {
    const recent = this.#recent;
    if (recent !== undefined && address >= recent.first && address < recent.end) return recent;
    let low = 0;
    let high = this.#segments.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (address >= this.#segments[middle].end) low = middle + 1;
      else high = middle;
    }
    const found = this.#segments[low];
    if (found === undefined || address < found.first) return undefined;
    this.#recent = found;
    return found;
  }
}

interface ByteAccess {
  read(address: number): number;
  write(address: number, value: number): void;
}

function allOnes(size: number): number {
  return size === 4 ? 0xffffffff : size === 2 ? 0xffff : 0xff;
}

function checkedRange(first: number, count: number, limit: number, window: RegisterWindow): Range {
  if (!Number.isSafeInteger(first) || !Number.isSafeInteger(count) || first < 0 || count < 1 || first + count > limit) {
    throw new RangeError(`no such range: ${count} from ${first}`);
  }
  return { first, end: first + count, window };
}

function readRange(range: Range, address: number, size: number, bytes: ByteAccess): number {
  if (address + size <= range.end) return range.window.read(address - range.first, size);
  let value = 0;
  for (let index = size - 1; index >= 0; index--) value = value * 256 + bytes.read(address + index);
  return value;
}

function writeRange(range: Range, address: number, size: number, value: number, bytes: ByteAccess): void {
  if (address + size <= range.end) {
    range.window.write(address - range.first, size, value);
    return;
  }
  for (let index = 0; index < size; index++) bytes.write(address + index, (value >>> (8 * index)) & 0xff);
}

function without(piece: Segment, taken: Segment): Segment[] {
  if (taken.end <= piece.first || taken.first >= piece.end) return [piece];
  const left = { ...piece, end: Math.min(piece.end, taken.first) };
  const right = { ...piece, first: Math.max(piece.first, taken.end) };
  return [left, right].filter(({ first, end }) => first < end);
}
