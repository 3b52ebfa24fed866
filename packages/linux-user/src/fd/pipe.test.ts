// oxlint-disable vitest/no-conditional-expect -- every step of a model checks what it does
import * as fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { EAGAIN, EPIPE } from "../kernel/errno.ts";
import { Blocked, type SyscallResult } from "../kernel/wait.ts";
import { SIGPIPE } from "../kernel/signal-info.ts";
import { O_NONBLOCK } from "../vfs/constants.ts";
import { FakePageCache, FakeTask, runSyscall } from "../vfs/testing/fake-task.ts";
import { assembleFilesystem } from "../vfs/assemble.ts";
import { NodeFilesystem } from "../node/filesystem.ts";
import { readFrom, writeTo } from "./blocking.ts";
import { ByteQueue } from "./byte-queue.ts";
import { EpollFile, EPOLLET, EPOLLONESHOT } from "./epoll.ts";
import { EventFile, TimerFile } from "./event-files.ts";
import { POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM, type OpenFile } from "./open-file.ts";
import { makePipe, PIPE_BUF } from "./pipe.ts";
import { BytesTransfer, UserTransfer } from "./transfer.ts";

const clock = { realtimeNs: () => 0n, monotonicNs: () => 0n };
let fake: FakeTask;
beforeEach(() => {
  fake = new FakeTask(
    assembleFilesystem({ host: new NodeFilesystem(), clock, root: undefined }).filesystem,
    new FakePageCache(),
  );
});

function bytes(length: number, first = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (first + index) & 255);
}

function retry(result: SyscallResult): SyscallResult {
  if (!(result instanceof Blocked)) throw new Error("did not wait");
  return runSyscall(() => result.request.retry("woken"));
}

describe("ByteQueue", () => {
  it("gives the bytes that were put in, in order, however they are cut", () => {
    const step = fc.oneof(
      fc.record({ push: fc.nat(9000) }),
      fc.record({ take: fc.nat(9000) }),
      fc.record({ skip: fc.nat(3000) }),
      fc.record({ peek: fc.nat(9000), from: fc.nat(5000) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const queue = new ByteQueue();
        let model: number[] = [];
        let next = 0;
        for (const action of steps) {
          if ("push" in action) {
            const piece = bytes(action.push, next);
            next += action.push;
            queue.push(piece);
            model.push(...piece);
          } else if ("take" in action) {
            expect([...queue.take(action.take)]).toEqual(model.slice(0, action.take));
            model = model.slice(action.take);
          } else if ("skip" in action) {
            queue.skip(action.skip);
            model = model.slice(action.skip);
          } else {
            expect([...queue.peek(action.peek, action.from)]).toEqual(
              model.slice(action.from, action.from + action.peek),
            );
          }
          expect(queue.length).toBe(model.length);
        }
      }),
    );
  });
});

describe("pipes", () => {
  it("carry every byte in order, whatever the sizes of reads and writes", () => {
    const size = fc.integer({ min: 1, max: 100_000 });
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), size), { maxLength: 40 }), (steps) => {
        const [reader, writer] = makePipe(O_NONBLOCK);
        const sent: number[] = [];
        const got: number[] = [];
        for (const [writes, count] of steps) {
          if (writes) {
            const piece = bytes(count, sent.length);
            const taken = writer.write(new BytesTransfer(piece));
            if (count <= PIPE_BUF) expect([count, -EAGAIN]).toContain(taken);
            if (taken > 0) for (const byte of piece.subarray(0, taken)) sent.push(byte);
          } else {
            const buffer = new Uint8Array(count);
            const taken = reader.read(new BytesTransfer(buffer));
            if (taken > 0) for (const byte of buffer.subarray(0, taken)) got.push(byte);
          }
        }
        const rest = new Uint8Array(65536);
        const last = reader.read(new BytesTransfer(rest));
        if (last > 0) for (const byte of rest.subarray(0, last)) got.push(byte);
        expect(got.length).toBe(sent.length);
        expect(got.every((byte, index) => byte === sent[index])).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it("wait for room and for bytes, and end with the other side", () => {
    const [reader, writer] = makePipe(0);
    const task = fake.asTask();
    fake.memory.writeBytes(0x10000, bytes(100_000));
    const from = new UserTransfer(fake.memory, [{ address: 0x10000, length: 100_000 }], "read");
    const writing = writeTo(task, writer, from);
    expect(writing).toBeInstanceOf(Blocked);
    const into = new UserTransfer(fake.memory, [{ address: 0x40000, length: 65536 }], "write");
    expect(readFrom(task, reader, into)).toBe(65536);
    expect(retry(writing)).toBe(100_000);
    writer.release();
    const rest = new UserTransfer(fake.memory, [{ address: 0x60000, length: 65536 }], "write");
    expect(readFrom(task, reader, rest)).toBe(100_000 - 65536);
    expect(readFrom(task, reader, new UserTransfer(fake.memory, [{ address: 0x60000, length: 1 }], "write"))).toBe(0);
    expect(fake.memory.readBytes(0x40000, 65536)).toEqual(bytes(65536));
  });

  it("break with EPIPE and SIGPIPE", () => {
    const [reader, writer] = makePipe(0);
    expect(writer.poll()).toBe(POLLOUT | POLLWRNORM);
    reader.release();
    expect(writer.poll() & POLLERR).toBe(POLLERR);
    const from = new UserTransfer(fake.memory, [{ address: 0x10000, length: 1 }], "read");
    expect(writeTo(fake.asTask(), writer, from)).toBe(-EPIPE);
    expect(fake.signals.map((info) => info.signal)).toEqual([SIGPIPE]);
  });
});

describe("epoll", () => {
  function watch(file: OpenFile, events: number): EpollFile {
    const epoll = new EpollFile();
    expect(epoll.add(5, file, { events, dataLo: 7, dataHi: 0 }, fake.asTask())).toBe(0);
    return epoll;
  }

  it("reports a level until it is gone", () => {
    const [reader, writer] = makePipe(O_NONBLOCK);
    const epoll = watch(reader, POLLIN);
    expect(epoll.collect(8)).toEqual([]);
    writer.write(new BytesTransfer(bytes(10)));
    expect(epoll.poll()).toBe(POLLIN | POLLRDNORM);
    expect(epoll.collect(8)).toEqual([{ events: POLLIN, dataLo: 7, dataHi: 0 }]);
    expect(epoll.collect(8)).toHaveLength(1);
    reader.read(new BytesTransfer(new Uint8Array(10)));
    expect(epoll.collect(8)).toEqual([]);
    writer.release();
    expect(epoll.collect(8)).toEqual([{ events: POLLHUP, dataLo: 7, dataHi: 0 }]);
  });

  it("reports an edge once for each wake", () => {
    const [reader, writer] = makePipe(O_NONBLOCK);
    const epoll = watch(reader, POLLIN | EPOLLET);
    writer.write(new BytesTransfer(bytes(10)));
    expect(epoll.collect(8)).toHaveLength(1);
    expect(epoll.collect(8)).toHaveLength(0);
    writer.write(new BytesTransfer(bytes(10)));
    expect(epoll.collect(8)).toHaveLength(1);
  });

  it("reports once and rearms with EPOLLONESHOT, nests, and forgets closed files", () => {
    const event = new EventFile(1, false, O_NONBLOCK);
    const epoll = watch(event, POLLIN | EPOLLONESHOT);
    const outer = watch(epoll, POLLIN);
    expect(outer.collect(8)).toHaveLength(1);
    expect(epoll.collect(8)).toHaveLength(1);
    expect(epoll.collect(8)).toHaveLength(0);
    expect(epoll.modify(5, event, { events: POLLIN, dataLo: 9, dataHi: 0 })).toBe(0);
    expect(epoll.collect(8)).toEqual([{ events: POLLIN, dataLo: 9, dataHi: 0 }]);
    expect(epoll.add(6, outer, { events: POLLIN, dataLo: 0, dataHi: 0 }, fake.asTask())).toBe(-40);
    event.release();
    expect(epoll.collect(8)).toEqual([]);
  });
});

describe("timers as files", () => {
  it("count what they missed", () => {
    const timer = new TimerFile(fake.kernel, 1, O_NONBLOCK);
    timer.set({ valueNs: 100, intervalNs: 50 }, false);
    const buffer = new Uint8Array(8);
    expect(timer.read(new BytesTransfer(buffer))).toBe(-EAGAIN);
    fake.advance(260);
    expect(timer.poll()).toBe(POLLIN | POLLRDNORM);
    expect(timer.read(new BytesTransfer(buffer))).toBe(8);
    expect(buffer[0]).toBe(4);
    expect(timer.setting()).toEqual({ valueNs: 40, intervalNs: 50 });
    timer.release();
    expect(fake.timers).toEqual([]);
  });
});
