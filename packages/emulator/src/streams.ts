/** Standard streams that are not the host's own: bytes in memory, and callbacks. */
import type { HostStatus, HostStream } from "@doppel/linux-user";

const O_RDONLY = 0;
const O_WRONLY = 1;
const S_IFIFO = 0o010000;
const PIPE_BYTES = 4096;
const EBADF = 9;

const status: HostStatus = {
  dev: 0n,
  ino: 1n,
  mode: S_IFIFO | 0o600,
  nlink: 1,
  uid: 0,
  gid: 0,
  rdev: 0,
  size: 0,
  blksize: PIPE_BYTES,
  blocks: 0,
  atimeNs: 0n,
  mtimeNs: 0n,
  ctimeNs: 0n,
  birthtimeNs: 0n,
};

const quiet = { kind: "pipe", status: () => status, close: () => {} } as const;

/** A pipe with these bytes in it, whose writer has gone. */
export function inputStream(bytes: Uint8Array): HostStream {
  let position = 0;
  return {
    ...quiet,
    flags: O_RDONLY,
    available: () => (position === bytes.length ? -1 : bytes.length - position),
    read: (into) => {
      const piece = bytes.subarray(position, position + into.length);
      into.set(piece);
      position += piece.length;
      return piece.length;
    },
    write: () => -EBADF,
    onReadable: (callback) => callback(),
    onWritable: () => {},
  };
}

/** A pipe whose reader is `write`, which may keep the bytes. */
export function outputStream(write: (bytes: Uint8Array) => void): HostStream {
  return {
    ...quiet,
    flags: O_WRONLY,
    available: () => -1,
    read: () => -EBADF,
    write: (from) => {
      write(from.slice());
      return from.length;
    },
    onReadable: () => {},
    onWritable: (callback) => callback(),
  };
}
