// The tables of process groups and sessions.

import { EPERM, ESRCH } from "../kernel/errno.ts";
import { SI_KERNEL, SIGCONT, SIGHUP } from "../kernel/signal-info.ts";
import type { GuestProcess } from "./process.ts";
import { JobGroup, ProcessSession } from "./session.ts";

export class GroupTable {
  readonly groups: Map<number, JobGroup> = new Map();
  readonly sessions: Map<number, ProcessSession> = new Map();

  /** A new session and group led by the process; the caller puts it into the group. */
  createSession(leader: GuestProcess): JobGroup {
    const session = new ProcessSession(leader);
    this.sessions.set(session.id, session);
    return this.#createGroup(leader.pid, session);
  }

  #createGroup(id: number, session: ProcessSession): JobGroup {
    const group = new JobGroup(id, session);
    this.groups.set(id, group);
    session.groups.add(group);
    return group;
  }

  leave(process: GuestProcess): void {
    const { group } = process;
    group.members.delete(process);
    if (group.members.size > 0) return;
    this.groups.delete(group.id);
    group.session.groups.delete(group);
    if (group.session.groups.size === 0) this.sessions.delete(group.session.id);
  }

  /** setsid(2): the session's id, or -EPERM for a group leader. */
  startSession(process: GuestProcess): number {
    if (this.groups.has(process.pid)) return -EPERM;
    this.leave(process);
    process.group = this.createSession(process);
    process.group.members.add(process);
    return process.pid;
  }

  /** setpgid(2) after the target was found: 0 or -EPERM. */
  join(process: GuestProcess, id: number): number {
    if (process.session.leader === process) return -EPERM;
    if (process.group.id === id) return 0;
    let group = this.groups.get(id);
    if (group === undefined) {
      if (id !== process.pid) return -EPERM;
      group = this.#createGroup(id, process.session);
    } else if (group.session !== process.session) {
      return -EPERM;
    }
    this.leave(process);
    process.group = group;
    group.members.add(process);
    return 0;
  }

  /** Groups that a process's end leaves orphaned with stopped members get SIGHUP and SIGCONT (exit(3p)). */
  notifyOrphans(process: GuestProcess): void {
    const affected = new Set<JobGroup>([process.group]);
    for (const child of process.children) affected.add(child.group);
    for (const group of affected) {
      if (group.session !== process.session || !group.hasStoppedMember() || !group.isOrphaned()) continue;
      group.sendSignal({ signal: SIGHUP, code: SI_KERNEL });
      group.sendSignal({ signal: SIGCONT, code: SI_KERNEL });
    }
  }

  /** The group that kill(2) means by a negative pid, or -ESRCH. */
  find(id: number): JobGroup | number {
    return this.groups.get(id) ?? -ESRCH;
  }
}
