/** Small stand-ins for the kernel, for tests of files: memory is one flat array, waiting is explicit. */
import { EFAULT, SyscallError } from "../../kernel/errno.ts";
import type { PageCache, PageSource, UserMemory } from "../../kernel/memory.ts";
import { SignalSet, type SignalInfo } from "../../kernel/signal-info.ts";
import type { SyscallArguments, SyscallHandler } from "../../kernel/syscall.ts";
import type { Kernel, Process, Task } from "../../kernel/task.ts";
import { Blocked, WaitQueue, type SyscallResult } from "../../kernel/wait.ts";
import { FileTable } from "../../fd/file-table.ts";
import type { GuestFilesystem } from "../guest-filesystem.ts";
import { FilesystemContext } from "../walk.ts";

/** The page cache as a map of whole files. */
export class FakePageCache implements PageCache {
  readonly files: Map<PageSource, Uint8Array> = new Map();

  write(source: PageSource, offset: number, bytes: Uint8Array): number {
    if (source.memoryOnly !== true) return bytes.length;
    let file = this.files.get(source) ?? new Uint8Array(0);
    if (file.length < offset + bytes.length) {
      const larger = new Uint8Array(Math.max(offset + bytes.length, file.length * 2));
      larger.set(file);
      file = larger;
    }
    file.set(bytes, offset);
    this.files.set(source, file);
    return bytes.length;
  }

  read(source: PageSource, offset: number, into: Uint8Array): void {
    into.fill(0);
    const file = this.files.get(source);
    if (file !== undefined) into.set(file.subarray(offset, offset + into.length));
  }

  isCached(source: PageSource): boolean {
    return this.files.has(source);
  }

  flush(): void {}

  truncate(source: PageSource, size: number): void {
    const file = this.files.get(source);
    if (file !== undefined) this.files.set(source, file.slice(0, size));
  }

  forget(source: PageSource): void {
    this.files.delete(source);
  }
}

/** Guest memory from address 0x1000 on. */
export class FakeMemory implements UserMemory {
  readonly bytes: Uint8Array = new Uint8Array(1 << 20);
  readonly #base = 0x1000;

  #at(address: number, length: number): number {
    const at = address - this.#base;
    if (at < 0 || at + length > this.bytes.length) throw new SyscallError(EFAULT);
    return at;
  }

  views(address: number, length: number): Uint8Array[] {
    const at = this.#at(address, length);
    // In two pieces, as two pages would be.
    const half = length >> 1;
    return half === 0
      ? [this.bytes.subarray(at, at + length)]
      : [this.bytes.subarray(at, at + half), this.bytes.subarray(at + half, at + length)];
  }

  viewsUntilFault(address: number, length: number): Uint8Array[] {
    const end = Math.min(address + length, this.#base + this.bytes.length);
    return end <= address || address < this.#base ? [] : this.views(address, end - address);
  }

  readBytes(address: number, length: number): Uint8Array {
    const at = this.#at(address, length);
    return this.bytes.slice(at, at + length);
  }

  writeBytes(address: number, bytes: Uint8Array): void {
    this.bytes.set(bytes, this.#at(address, bytes.length));
  }

  fill(address: number, length: number, byte: number): void {
    this.bytes.fill(byte, this.#at(address, length), this.#at(address, length) + length);
  }

  readCStringBytes(address: number): Uint8Array {
    const at = this.#at(address, 1);
    return this.bytes.slice(at, this.bytes.indexOf(0, at));
  }

  readCString(address: number): string {
    return new TextDecoder().decode(this.readCStringBytes(address));
  }

  #view(address: number, length: number): DataView {
    return new DataView(this.bytes.buffer, this.#at(address, length), length);
  }

  readU8(address: number): number {
    return this.#view(address, 1).getUint8(0);
  }

  readU16(address: number): number {
    return this.#view(address, 2).getUint16(0, true);
  }

  readU32(address: number): number {
    return this.#view(address, 4).getUint32(0, true);
  }

  readI32(address: number): number {
    return this.#view(address, 4).getInt32(0, true);
  }

  readU64(address: number): number {
    return Number(this.#view(address, 8).getBigUint64(0, true));
  }

  readI64(address: number): number {
    return Number(this.#view(address, 8).getBigInt64(0, true));
  }

  readWord(address: number, wordBytes: 8 | 4): number {
    return wordBytes === 8 ? this.readU64(address) : this.readU32(address);
  }

  writeU8(address: number, value: number): void {
    this.#view(address, 1).setUint8(0, value);
  }

  writeU16(address: number, value: number): void {
    this.#view(address, 2).setUint16(0, value, true);
  }

  writeU32(address: number, value: number): void {
    this.#view(address, 4).setUint32(0, value, true);
  }

  writeU64(address: number, value: number): void {
    this.#view(address, 8).setBigInt64(0, BigInt(value), true);
  }

  writeU64Pair(address: number, lo: number, hi: number): void {
    this.writeU32(address, lo);
    this.writeU32(address + 4, hi);
  }

  writeWord(address: number, value: number, wordBytes: 8 | 4): void {
    if (wordBytes === 8) this.writeU64(address, value);
    else this.writeU32(address, value);
  }
}

/** One thread of one process on a kernel that has nothing else. */
export class FakeTask {
  readonly tid = 100;
  readonly memory: FakeMemory = new FakeMemory();
  readonly credentials: Task["credentials"] = {
    ruid: 0,
    euid: 0,
    suid: 0,
    fsuid: 0,
    rgid: 0,
    egid: 0,
    sgid: 0,
    fsgid: 0,
    groups: [],
  };
  files: FileTable = new FileTable();
  filesystem: FilesystemContext;
  name = "fake";
  readonly state = "running";
  readonly signalMask: SignalSet = new SignalSet();
  readonly signalArrived: WaitQueue = new WaitQueue();
  readonly signals: SignalInfo[] = [];
  /** Monotonic nanoseconds. */
  nowNs = 0;
  timers: { deadlineNs: number; callback: () => void }[] = [];
  readonly kernel: Kernel;
  readonly process: Process;

  constructor(filesystem: GuestFilesystem, pageCache: PageCache, files?: FileTable) {
    if (files !== undefined) this.files = files;
    const root = filesystem.mounts.root.root;
    this.filesystem = new FilesystemContext(root, root, 0o022);
    const processes = new Map<number, Process>();
    const kernel = {
      clock: { monotonicNs: () => this.nowNs, realtime: () => ({ seconds: 1_700_000_000, nanoseconds: 5 }) },
      filesystem,
      pageCache,
      hostname: "fake",
      bootNs: 0,
      processes,
      tasks: new Map(),
      randomBytes: (into: Uint8Array) => into.fill(7),
      setTimer: (deadlineNs: number, callback: () => void) => {
        const timer = { deadlineNs, callback };
        this.timers.push(timer);
        return { cancel: () => void (this.timers = this.timers.filter((other) => other !== timer)) };
      },
      memoryTotals: () => ({ totalBytes: 1 << 30, freeBytes: 1 << 29, cachedBytes: 0 }),
      loadAverages: () => [0, 0, 0],
    };
    this.kernel = kernel as unknown as Kernel;
    const group = { id: 100, isOrphaned: () => false, sendSignal: () => {} };
    this.process = {
      pid: 100,
      kernel: this.kernel,
      parent: null,
      state: "running",
      tasks: new Map([[100, this]]),
      group,
      session: { id: 100, terminal: null },
      executablePath: "/bin/fake",
      commandLine: [new TextEncoder().encode("fake"), new TextEncoder().encode("arg")],
      environment: [],
      auxiliaryVector: new Uint8Array(0),
      userNs: 0,
      systemNs: 0,
      startNs: 0,
      mappings: () => [],
      memoryUsage: () => ({
        virtualBytes: 0,
        residentBytes: 0,
        peakVirtualBytes: 0,
        peakResidentBytes: 0,
        dataBytes: 0,
        stackBytes: 0,
        textBytes: 0,
        sharedBytes: 0,
      }),
      limit: () => ({ soft: 1024, hard: 4096 }),
      sendSignal: (info: SignalInfo) => void this.signals.push(info),
      ignores: () => false,
    } as unknown as Process;
    processes.set(100, this.process);
  }

  pendingSignals(): SignalSet {
    return SignalSet.of(...this.signals.map((info) => info.signal));
  }

  dequeueSignal(set: SignalSet): SignalInfo | null {
    const index = this.signals.findIndex((info) => set.has(info.signal));
    return index < 0 ? null : this.signals.splice(index, 1)[0];
  }

  sendSignal(info: SignalInfo): void {
    this.signals.push(info);
    this.signalArrived.wakeAll();
  }

  hasDeliverableSignal(): boolean {
    return false;
  }

  setTemporaryMask(): void {}

  block(request: ConstructorParameters<typeof Blocked>[0]): Blocked {
    const { deadlineNs, timeoutNs } = request;
    return new Blocked(request, deadlineNs ?? (timeoutNs === undefined ? Infinity : this.nowNs + timeoutNs));
  }

  isBlockedOn(): string {
    return "";
  }

  asTask(): Task {
    return this;
  }

  /** Calls a handler as the dispatcher would. */
  call(handler: SyscallHandler, ...values: number[]): SyscallResult {
    return runSyscall(() => handler(this.asTask(), fakeArguments(values)));
  }

  /** Moves time and runs what is due. */
  advance(ns: number): void {
    this.nowNs += ns;
    for (const timer of this.timers.filter(({ deadlineNs }) => deadlineNs <= this.nowNs)) {
      this.timers = this.timers.filter((other) => other !== timer);
      timer.callback();
    }
  }
}

export function runSyscall(call: () => SyscallResult): SyscallResult {
  try {
    return call();
  } catch (error) {
    if (error instanceof SyscallError) return -error.errno;
    throw error;
  }
}

/** Arguments of an x86-64 call; a missing one is 0. */
export function fakeArguments(values: readonly number[]): SyscallArguments {
  const at = (index: number): number => values[index] ?? 0;
  return {
    abi: "x86-64",
    wordBytes: 8,
    i32: (index) => at(index) | 0,
    u32: (index) => at(index) >>> 0,
    number: at,
    address: at,
    lo: (index) => at(index) | 0,
    hi: (index) => Math.floor(at(index) / 0x100000000) | 0,
  };
}
