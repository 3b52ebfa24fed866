// Who a process is: ids, credentials, groups, sessions (credentials(7), setuid(2)).

import { EACCES, EINVAL, EPERM, ESRCH } from "../kernel/errno.ts";
import type { SyscallDefinition } from "../kernel/syscall.ts";
import type { Credentials } from "../kernel/task.ts";
import type { GuestTask } from "../process/task.ts";
import type { CoreHandler } from "./row.ts";
import { partial, row } from "./row.ts";

/** -1: keep. */
const KEEP = 0xffff_ffff;
const MAXIMUM_GROUPS = 65_536;

/** Credentials belong to a thread; libc changes those of all threads itself (nptl(7), setxid). */
function apply(task: GuestTask, change: (credentials: Credentials) => void): number {
  change(task.credentials);
  return 0;
}

function privileged(task: GuestTask): boolean {
  return task.credentials.euid === 0;
}

const sysSetuid: CoreHandler = (task, args) => {
  const uid = args.u32(0);
  const { credentials: c } = task;
  if (uid === KEEP) return -EINVAL;
  if (!privileged(task) && uid !== c.ruid && uid !== c.suid) return -EPERM;
  const all = privileged(task);
  return apply(task, (target) => {
    if (all) target.ruid = target.suid = uid;
    target.euid = target.fsuid = uid;
  });
};

const sysSetgid: CoreHandler = (task, args) => {
  const gid = args.u32(0);
  const { credentials: c } = task;
  if (gid === KEEP) return -EINVAL;
  if (!privileged(task) && gid !== c.rgid && gid !== c.sgid) return -EPERM;
  const all = privileged(task);
  return apply(task, (target) => {
    if (all) target.rgid = target.sgid = gid;
    target.egid = target.fsgid = gid;
  });
};

const sysSetresuid: CoreHandler = (task, args) => {
  const wanted = [args.u32(0), args.u32(1), args.u32(2)];
  const { credentials: c } = task;
  const allowed = [c.ruid, c.euid, c.suid, KEEP];
  if (!privileged(task) && !wanted.every((id) => allowed.includes(id))) return -EPERM;
  return apply(task, (target) => {
    if (wanted[0] !== KEEP) target.ruid = wanted[0]!;
    if (wanted[1] !== KEEP) target.euid = target.fsuid = wanted[1]!;
    if (wanted[2] !== KEEP) target.suid = wanted[2]!;
  });
};

const sysSetresgid: CoreHandler = (task, args) => {
  const wanted = [args.u32(0), args.u32(1), args.u32(2)];
  const { credentials: c } = task;
  const allowed = [c.rgid, c.egid, c.sgid, KEEP];
  if (!privileged(task) && !wanted.every((id) => allowed.includes(id))) return -EPERM;
  return apply(task, (target) => {
    if (wanted[0] !== KEEP) target.rgid = wanted[0]!;
    if (wanted[1] !== KEEP) target.egid = target.fsgid = wanted[1]!;
    if (wanted[2] !== KEEP) target.sgid = wanted[2]!;
  });
};

const sysSetreuid: CoreHandler = (task, args) => {
  const [real, effective] = [args.u32(0), args.u32(1)];
  const { credentials: c } = task;
  if (!privileged(task)) {
    if (real !== KEEP && real !== c.ruid && real !== c.euid) return -EPERM;
    if (effective !== KEEP && ![c.ruid, c.euid, c.suid].includes(effective)) return -EPERM;
  }
  const oldReal = c.ruid;
  return apply(task, (target) => {
    if (real !== KEEP) target.ruid = real;
    if (effective !== KEEP) target.euid = effective;
    if (real !== KEEP || (effective !== KEEP && effective !== oldReal)) target.suid = target.euid;
    target.fsuid = target.euid;
  });
};

const sysSetregid: CoreHandler = (task, args) => {
  const [real, effective] = [args.u32(0), args.u32(1)];
  const { credentials: c } = task;
  if (!privileged(task)) {
    if (real !== KEEP && real !== c.rgid && real !== c.egid) return -EPERM;
    if (effective !== KEEP && ![c.rgid, c.egid, c.sgid].includes(effective)) return -EPERM;
  }
  const oldReal = c.rgid;
  return apply(task, (target) => {
    if (real !== KEEP) target.rgid = real;
    if (effective !== KEEP) target.egid = effective;
    if (real !== KEEP || (effective !== KEEP && effective !== oldReal)) target.sgid = target.egid;
    target.fsgid = target.egid;
  });
};

/** setfsuid(2) and setfsgid(2) return the old value, changed or not. */
const sysSetfsuid: CoreHandler = (task, args) => {
  const { credentials: c } = task;
  const old = c.fsuid;
  const uid = args.u32(0);
  if (privileged(task) || [c.ruid, c.euid, c.suid, c.fsuid].includes(uid)) if (uid !== KEEP) c.fsuid = uid;
  return old;
};

const sysSetfsgid: CoreHandler = (task, args) => {
  const { credentials: c } = task;
  const old = c.fsgid;
  const gid = args.u32(0);
  if (privileged(task) || [c.rgid, c.egid, c.sgid, c.fsgid].includes(gid)) if (gid !== KEEP) c.fsgid = gid;
  return old;
};

const sysGetresuid: CoreHandler = (task, args) => {
  const { ruid, euid, suid } = task.credentials;
  [ruid, euid, suid].forEach((id, index) => task.memory.writeU32(args.address(index), id));
  return 0;
};

const sysGetresgid: CoreHandler = (task, args) => {
  const { rgid, egid, sgid } = task.credentials;
  [rgid, egid, sgid].forEach((id, index) => task.memory.writeU32(args.address(index), id));
  return 0;
};

/** Ids of 16 bits are i386's old calls. */
function getgroups(idBytes: 2 | 4): CoreHandler {
  return (task, args) => {
    const { groups } = task.credentials;
    const size = args.i32(0);
    if (size < 0) return -EINVAL;
    if (size === 0) return groups.length;
    if (size < groups.length) return -EINVAL;
    groups.forEach((id, index) => {
      if (idBytes === 4) task.memory.writeU32(args.address(1) + index * 4, id);
      else task.memory.writeU16(args.address(1) + index * 2, id);
    });
    return groups.length;
  };
}

function setgroups(idBytes: 2 | 4): CoreHandler {
  return (task, args) => {
    if (!privileged(task)) return -EPERM;
    const count = args.u32(0);
    if (count > MAXIMUM_GROUPS) return -EINVAL;
    const groups: number[] = [];
    for (let index = 0; index < count; index++) {
      const at = args.address(1) + index * idBytes;
      groups.push(idBytes === 4 ? task.memory.readU32(at) : task.memory.readU16(at));
    }
    task.credentials.groups = groups;
    return 0;
  };
}

const sysSetpgid: CoreHandler = (task, args) => {
  const caller = task.process;
  const pid = args.i32(0) === 0 ? caller.pid : args.i32(0);
  const id = args.i32(1) === 0 ? pid : args.i32(1);
  if (id < 0) return -EINVAL;
  const target = task.kernel.processes.get(pid);
  if (target === undefined || (target !== caller && target.parent !== caller)) return -ESRCH;
  if (target !== caller) {
    if (target.session !== caller.session) return -EPERM;
    if (target.hasExecuted) return -EACCES;
  }
  return task.kernel.groups.join(target, id);
};

const sysGetpgid: CoreHandler = (task, args) => {
  const pid = args.i32(0);
  const target = pid === 0 ? task.process : task.kernel.processes.get(pid);
  return target === undefined ? -ESRCH : target.group.id;
};

const sysGetsid: CoreHandler = (task, args) => {
  const pid = args.i32(0);
  const target = pid === 0 ? task.process : task.kernel.processes.get(pid);
  return target === undefined ? -ESRCH : target.session.id;
};

const CAPABILITY_VERSION_1 = 0x1998_0330;
const CAPABILITY_VERSION_3 = 0x2008_0522;
/** CAP_LAST_CAP is 40. */
const ALL_CAPABILITIES: readonly [number, number] = [0xffff_ffff, 0x1ff];

/** capget(2): root has all, others none. */
const sysCapget: CoreHandler = (task, args) => {
  const header = args.address(0);
  const version = task.memory.readU32(header);
  const pid = task.memory.readI32(header + 4);
  if (version !== CAPABILITY_VERSION_1 && version !== 0x2007_1026 && version !== CAPABILITY_VERSION_3) {
    task.memory.writeU32(header, CAPABILITY_VERSION_3);
    return args.address(1) === 0 ? 0 : -EINVAL;
  }
  const target = pid === 0 ? task : task.kernel.tasks.get(pid);
  if (target === undefined) return -ESRCH;
  if (args.address(1) === 0) return 0;
  const sets = target.credentials.euid === 0 ? ALL_CAPABILITIES : [0, 0];
  const words = version === CAPABILITY_VERSION_1 ? 1 : 2;
  for (let word = 0; word < words; word++) {
    const at = args.address(1) + word * 12;
    task.memory.writeU32(at, sets[word]);
    task.memory.writeU32(at + 4, sets[word]);
    task.memory.writeU32(at + 8, 0);
  }
  return 0;
};

const sysCapset: CoreHandler = (task, args) => {
  const version = task.memory.readU32(args.address(0));
  if (version !== CAPABILITY_VERSION_1 && version !== 0x2007_1026 && version !== CAPABILITY_VERSION_3) return -EINVAL;
  if (privileged(task)) return 0;
  return task.memory.readU32(args.address(1)) === 0 ? 0 : -EPERM;
};

const getuid: CoreHandler = (task) => task.credentials.ruid;
const geteuid: CoreHandler = (task) => task.credentials.euid;
const getgid: CoreHandler = (task) => task.credentials.rgid;
const getegid: CoreHandler = (task) => task.credentials.egid;

export const identitySyscalls: readonly SyscallDefinition[] = [
  row("getpid", 39, 20, (task) => task.process.pid),
  row("getppid", 110, 64, (task) => task.process.parent?.pid ?? (task.process.pid === 1 ? 0 : 1)),
  row("getuid", 102, 24, getuid),
  row("geteuid", 107, 49, geteuid),
  row("getgid", 104, 47, getgid),
  row("getegid", 108, 50, getegid),
  row("getuid32", -1, 199, getuid),
  row("geteuid32", -1, 201, geteuid),
  row("getgid32", -1, 200, getgid),
  row("getegid32", -1, 202, getegid),
  row("setuid", 105, 23, sysSetuid, "int"),
  row("setgid", 106, 46, sysSetgid, "int"),
  row("setuid32", -1, 213, sysSetuid, "int"),
  row("setgid32", -1, 214, sysSetgid, "int"),
  row("setreuid", 113, 70, sysSetreuid, "int int"),
  row("setregid", 114, 71, sysSetregid, "int int"),
  row("setreuid32", -1, 203, sysSetreuid, "int int"),
  row("setregid32", -1, 204, sysSetregid, "int int"),
  row("setresuid", 117, 164, sysSetresuid, "int int int"),
  row("setresgid", 119, 170, sysSetresgid, "int int int"),
  row("setresuid32", -1, 208, sysSetresuid, "int int int"),
  row("setresgid32", -1, 210, sysSetresgid, "int int int"),
  row("getresuid", 118, 165, sysGetresuid, "pointer pointer pointer"),
  row("getresgid", 120, 171, sysGetresgid, "pointer pointer pointer"),
  row("getresuid32", -1, 209, sysGetresuid, "pointer pointer pointer"),
  row("getresgid32", -1, 211, sysGetresgid, "pointer pointer pointer"),
  row("setfsuid", 122, 138, sysSetfsuid, "int"),
  row("setfsgid", 123, 139, sysSetfsgid, "int"),
  row("setfsuid32", -1, 215, sysSetfsuid, "int"),
  row("setfsgid32", -1, 216, sysSetfsgid, "int"),
  row("getgroups", 115, 80, getgroups(4), "int pointer", { handler32: getgroups(2) }),
  row("getgroups32", -1, 205, getgroups(4), "int pointer"),
  row("setgroups", 116, 81, setgroups(4), "int pointer", { handler32: setgroups(2) }),
  row("setgroups32", -1, 206, setgroups(4), "int pointer"),
  row("setpgid", 109, 57, sysSetpgid, "int int"),
  row("getpgid", 121, 132, sysGetpgid, "int"),
  row("getpgrp", 111, 65, (task) => task.process.group.id),
  row("setsid", 112, 66, (task) => task.kernel.groups.startSession(task.process)),
  row("getsid", 124, 147, sysGetsid, "int"),
  row("capget", 125, 184, sysCapget, "pointer pointer", partial("root has every capability, other users none")),
  row("capset", 126, 185, sysCapset, "pointer pointer", partial("accepted and ignored for root")),
];
