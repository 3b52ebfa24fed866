/** pipe, pipe2, splice, tee, vmsplice. */
import { EAGAIN, EBADF, EINVAL, EPIPE, ESPIPE, SyscallError } from "../kernel/errno.ts";
import type { SyscallDefinition, SyscallHandler } from "../kernel/syscall.ts";
import type { Task } from "../kernel/task.ts";
import type { SyscallResult, WaitQueue } from "../kernel/wait.ts";
import { O_CLOEXEC, O_DIRECT, O_NONBLOCK } from "../vfs/constants.ts";
import { fileOf, filesOf } from "../vfs/handler-tools.ts";
import { installFile } from "../vfs/sys-open.ts";
import { brokenPipe, readFrom, writeTo } from "./blocking.ts";
import type { OpenFile } from "./open-file.ts";
import { makePipe, PipeFile, takeFrom, type Pipe } from "./pipe.ts";
import { readVectors } from "./sys-io.ts";
import { BytesTransfer, drain, UserTransfer } from "./transfer.ts";

/** Gives two files descriptors and writes them to memory as an int[2]; none is left behind by a failure. */
export function installPair(
  task: Task,
  files: readonly [OpenFile, OpenFile],
  at: number,
  closeOnExec: boolean,
): number {
  const first = installFile(task, files[0], closeOnExec);
  if (first < 0) {
    files[1].release();
    return first;
  }
  const second = installFile(task, files[1], closeOnExec);
  if (second < 0) {
    filesOf(task).close(first);
    return second;
  }
  task.memory.writeU32(at, first);
  task.memory.writeU32(at + 4, second);
  return 0;
}

function pipe(task: Task, at: number, flags: number): number {
  if ((flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT)) !== 0) return -EINVAL;
  task.memory.views(at, 8, "write");
  return installPair(task, makePipe(flags & O_NONBLOCK), at, (flags & O_CLOEXEC) !== 0);
}

const sysPipe: SyscallHandler = (task, args) => pipe(task, args.address(0), 0);
const sysPipe2: SyscallHandler = (task, args) => pipe(task, args.address(0), args.i32(1));

const SPLICE_F_NONBLOCK = 2;

function pipeOf(file: OpenFile): Pipe | undefined {
  return file instanceof PipeFile ? file.pipe : undefined;
}

/** The queue to wait on, or a result: one attempt of splice(2). */
function spliceOnce(
  task: Task,
  input: OpenFile,
  inAt: number | undefined,
  output: OpenFile,
  outAt: number | undefined,
  count: number,
): number | WaitQueue {
  const source = pipeOf(input);
  const sink = pipeOf(output);
  if (sink !== undefined) {
    if (sink.readers === 0) return -EPIPE;
    if (sink.room === 0) return sink.queue;
  }
  const limit = Math.min(count, sink?.room ?? 65536, 65536);
  let bytes: Uint8Array;
  if (source !== undefined) {
    if (source.bytes.length === 0) return source.writers > 0 ? source.queue : 0;
    bytes = source.bytes.peek(limit);
  } else {
    const chunk = new Uint8Array(limit);
    const into = new BytesTransfer(chunk);
    const got = inAt === undefined ? input.read(into, task) : input.readAt(into, inAt);
    if (got === -EAGAIN) return input.queue;
    if (got <= 0) return got;
    bytes = chunk.subarray(0, got);
  }
  const from = new BytesTransfer(bytes);
  const put = outAt === undefined ? output.write(from, task) : output.writeAt(from, outAt);
  if (put === -EAGAIN) return output.queue;
  if (put > 0 && source !== undefined) takeFrom(source, put);
  return put;
}

const sysSplice: SyscallHandler = (task, args) => {
  const input = fileOf(task, args.i32(0));
  const output = fileOf(task, args.i32(2));
  if (!input.readable || !output.writable) return -EBADF;
  const inPipe = pipeOf(input);
  const outPipe = pipeOf(output);
  if ((inPipe === undefined && outPipe === undefined) || (inPipe !== undefined && inPipe === outPipe)) return -EINVAL;
  const inPointer = args.address(1);
  const outPointer = args.address(3);
  if ((inPipe !== undefined && inPointer !== 0) || (outPipe !== undefined && outPointer !== 0)) return -ESPIPE;
  const count = Math.min(args.address(4), 0x7ffff000);
  if (count === 0) return 0;
  const inAt = inPointer === 0 ? undefined : task.memory.readU64(inPointer);
  const outAt = outPointer === 0 ? undefined : task.memory.readU64(outPointer);
  const nonblocking = (args.u32(5) & SPLICE_F_NONBLOCK) !== 0;
  const attempt = (): SyscallResult => {
    const done = spliceOnce(task, input, inAt, output, outAt, count);
    if (done === -EPIPE) return brokenPipe(task);
    if (typeof done !== "number") return nonblocking ? -EAGAIN : task.block({ on: [done], retry: attempt });
    if (done > 0 && inAt !== undefined) task.memory.writeU64(inPointer, inAt + done);
    if (done > 0 && outAt !== undefined) task.memory.writeU64(outPointer, outAt + done);
    return done;
  };
  return attempt();
};

const sysTee: SyscallHandler = (task, args) => {
  const source = pipeOf(fileOf(task, args.i32(0)));
  const sink = pipeOf(fileOf(task, args.i32(1)));
  if (source === undefined || sink === undefined || source === sink) return -EINVAL;
  const nonblocking = (args.u32(3) & SPLICE_F_NONBLOCK) !== 0;
  const attempt = (): SyscallResult => {
    if (sink.readers === 0) return brokenPipe(task);
    if (source.bytes.length === 0 && source.writers === 0) return 0;
    const waitOn = source.bytes.length === 0 ? source.queue : sink.room === 0 ? sink.queue : undefined;
    if (waitOn !== undefined) return nonblocking ? -EAGAIN : task.block({ on: [waitOn], retry: attempt });
    const bytes = source.bytes.peek(Math.min(args.address(2), sink.room));
    sink.bytes.push(bytes);
    sink.queue.wakeAll();
    return bytes.length;
  };
  return attempt();
};

const sysVmsplice: SyscallHandler = (task, args) => {
  const file = fileOf(task, args.i32(0));
  if (pipeOf(file) === undefined) throw new SyscallError(EBADF);
  const ranges = readVectors(task, args, args.address(1), args.i32(2));
  if (file.writable)
    return writeTo(task, file, new BytesTransfer(drain(new UserTransfer(task.memory, ranges, "read"), Infinity)));
  return readFrom(task, file, new UserTransfer(task.memory, ranges, "write"));
};

const copies = { partial: "copies the bytes" };

export const pipeSyscalls: readonly SyscallDefinition[] = [
  { name: "pipe", x64: 22, i386: 42, honesty: "supported", handler: sysPipe, arguments: ["pointer"] },
  {
    name: "pipe2",
    x64: 293,
    i386: 331,
    honesty: { partial: "O_DIRECT (packet mode) is accepted and ignored" },
    handler: sysPipe2,
    arguments: ["pointer", "hex"],
  },
  {
    name: "splice",
    x64: 275,
    i386: 313,
    honesty: copies,
    handler: sysSplice,
    arguments: ["fd", "pointer", "fd", "pointer", "size", "hex"],
  },
  { name: "tee", x64: 276, i386: 315, honesty: copies, handler: sysTee, arguments: ["fd", "fd", "size", "hex"] },
  {
    name: "vmsplice",
    x64: 278,
    i386: 316,
    honesty: copies,
    handler: sysVmsplice,
    arguments: ["fd", "pointer", "size", "hex"],
  },
];
