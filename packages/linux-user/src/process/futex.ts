// Futexes (futex(2)): queues of threads by the address of a 32-bit word. A word in a shared mapping is the same for
// all processes, so its key is guest-physical; a word in private memory is named by address space and address.

import { EAGAIN, EDEADLK, EFAULT, EINVAL, EPERM, ESRCH, ETIMEDOUT, SyscallError } from "../kernel/errno.ts";
import type { SyscallResult } from "../kernel/wait.ts";
import { WaitQueue } from "../kernel/wait.ts";
import { ACCESS_READ, TRANSLATION_PAGE_SHIFT } from "../engine-port.ts";
import type { AddressSpace } from "../memory/address-space.ts";
import type { GuestTask } from "./task.ts";

const FUTEX_WAITERS = 0x8000_0000;
const FUTEX_OWNER_DIED = 0x4000_0000;
const FUTEX_TID_MASK = 0x3fff_ffff;
export const BITSET_ANY = -1;

interface FutexWaiter {
  readonly task: GuestTask;
  readonly queue: WaitQueue;
  readonly bitset: number;
  /** A waiter for a priority-inheritance lock owns it when woken. */
  readonly locks: boolean;
  bucket: Bucket;
  woken: boolean;
}

interface Bucket {
  readonly map: Map<number, Bucket>;
  readonly key: number;
  readonly waiters: FutexWaiter[];
}

export class FutexTable {
  readonly #shared: Map<number, Bucket> = new Map();
  readonly #private: WeakMap<AddressSpace, Map<number, Bucket>> = new WeakMap();

  #bucket(task: GuestTask, address: number): Bucket {
    if (address % 4 !== 0) throw new SyscallError(EINVAL);
    const { space } = task.memory;
    const translation = space.translate(address, ACCESS_READ);
    if (translation < 0) throw new SyscallError(EFAULT);
    let map: Map<number, Bucket>;
    let key: number;
    if (space.mappings.find(address)?.shared === true) {
      map = this.#shared;
      key = (translation >> TRANSLATION_PAGE_SHIFT) * 4096 + (address % 4096);
    } else {
      map = this.#private.get(space) ?? new Map<number, Bucket>();
      this.#private.set(space, map);
      key = address;
    }
    let bucket = map.get(key);
    if (bucket === undefined) {
      bucket = { map, key, waiters: [] };
      map.set(key, bucket);
    }
    return bucket;
  }

  #tidy(bucket: Bucket): void {
    if (bucket.waiters.length === 0 && bucket.map.get(bucket.key) === bucket) bucket.map.delete(bucket.key);
  }

  #remove(waiter: FutexWaiter): void {
    const index = waiter.bucket.waiters.indexOf(waiter);
    if (index >= 0) waiter.bucket.waiters.splice(index, 1);
    this.#tidy(waiter.bucket);
  }

  #enqueue(task: GuestTask, bucket: Bucket, bitset: number, locks: boolean): FutexWaiter {
    const waiter: FutexWaiter = { task, queue: new WaitQueue(), bitset, locks, bucket, woken: false };
    bucket.map.set(bucket.key, bucket);
    bucket.waiters.push(waiter);
    return waiter;
  }

  #sleep(waiter: FutexWaiter, deadlineNs: number, onTimeout: () => number): SyscallResult {
    const { task } = waiter;
    const retry = (reason: "woken" | "timeout"): SyscallResult => {
      if (waiter.woken) return 0;
      if (reason === "timeout") {
        this.#remove(waiter);
        return onTimeout();
      }
      return wait();
    };
    const wait = (): SyscallResult =>
      task.block({
        on: [waiter.queue],
        deadlineNs,
        retry,
        interrupt: deadlineNs === Infinity ? "restart" : "eintr",
        onInterrupt: () => {
          if (waiter.woken) return 0;
          this.#remove(waiter);
          return undefined;
        },
      });
    return wait();
  }

  /** FUTEX_WAIT and FUTEX_WAIT_BITSET; the deadline is monotonic ns or Infinity. */
  wait(task: GuestTask, address: number, expected: number, bitset: number, deadlineNs: number): SyscallResult {
    if (bitset === 0) return -EINVAL;
    const bucket = this.#bucket(task, address);
    if (task.memory.readI32(address) !== (expected | 0)) {
      this.#tidy(bucket);
      return -EAGAIN;
    }
    return this.#sleep(this.#enqueue(task, bucket, bitset, false), deadlineNs, () => -ETIMEDOUT);
  }

  #wake(bucket: Bucket, count: number, bitset: number): number {
    let woken = 0;
    for (let index = 0; index < bucket.waiters.length && woken < count;) {
      const waiter = bucket.waiters[index];
      if ((waiter.bitset & bitset) === 0 || waiter.locks) {
        index++;
        continue;
      }
      bucket.waiters.splice(index, 1);
      waiter.woken = true;
      waiter.queue.wakeAll();
      woken++;
    }
    this.#tidy(bucket);
    return woken;
  }

  /** FUTEX_WAKE and FUTEX_WAKE_BITSET: how many were woken. */
  wakeAt(task: GuestTask, address: number, count: number, bitset: number = BITSET_ANY): number {
    return this.#wake(this.#bucket(task, address), count, bitset);
  }

  /** FUTEX_REQUEUE and FUTEX_CMP_REQUEUE (`expected` not null). */
  requeue(
    task: GuestTask,
    from: number,
    to: number,
    wakeCount: number,
    moveCount: number,
    expected: number | null,
  ): number {
    if (wakeCount < 0 || moveCount < 0) return -EINVAL;
    const source = this.#bucket(task, from);
    const target = this.#bucket(task, to);
    if (expected !== null && task.memory.readI32(from) !== (expected | 0)) return -EAGAIN;
    const woken = this.#wake(source, wakeCount, BITSET_ANY);
    let moved = 0;
    const movable = source === target ? 0 : Math.min(moveCount, source.waiters.length);
    while (moved < movable) {
      const waiter = source.waiters.shift()!;
      waiter.bucket = target;
      target.map.set(target.key, target);
      target.waiters.push(waiter);
      moved++;
    }
    this.#tidy(source);
    this.#tidy(target);
    return expected === null ? woken : woken + moved;
  }

  /** FUTEX_WAKE_OP. */
  wakeOperation(
    task: GuestTask,
    address: number,
    count: number,
    count2: number,
    address2: number,
    encoded: number,
  ): number {
    const operation = (encoded >>> 28) & 7;
    const comparison = (encoded >>> 24) & 15;
    let operand = (encoded << 8) >> 20;
    const compared = (encoded << 20) >> 20;
    if (encoded >>> 31 !== 0) operand = 1 << (operand & 31);
    const first = this.#bucket(task, address);
    const second = this.#bucket(task, address2);
    const old = task.memory.readI32(address2);
    const results = [operand, old + operand, old | operand, old & ~operand, old ^ operand];
    if (operation >= results.length) return -EINVAL;
    task.memory.writeU32(address2, results[operation]);
    const holds = [
      old === compared,
      old !== compared,
      old < compared,
      old <= compared,
      old > compared,
      old >= compared,
    ];
    if (comparison >= holds.length) return -EINVAL;
    let woken = this.#wake(first, count, BITSET_ANY);
    if (holds[comparison]) woken += this.#wake(second, count2, BITSET_ANY);
    return woken;
  }

  /** FUTEX_LOCK_PI, or FUTEX_TRYLOCK_PI with `trying`. Locks are handed over in order; nobody's priority changes. */
  lock(task: GuestTask, address: number, deadlineNs: number, trying: boolean): SyscallResult {
    const bucket = this.#bucket(task, address);
    const value = task.memory.readU32(address);
    const owner = value & FUTEX_TID_MASK;
    if (owner === task.tid) return -EDEADLK;
    if (owner === 0) {
      const waiters = bucket.waiters.length > 0 ? FUTEX_WAITERS : 0;
      task.memory.writeU32(address, (task.tid | waiters | (value & FUTEX_OWNER_DIED)) >>> 0);
      this.#tidy(bucket);
      return 0;
    }
    if (trying) return -EAGAIN;
    if (!task.kernel.tasks.has(owner)) return -ESRCH;
    task.memory.writeU32(address, (value | FUTEX_WAITERS) >>> 0);
    return this.#sleep(this.#enqueue(task, bucket, BITSET_ANY, true), deadlineNs, () => -ETIMEDOUT);
  }

  /** FUTEX_UNLOCK_PI: the first waiter becomes the owner. */
  unlock(task: GuestTask, address: number): number {
    const bucket = this.#bucket(task, address);
    if ((task.memory.readU32(address) & FUTEX_TID_MASK) !== task.tid) return -EPERM;
    const next = bucket.waiters.shift();
    const more = bucket.waiters.length > 0 ? FUTEX_WAITERS : 0;
    task.memory.writeU32(address, next === undefined ? 0 : (next.task.tid | more) >>> 0);
    if (next !== undefined) {
      next.woken = true;
      next.queue.wakeAll();
    }
    this.#tidy(bucket);
    return 0;
  }
}
