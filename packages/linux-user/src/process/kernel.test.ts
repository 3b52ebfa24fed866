import { expect, test } from "vitest";
import { EAGAIN, ECHILD, EINTR, ENOMEM, ENOSYS, ETIMEDOUT } from "../kernel/errno.ts";
import { SIGALRM, SIGCHLD, SIGSEGV, SIGTERM, SIGUSR1 } from "../kernel/signal-info.ts";
import type { FakeCpu, Program } from "../testing/fake-engine.ts";
import { DATA, FakeMachine } from "../testing/fake-machine.ts";

const NR = {
  mmap: 9,
  mprotect: 10,
  munmap: 11,
  brk: 12,
  rt_sigaction: 13,
  rt_sigprocmask: 14,
  pause: 34,
  nanosleep: 35,
  alarm: 37,
  getpid: 39,
  clone: 56,
  fork: 57,
  vfork: 58,
  execve: 59,
  exit: 60,
  wait4: 61,
  kill: 62,
  getppid: 110,
  rt_sigsuspend: 130,
  gettid: 186,
  futex: 202,
  exit_group: 231,
  tgkill: 234,
  sigaltstack: 131,
  setpgid: 109,
} as const;

function* exit(code: number): Program {
  yield { call: NR.exit_group, args: [code] };
}

/** Stores a number in the guest's memory, byte by byte, as the program would. */
function* store(address: number, value: number, bytes: number): Program {
  let rest = value;
  for (let index = 0; index < bytes; index++) {
    yield { store: address + index, value: rest % 256 };
    rest = Math.floor(rest / 256);
  }
}

function* load(address: number, bytes: number): Generator<{ load: number }, number, number> {
  let value = 0;
  for (let index = bytes - 1; index >= 0; index--) value = value * 256 + (yield { load: address + index });
  return value;
}

function* handle(signal: number, handler: number, flags: number = 0, at: number = DATA + 0x800): Program {
  yield* store(at, handler, 8);
  yield* store(at + 8, flags | 0x0400_0000, 8);
  yield* store(at + 16, 0x1000, 8);
  yield* store(at + 24, 0, 8);
  const result = yield { call: NR.rt_sigaction, args: [signal, at, 0, 8] };
  expect(result).toBe(0);
}

test("a program exits with its code", async () => {
  expect(await new FakeMachine().run(() => exit(42))).toBe(42 << 8);
});

test("an unknown system call gives ENOSYS and is counted", async () => {
  const machine = new FakeMachine();
  await machine.run(function* (): Program {
    expect(yield { call: 9999 }).toBe(-ENOSYS);
    yield* exit(0);
  });
  expect(machine.kernel.syscalls.counts().get("syscall_9999")).toBe(1);
});

test("fork copies memory on write, and the parent collects the child's status", async () => {
  const machine = new FakeMachine();
  const status = await machine.run(function* (): Program {
    yield { store: DATA, value: 1 };
    const child = yield {
      call: NR.fork,
      child: function* (): Program {
        expect(yield { load: DATA }).toBe(1);
        yield { store: DATA, value: 2 };
        expect(yield { load: DATA }).toBe(2);
        expect(yield { call: NR.getppid }).toBe(100);
        yield* exit(7);
      },
    };
    expect(child).toBe(101);
    expect(yield { call: NR.wait4, args: [-1, DATA + 64, 0, 0] }).toBe(101);
    expect(yield* load(DATA + 64, 4)).toBe(7 << 8);
    expect(yield { load: DATA }).toBe(1);
    expect(yield { call: NR.wait4, args: [-1, 0, 0, 0] }).toBe(-ECHILD);
    yield* exit(0);
  });
  expect(status).toBe(0);
  // Everything but the page cache and the page of zeros was given back.
  const { memory } = machine.engine;
  expect(memory.totalPages - memory.freePages - machine.kernel.pageCache.cachedPages()).toBeLessThanOrEqual(1);
});

test("an unhandled fault kills with SIGSEGV", async () => {
  expect(
    await new FakeMachine().run(function* (): Program {
      yield { load: 8 };
    }),
  ).toBe(SIGSEGV);
});

test("a handler sees the faulting address and can repair the fault", async () => {
  const machine = new FakeMachine();
  machine.engine.code.set(0x9000, function* (cpu: FakeCpu): Program {
    const info = cpu.value(6);
    expect(cpu.value(7)).toBe(SIGSEGV);
    expect(yield* load(info + 8, 4)).toBe(1);
    expect(yield* load(info + 16, 8)).toBe(0x700010);
    expect(yield { call: NR.mmap, args: [0x700000, 4096, 3, 0x32, -1, 0] }).toBe(0x700000);
  });
  const status = await machine.run(function* (): Program {
    yield* handle(SIGSEGV, 0x9000, 4);
    yield { store: 0x700010, value: 5 };
    yield { store: 0x700010, value: 6 };
    expect(yield { load: 0x700010 }).toBe(6);
    yield* exit(3);
  });
  expect(status).toBe(3 << 8);
});

test("kill terminates, and wait4 reports the signal", async () => {
  await new FakeMachine().run(function* (): Program {
    const child = yield {
      call: NR.fork,
      child: function* (): Program {
        yield { call: NR.pause };
      },
    };
    yield { call: NR.kill, args: [child, SIGTERM] };
    expect(yield { call: NR.wait4, args: [child, DATA, 0, 0] }).toBe(child);
    expect(yield* load(DATA, 4)).toBe(SIGTERM);
    yield* exit(0);
  });
});

test("nanosleep moves the clock; an alarm interrupts it with EINTR and the time left", async () => {
  const machine = new FakeMachine();
  let handled = 0;
  machine.engine.code.set(0x9000, function* (): Program {
    handled++;
    yield { call: NR.getpid };
  });
  await machine.run(function* (): Program {
    yield* store(DATA, 5, 8);
    yield* store(DATA + 8, 0, 8);
    expect(yield { call: NR.nanosleep, args: [DATA, 0] }).toBe(0);
    expect(machine.nowNs).toBe(6_000_000_000);
    yield* handle(SIGALRM, 0x9000, 0x1000_0000);
    yield { call: NR.alarm, args: [2] };
    expect(yield { call: NR.nanosleep, args: [DATA, DATA + 32] }).toBe(-EINTR);
    expect(yield* load(DATA + 32, 8)).toBe(3);
    yield* exit(0);
  });
  expect(handled).toBe(1);
});

test("SA_RESTART makes wait4 go on; without it, EINTR", async () => {
  const machine = new FakeMachine();
  machine.engine.code.set(0x9000, function* (): Program {});
  for (const [flags, expected] of [
    [0x1000_0000, "restart"],
    [0, "eintr"],
  ] as const) {
    await machine.run(function* (): Program {
      yield* handle(SIGUSR1, 0x9000, flags);
      const self = yield { call: NR.getpid };
      const child = yield {
        call: NR.fork,
        child: function* (): Program {
          yield { call: NR.kill, args: [self, SIGUSR1] };
          yield* store(DATA, 1, 8);
          yield* store(DATA + 8, 0, 8);
          yield { call: NR.nanosleep, args: [DATA, 0] };
          yield* exit(1);
        },
      };
      const result = yield { call: NR.wait4, args: [child, 0, 0, 0] };
      expect(result).toBe(expected === "restart" ? child : -EINTR);
      yield* exit(0);
    });
  }
});

test("threads meet at a futex; the main thread's clear_child_tid wakes a joiner", async () => {
  const CLONE = 0x3d0f00;
  const order: string[] = [];
  await new FakeMachine().run(function* (): Program {
    yield* store(DATA, 1, 4);
    yield* store(DATA + 16, 101, 4);
    const tid = yield {
      call: NR.clone,
      args: [CLONE, DATA + 0x2000, DATA + 8, DATA + 16, 0x1234],
      child: function* (): Program {
        order.push("thread");
        expect(yield { call: NR.gettid }).toBe(101);
        yield* store(DATA, 0, 4);
        expect(yield { call: NR.futex, args: [DATA, 129, 1] }).toBe(1);
        yield { call: NR.exit, args: [0] };
      },
    };
    expect(tid).toBe(101);
    expect(yield* load(DATA + 8, 4)).toBe(101);
    expect(yield { call: NR.futex, args: [DATA, 128, 1, 0] }).toBe(0);
    order.push("main");
    // The thread is gone by now: the word is cleared already.
    expect(yield { call: NR.futex, args: [DATA + 16, 128, 101, 0] }).toBe(-EAGAIN);
    expect(yield* load(DATA + 16, 4)).toBe(0);
    yield* exit(0);
  });
  expect(order).toEqual(["thread", "main"]);
});

test("a futex wait times out", async () => {
  await new FakeMachine().run(function* (): Program {
    yield* store(DATA + 64, 0, 8);
    yield* store(DATA + 72, 1000, 8);
    expect(yield { call: NR.futex, args: [DATA, 128, 0, DATA + 64] }).toBe(-ETIMEDOUT);
    yield* exit(0);
  });
});

test("vfork's parent waits until the child has called exec", async () => {
  const machine = new FakeMachine();
  const order: string[] = [];
  await machine.run(function* (): Program {
    const path = [..."/program\0"].map((character) => character.charCodeAt(0));
    for (const [index, byte] of path.entries()) yield { store: DATA + index, value: byte };
    machine.engine.code.set(0x401000, function* (): Program {
      order.push("executed");
      yield* exit(9);
    });
    const child = yield {
      call: NR.vfork,
      child: function* (): Program {
        order.push("child");
        yield { call: NR.execve, args: [DATA, 0, 0] };
      },
    };
    order.push("parent");
    expect(yield { call: NR.wait4, args: [child, DATA + 64, 0, 0] }).toBe(child);
    expect(yield* load(DATA + 64, 4)).toBe(9 << 8);
    yield* exit(0);
  });
  expect(order.slice(0, 1)).toEqual(["child"]);
  expect(order).toContain("executed");
  expect(order).toContain("parent");
});

test("sigsuspend waits with its own mask and restores the old one", async () => {
  const machine = new FakeMachine();
  const seen: number[] = [];
  machine.engine.code.set(0x9000, function* (cpu: FakeCpu): Program {
    seen.push(cpu.value(7));
    // uc_sigmask holds the mask from before the call.
    expect(yield* load(cpu.value(2) + 296, 8)).toBe(2 ** (SIGUSR1 - 1));
  });
  await machine.run(function* (): Program {
    yield* handle(SIGUSR1, 0x9000);
    yield* store(DATA, 2 ** (SIGUSR1 - 1), 8);
    yield { call: NR.rt_sigprocmask, args: [0, DATA, 0, 8] };
    const self = yield { call: NR.getpid };
    yield { call: NR.kill, args: [self, SIGUSR1] };
    expect(seen).toEqual([]);
    yield* store(DATA + 8, 0, 8);
    expect(yield { call: NR.rt_sigsuspend, args: [DATA + 8, 8] }).toBe(-EINTR);
    expect(seen).toEqual([SIGUSR1]);
    yield { call: NR.rt_sigprocmask, args: [0, 0, DATA + 16, 8] };
    expect(yield* load(DATA + 16, 8)).toBe(2 ** (SIGUSR1 - 1));
    yield* exit(0);
  });
});

test("SIGCHLD is ignored by default and reaches a handler", async () => {
  const machine = new FakeMachine();
  let pid = 0;
  machine.engine.code.set(0x9000, function* (cpu: FakeCpu): Program {
    pid = yield* load(cpu.value(6) + 16, 4);
  });
  await machine.run(function* (): Program {
    yield* handle(SIGCHLD, 0x9000, 4);
    const child = yield { call: NR.fork, child: () => exit(0) };
    expect(yield { call: NR.pause }).toBe(-EINTR);
    expect(pid).toBe(child);
    yield* exit(0);
  });
});

test("memory that cannot be had is ENOMEM, never a host error", async () => {
  const machine = new FakeMachine({ pages: 64 });
  await machine.run(function* (): Program {
    expect(yield { call: NR.mmap, args: [0, 2 ** 30, 3, 0x22, -1, 0] }).toBe(-ENOMEM);
    const old = yield { call: NR.brk, args: [0] };
    expect(yield { call: NR.brk, args: [old + 2 ** 30] }).toBe(old);
    yield* exit(0);
  });
});

test("touching more than there is kills the process, not the kernel", async () => {
  const machine = new FakeMachine({ pages: 64 });
  const status = await machine.run(function* (): Program {
    const base = yield { call: NR.mmap, args: [0, 2 ** 30, 3, 0x4022, -1, 0] };
    for (let page = 0; page < 200; page++) yield { store: base + page * 4096, value: 1 };
  });
  expect(status).toBe(9);
});
