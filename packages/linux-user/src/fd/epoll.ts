/**
 * epoll(7). Each registration is an observer on its file's queues; a wake only puts it on the ready list, and
 * epoll_wait asks the file what is true. Level triggered registrations stay on the list while they are ready, edge
 * triggered ones leave it until the next wake.
 */
import { EEXIST, EINVAL, ELOOP, ENOENT, EPERM } from "../kernel/errno.ts";
import type { Task } from "../kernel/task.ts";
import type { WaitQueue } from "../kernel/wait.ts";
import { anonymousInode } from "../vfs/anonymous.ts";
import { O_RDWR } from "../vfs/constants.ts";
import { OpenFile, POLLERR, POLLHUP, POLLIN, POLLRDNORM } from "./open-file.ts";

export const EPOLLEXCLUSIVE: number = 1 << 28;
export const EPOLLWAKEUP: number = 1 << 29;
export const EPOLLONESHOT: number = 1 << 30;
/** Bit 31, as the signed number that bit operations give. */
export const EPOLLET: number = 1 << 31;

/** Conditions that are reported whether asked for or not. */
const ALWAYS = POLLERR | POLLHUP;
const CONDITIONS = 0x3fff;
/** How deep epoll instances may watch each other (epoll_ctl(2), ELOOP). */
const MAX_NESTING = 5;

export interface EpollEvent {
  readonly events: number;
  readonly dataLo: number;
  readonly dataHi: number;
}

class Registration {
  readonly file: OpenFile;
  readonly fd: number;
  readonly task: Task;
  readonly #epoll: EpollFile;
  readonly #queues: readonly WaitQueue[];
  event: EpollEvent;
  /** Cleared by EPOLLONESHOT after a report. */
  armed = true;

  constructor(epoll: EpollFile, file: OpenFile, fd: number, event: EpollEvent, task: Task) {
    this.#epoll = epoll;
    this.file = file;
    this.fd = fd;
    this.event = event;
    this.task = task;
    this.#queues = file.queues(task);
    for (const queue of this.#queues) queue.add(this);
  }

  wake(): void {
    this.#epoll.noteReady(this);
  }

  conditions(): number {
    if (!this.armed) return 0;
    return this.file.poll(this.task) & ((this.event.events & CONDITIONS) | ALWAYS);
  }

  detach(): void {
    for (const queue of this.#queues) queue.remove(this);
    this.file.closeHooks.delete(this);
  }
}

export class EpollFile extends OpenFile {
  /** By descriptor, then by description: a descriptor may be closed and used again while a dup keeps the first open. */
  readonly #registrations: Map<number, Registration[]> = new Map();
  readonly #ready: Set<Registration> = new Set();

  constructor() {
    super(O_RDWR);
    this.inode = anonymousInode(0o600);
    this.name = "anon_inode:[eventpoll]";
  }

  protected override closed(): void {
    for (const list of this.#registrations.values()) for (const registration of list) registration.detach();
    this.#registrations.clear();
    this.#ready.clear();
  }

  noteReady(registration: Registration): void {
    this.#ready.add(registration);
    this.queue.wakeAll();
  }

  #find(fd: number, file: OpenFile): Registration | undefined {
    return this.#registrations.get(fd)?.find((registration) => registration.file === file);
  }

  add(fd: number, file: OpenFile, event: EpollEvent, task: Task): number {
    if (file === this) return -EINVAL;
    // Regular files and directories are always ready: the kernel refuses them.
    if (file.seekable) return -EPERM;
    if (file instanceof EpollFile && (file.watches(this) || file.#depth() >= MAX_NESTING)) return -ELOOP;
    if (this.#find(fd, file) !== undefined) return -EEXIST;
    const registration = new Registration(this, file, fd, event, task);
    const list = this.#registrations.get(fd);
    if (list === undefined) this.#registrations.set(fd, [registration]);
    else list.push(registration);
    file.closeHooks.set(registration, () => this.#remove(registration));
    if (registration.conditions() !== 0) this.noteReady(registration);
    return 0;
  }

  modify(fd: number, file: OpenFile, event: EpollEvent): number {
    const registration = this.#find(fd, file);
    if (registration === undefined) return -ENOENT;
    if (((registration.event.events | event.events) & EPOLLEXCLUSIVE) !== 0) return -EINVAL;
    registration.event = event;
    registration.armed = true;
    if (registration.conditions() !== 0) this.noteReady(registration);
    return 0;
  }

  delete(fd: number, file: OpenFile): number {
    const registration = this.#find(fd, file);
    if (registration === undefined) return -ENOENT;
    this.#remove(registration);
    return 0;
  }

  #remove(registration: Registration): void {
    registration.detach();
    this.#ready.delete(registration);
    const list = this.#registrations.get(registration.fd);
    if (list === undefined) return;
    list.splice(list.indexOf(registration), 1);
    if (list.length === 0) this.#registrations.delete(registration.fd);
  }

  /** Whether `other` is reachable from here. */
  watches(other: EpollFile): boolean {
    return this.#children().some((child) => child === other || child.watches(other));
  }

  #children(): EpollFile[] {
    const files = [...this.#registrations.values()].flat().map((registration) => registration.file);
    return files.filter((file) => file instanceof EpollFile);
  }

  #depth(): number {
    return 1 + Math.max(0, ...this.#children().map((child) => child.#depth()));
  }

  /** At most `limit` events that are true now. */
  collect(limit: number): EpollEvent[] {
    const events: EpollEvent[] = [];
    // What is reported and stays ready goes to the end, so that a small `limit` starves nobody.
    const again: Registration[] = [];
    for (const registration of this.#ready) {
      if (events.length >= limit) break;
      this.#ready.delete(registration);
      const conditions = registration.conditions();
      if (conditions === 0) continue;
      const { event } = registration;
      events.push({ ...event, events: conditions });
      if ((event.events & EPOLLONESHOT) !== 0) registration.armed = false;
      else if ((event.events & EPOLLET) === 0) again.push(registration);
    }
    for (const registration of again) this.#ready.add(registration);
    return events;
  }

  override poll(): number {
    for (const registration of this.#ready) {
      if (registration.conditions() !== 0) return POLLIN | POLLRDNORM;
    }
    return 0;
  }

  override describeDetails(): string {
    let text = "";
    for (const { fd, event } of [...this.#registrations.values()].flat()) {
      const events = (event.events >>> 0).toString(16);
      text += `tfd: ${String(fd).padStart(8)} events: ${events.padStart(8)} data: ${dataOf(event)}\n`;
    }
    return text;
  }
}

function dataOf({ dataLo, dataHi }: EpollEvent): string {
  return ((BigInt(dataHi >>> 0) << 32n) | BigInt(dataLo >>> 0)).toString(16).padStart(16);
}
