/**
 * struct stat, stat64, statx and statfs as the two ABIs lay them out.
 *
 *   x86-64 stat, 144 bytes                     i386 stat64, 96 bytes
 *   0 dev  8 ino  16 nlink(8)  24 mode(4)      0 dev(8)  12 __ino(4)  16 mode  20 nlink  24 uid  28 gid
 *   28 uid  32 gid  40 rdev  48 size           32 rdev(8)  44 size(8)  52 blksize  56 blocks(8)
 *   56 blksize  64 blocks  72 atim  88 mtim    64 atim(8)  72 mtim(8)  80 ctim(8)  88 ino(8)
 *   104 ctim (each 16)
 */
import type { FileStatus, FilesystemStatus } from "./inode.ts";
import { deviceMajor, deviceMinor } from "./constants.ts";

const BILLION = 1_000_000_000n;

function setTime64(view: DataView, at: number, timeNs: bigint): void {
  let seconds = timeNs / BILLION;
  let rest = timeNs % BILLION;
  if (rest < 0n) {
    rest += BILLION;
    seconds -= 1n;
  }
  view.setBigInt64(at, seconds, true);
  view.setBigInt64(at + 8, rest, true);
}

function setTime32(view: DataView, at: number, timeNs: bigint): void {
  view.setInt32(at, Number(BigInt.asIntN(32, timeNs / BILLION)), true);
  view.setInt32(at + 4, Number(timeNs % BILLION), true);
}

export function encodeStat64Bit(status: FileStatus): Uint8Array {
  const bytes = new Uint8Array(144);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, status.dev, true);
  view.setBigUint64(8, status.ino, true);
  view.setBigUint64(16, BigInt(status.nlink), true);
  view.setUint32(24, status.mode, true);
  view.setUint32(28, status.uid, true);
  view.setUint32(32, status.gid, true);
  view.setBigUint64(40, BigInt(status.rdev), true);
  view.setBigInt64(48, BigInt(status.size), true);
  view.setBigInt64(56, BigInt(status.blksize), true);
  view.setBigInt64(64, BigInt(status.blocks), true);
  setTime64(view, 72, status.atimeNs);
  setTime64(view, 88, status.mtimeNs);
  setTime64(view, 104, status.ctimeNs);
  return bytes;
}

/** struct stat64 of i386. */
export function encodeStat64I386(status: FileStatus): Uint8Array {
  const bytes = new Uint8Array(96);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, status.dev, true);
  view.setUint32(12, Number(BigInt.asUintN(32, status.ino)), true);
  view.setUint32(16, status.mode, true);
  view.setUint32(20, status.nlink, true);
  view.setUint32(24, status.uid, true);
  view.setUint32(28, status.gid, true);
  view.setBigUint64(32, BigInt(status.rdev), true);
  view.setBigInt64(44, BigInt(status.size), true);
  view.setUint32(52, status.blksize, true);
  view.setBigInt64(56, BigInt(status.blocks), true);
  setTime32(view, 64, status.atimeNs);
  setTime32(view, 72, status.mtimeNs);
  setTime32(view, 80, status.ctimeNs);
  view.setBigUint64(88, status.ino, true);
  return bytes;
}

/** struct stat of i386 (`newstat`), 64 bytes: what a program without large-file support asks for. */
export function encodeStatI386(status: FileStatus): Uint8Array {
  const bytes = new Uint8Array(64);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, Number(BigInt.asUintN(32, status.dev)), true);
  view.setUint32(4, Number(BigInt.asUintN(32, status.ino)), true);
  view.setUint16(8, status.mode, true);
  view.setUint16(10, status.nlink, true);
  view.setUint16(12, status.uid, true);
  view.setUint16(14, status.gid, true);
  view.setUint32(16, status.rdev, true);
  view.setUint32(20, status.size, true);
  view.setUint32(24, status.blksize, true);
  view.setUint32(28, status.blocks, true);
  setTime32(view, 32, status.atimeNs);
  setTime32(view, 40, status.mtimeNs);
  setTime32(view, 48, status.ctimeNs);
  return bytes;
}

const STATX_BASIC_STATS = 0x7ff;
const STATX_BTIME = 0x800;
const STATX_MNT_ID = 0x1000;

/** struct statx, 256 bytes, the same for both ABIs (statx(2)). */
export function encodeStatx(status: FileStatus, mountId: number): Uint8Array {
  const bytes = new Uint8Array(256);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID, true);
  view.setUint32(4, status.blksize, true);
  view.setUint32(16, status.nlink, true);
  view.setUint32(20, status.uid, true);
  view.setUint32(24, status.gid, true);
  view.setUint16(28, status.mode, true);
  view.setBigUint64(32, status.ino, true);
  view.setBigUint64(40, BigInt(status.size), true);
  view.setBigUint64(48, BigInt(status.blocks), true);
  const times = [status.atimeNs, status.birthtimeNs, status.ctimeNs, status.mtimeNs];
  for (const [index, timeNs] of times.entries()) {
    setTime64(view, 64 + index * 16, timeNs);
    view.setUint32(64 + index * 16 + 12, 0, true);
  }
  view.setUint32(128, deviceMajor(status.rdev), true);
  view.setUint32(132, deviceMinor(status.rdev), true);
  view.setUint32(136, deviceMajor(Number(status.dev)), true);
  view.setUint32(140, deviceMinor(Number(status.dev)), true);
  view.setBigUint64(144, BigInt(mountId), true);
  return bytes;
}

/** struct statfs of x86-64, 120 bytes. */
export function encodeStatfs64Bit(status: FilesystemStatus, flags: number): Uint8Array {
  const bytes = new Uint8Array(120);
  const view = new DataView(bytes.buffer);
  const { type, blockSize, blocks, freeBlocks, availableBlocks, files, freeFiles } = status;
  for (const [index, value] of [type, blockSize, blocks, freeBlocks, availableBlocks, files, freeFiles].entries()) {
    view.setBigInt64(index * 8, BigInt(value), true);
  }
  view.setBigInt64(64, 255n, true);
  view.setBigInt64(72, BigInt(blockSize), true);
  view.setBigInt64(80, BigInt(flags), true);
  return bytes;
}

/** struct statfs (64 bytes) or statfs64 (84 bytes) of i386. */
export function encodeStatfsI386(status: FilesystemStatus, flags: number, large: boolean): Uint8Array {
  const bytes = new Uint8Array(large ? 84 : 64);
  const view = new DataView(bytes.buffer);
  const { type, blockSize, blocks, freeBlocks, availableBlocks, files, freeFiles } = status;
  view.setUint32(0, type, true);
  view.setUint32(4, blockSize, true);
  let at = 8;
  for (const value of [blocks, freeBlocks, availableBlocks, files, freeFiles]) {
    if (large) view.setBigUint64(at, BigInt(value), true);
    else view.setUint32(at, Math.min(value, 0xffffffff), true);
    at += large ? 8 : 4;
  }
  view.setUint32(at + 8, 255, true);
  view.setUint32(at + 12, blockSize, true);
  view.setUint32(at + 16, flags, true);
  return bytes;
}
