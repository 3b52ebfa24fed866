// Sessions and process groups (setsid(2), setpgid(2), credentials(7)).

import type { ControllingTerminal, ProcessGroup, Session } from "../kernel/task.ts";
import type { SignalInfo } from "../kernel/signal-info.ts";
import type { GuestProcess } from "./process.ts";

export class ProcessSession implements Session {
  readonly id: number;
  readonly leader: GuestProcess;
  terminal: ControllingTerminal | null = null;
  readonly groups: Set<JobGroup> = new Set();

  constructor(leader: GuestProcess) {
    this.id = leader.pid;
    this.leader = leader;
  }
}

export class JobGroup implements ProcessGroup {
  readonly id: number;
  readonly session: ProcessSession;
  readonly members: Set<GuestProcess> = new Set();

  constructor(id: number, session: ProcessSession) {
    this.id = id;
    this.session = session;
  }

  sendSignal(info: SignalInfo): void {
    for (const member of [...this.members]) member.sendSignal(info);
  }

  isOrphaned(): boolean {
    for (const member of this.members) {
      const { parent } = member;
      if (member.isZombie || parent === null) continue;
      if (parent.group !== this && parent.session === this.session) return false;
    }
    return true;
  }

  hasStoppedMember(): boolean {
    for (const member of this.members) if (member.stopped) return true;
    return false;
  }
}
