// siginfo_t in guest memory: 128 bytes (include/uapi/asm-generic/siginfo.h).
//
//   x86-64   0 si_signo | 4 si_errno | 8 si_code | 12 (pad) | 16 union
//   i386     0 si_signo | 4 si_errno | 8 si_code | 12 union
//   union    kill: pid, uid     sigqueue: pid, uid, value      timer: id, overrun, value
//            SIGCHLD: pid, uid, status, (pad,) utime, stime    fault: addr      SIGIO: band, fd

import type { SignalInfo } from "../kernel/signal-info.ts";
import {
  SI_QUEUE,
  SI_TIMER,
  SIGBUS,
  SIGCHLD,
  SIGFPE,
  SIGILL,
  SIGIO,
  SIGSEGV,
  SIGTRAP,
  SI_MESGQ,
} from "../kernel/signal-info.ts";

export const SIGINFO_BYTES = 128;

function isFault(info: SignalInfo): boolean {
  const { signal } = info;
  return (
    info.code > 0 &&
    info.code < 0x80 &&
    (signal === SIGSEGV || signal === SIGBUS || signal === SIGILL || signal === SIGFPE || signal === SIGTRAP)
  );
}

export function encodeSignalInfo(info: SignalInfo, wordBytes: 8 | 4): Uint8Array {
  const bytes = new Uint8Array(SIGINFO_BYTES);
  if (info.raw !== undefined) {
    bytes.set(info.raw.subarray(0, SIGINFO_BYTES));
    return bytes;
  }
  const view = new DataView(bytes.buffer);
  const wide = wordBytes === 8;
  const union = wide ? 16 : 12;
  view.setInt32(0, info.signal, true);
  view.setInt32(4, info.errno ?? 0, true);
  view.setInt32(8, info.code, true);
  const word = (offset: number, value: number): void => {
    view.setUint32(offset, value % 2 ** 32, true);
    if (wide) view.setInt32(offset + 4, Math.floor(value / 2 ** 32), true);
  };
  const value = (offset: number): void => {
    view.setInt32(offset, info.valueLo ?? 0, true);
    if (wide) view.setInt32(offset + 4, info.valueHi ?? 0, true);
  };
  if (isFault(info)) {
    word(union, info.address ?? 0);
  } else if (info.signal === SIGCHLD && info.code > 0) {
    view.setInt32(union, info.pid ?? 0, true);
    view.setUint32(union + 4, info.uid ?? 0, true);
    view.setInt32(union + 8, info.status ?? 0, true);
    const times = union + (wide ? 16 : 12);
    word(times, info.userTicks ?? 0);
    word(times + wordBytes, info.systemTicks ?? 0);
  } else if (info.signal === SIGIO && info.code > 0) {
    word(union, info.band ?? 0);
    view.setInt32(union + wordBytes, info.fd ?? 0, true);
  } else if (info.code === SI_TIMER) {
    view.setInt32(union, info.timerId ?? 0, true);
    view.setInt32(union + 4, info.overrun ?? 0, true);
    value(union + 8);
  } else {
    view.setInt32(union, info.pid ?? 0, true);
    view.setUint32(union + 4, info.uid ?? 0, true);
    if (info.code === SI_QUEUE || info.code === SI_MESGQ) value(union + 8);
  }
  return bytes;
}

/** What rt_sigqueueinfo was given; the bytes themselves are passed on. */
export function decodeSignalInfo(bytes: Uint8Array, signal: number, wordBytes: 8 | 4): SignalInfo {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const union = wordBytes === 8 ? 16 : 12;
  const raw = bytes.slice();
  new DataView(raw.buffer).setInt32(0, signal, true);
  return {
    signal,
    errno: view.getInt32(4, true),
    code: view.getInt32(8, true),
    pid: view.getInt32(union, true),
    uid: view.getUint32(union + 4, true),
    valueLo: view.getInt32(union + 8, true),
    valueHi: wordBytes === 8 ? view.getInt32(union + 12, true) : 0,
    raw,
  };
}
