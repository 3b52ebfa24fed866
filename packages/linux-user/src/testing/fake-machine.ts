// A kernel on a fake engine, with a clock that only moves when everybody sleeps: every test run is the same.

import type { SyscallDefinition } from "../kernel/syscall.ts";
import type { LoadFailure } from "../loader/elf.ts";
import { isLoadFailure } from "../loader/elf.ts";
import { LinuxKernel } from "../process/kernel.ts";
import type { SpawnedProgram } from "../process/spawn.ts";
import { encodeStrings, spawnProgram } from "../process/spawn.ts";
import { coreSyscalls } from "../syscalls/core-syscalls.ts";
import { buildElf64 } from "./elf-builder.ts";
import type { FakeCpu, Program } from "./fake-engine.ts";
import { FakeEngine } from "./fake-engine.ts";
import { FakeContextOfFiles, FakeFiles, FakeFilesystem } from "./fake-files.ts";

export const ENTRY = 0x401000;
/** Free memory of the test program, mapped read-write. */
export const DATA = 0x600000;

export const ROOT = {
  ruid: 0,
  euid: 0,
  suid: 0,
  fsuid: 0,
  rgid: 0,
  egid: 0,
  sgid: 0,
  fsgid: 0,
  groups: [] as number[],
};

export class FakeMachine {
  readonly engine: FakeEngine;
  readonly filesystem: FakeFilesystem = new FakeFilesystem();
  readonly files: FakeFiles = new FakeFiles();
  readonly kernel: LinuxKernel;
  nowNs = 1_000_000_000;

  constructor(options: { readonly pages?: number; readonly syscalls?: readonly SyscallDefinition[] } = {}) {
    this.engine = new FakeEngine(options.pages ?? 4096);
    this.filesystem.add(
      "/program",
      buildElf64({
        entry: ENTRY,
        segments: [
          { address: 0x400000, fileBytes: 8192, flags: 5 },
          { address: DATA, offset: 0, fileBytes: 0, memoryBytes: 16 * 4096, flags: 6 },
        ],
      }),
    );
    this.kernel = new LinuxKernel({
      engine: this.engine,
      filesystem: this.filesystem,
      clock: {
        monotonicNs: () => this.nowNs,
        realtime: () => ({ seconds: 1_700_000_000 + Math.floor(this.nowNs / 1e9), nanoseconds: this.nowNs % 1e9 }),
      },
      host: {
        defer: (callback) => void setImmediate(callback),
        after: (delayNs, callback) => {
          const handle = setImmediate(() => {
            this.nowNs += delayNs;
            callback();
          });
          return () => clearImmediate(handle);
        },
      },
      randomBytes: (into) => into.fill(7),
      syscalls: [...coreSyscalls, ...(options.syscalls ?? [])],
      firstPid: 100,
    });
  }

  /** Starts /program with this code, or another path. */
  start(program: (cpu: FakeCpu) => Program, path: string = "/program"): SpawnedProgram {
    this.engine.code.set(ENTRY, program);
    const spawned = this.spawn(path);
    if (isLoadFailure(spawned)) throw new Error(spawned.reason);
    return spawned;
  }

  spawn(path: string, commandLine: readonly string[] = [path]): SpawnedProgram | LoadFailure {
    return spawnProgram(this.kernel, {
      path,
      commandLine: encodeStrings(commandLine),
      environment: encodeStrings(["HOME=/root"]),
      files: this.files,
      filesystem: new FakeContextOfFiles(),
      credentials: ROOT,
    });
  }

  /** Runs a program to its end: its wait status. */
  async run(program: (cpu: FakeCpu) => Program): Promise<number> {
    const { exited } = this.start(program);
    await this.kernel.run();
    return exited;
  }
}
