/** One contract for every file system that can be written to, through the system calls; and the path walk's promise. */
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import * as fc from "fast-check";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { EBADF, EEXIST, EINVAL, EISDIR, ELOOP, ENOENT, ENOTDIR, ENOTEMPTY, EROFS, errnoName } from "../kernel/errno.ts";
import { fileSyscalls } from "../fd/syscalls.ts";
import { LoopbackNetwork } from "../net/loopback.ts";
import { NodeFilesystem } from "../node/filesystem.ts";
import { assembleFilesystem } from "./assemble.ts";
import { fromText } from "./byte-string.ts";
import {
  AT_FDCWD,
  O_APPEND,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
} from "./constants.ts";
import { FakePageCache, FakeTask } from "./testing/fake-task.ts";
import { HostInode } from "./host-filesystem.ts";
import { walk } from "./walk.ts";

const handlers = new Map(fileSyscalls.map((row) => [row.name, row.handler]));
const clock = { realtimeNs: () => 1_700_000_000_000_000_005n, monotonicNs: () => process.hrtime.bigint() };
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "doppel-vfs-"));
afterAll(() => fs.rmSync(scratch, { recursive: true, force: true }));

class Guest {
  readonly task: FakeTask;

  constructor(root: string | undefined, mounts: Parameters<typeof assembleFilesystem>[0]["mounts"] = []) {
    const cache = new FakePageCache();
    const assembled = assembleFilesystem({
      host: new NodeFilesystem(),
      clock,
      root,
      mounts,
      network: new LoopbackNetwork(setImmediate),
    });
    this.task = new FakeTask(assembled.filesystem, cache);
    assembled.connect(this.task.kernel);
  }

  /** Strings become addresses of C strings. */
  call(name: string, ...values: (number | string)[]): number {
    let at = 0x80000;
    const numbers = values.map((value) => {
      if (typeof value === "number") return value;
      const address = at;
      this.task.memory.writeBytes(address, new TextEncoder().encode(`${value}\0`));
      at += 4200;
      return address;
    });
    const result = this.task.call(handlers.get(name)!, ...numbers);
    if (typeof result !== "number") throw new Error(`${name} blocks`);
    return result;
  }

  open(file: string, flags: number, mode = 0o644): number {
    return this.call("open", file, flags, mode);
  }

  write(fd: number, text: string): number {
    this.task.memory.writeBytes(0x2000, new TextEncoder().encode(text));
    return this.call("write", fd, 0x2000, text.length);
  }

  read(fd: number, count = 100): string {
    const got = this.call("read", fd, 0x3000, count);
    return got < 0 ? errnoName(-got) : new TextDecoder().decode(this.task.memory.readBytes(0x3000, got));
  }

  put(file: string, text: string): void {
    const fd = this.open(file, O_CREAT | O_WRONLY | O_TRUNC);
    if (this.write(fd, text) !== text.length) throw new Error(`${file} was written short`);
    this.call("close", fd);
  }

  get(file: string): string {
    const fd = this.open(file, O_RDONLY);
    if (fd < 0) return errnoName(-fd);
    const text = this.read(fd, 4000);
    this.call("close", fd);
    return text;
  }

  names(directory: string): string[] {
    const fd = this.open(directory, O_RDONLY | O_DIRECTORY);
    const names: string[] = [];
    for (;;) {
      const got = this.call("getdents64", fd, 0x10000, 4096);
      if (got <= 0) break;
      for (let at = 0x10000; at < 0x10000 + got; at += this.task.memory.readU16(at + 16)) {
        names.push(this.task.memory.readCString(at + 19));
      }
    }
    this.call("close", fd);
    return names.toSorted();
  }

  stat(file: string): { mode: number; size: number; nlink: number } | string {
    const result = this.call("lstat", file, 0x4000);
    if (result < 0) return errnoName(-result);
    const { memory } = this.task;
    return { mode: memory.readU32(0x4018), size: memory.readU64(0x4030), nlink: memory.readU64(0x4010) };
  }
}

let count = 0;
const drivers = {
  "a host directory": () => {
    const root = path.join(scratch, `root-${count++}`);
    fs.mkdirSync(root);
    return new Guest(root);
  },
  tmpfs: () => new Guest(undefined),
};

describe.each(Object.entries(drivers))("files on %s", (_name, make) => {
  let guest: Guest;
  beforeEach(() => {
    guest = make();
  });

  it("creates, writes, reads and seeks", () => {
    const fd = guest.open("/f", O_CREAT | O_RDWR | O_EXCL, 0o666);
    expect(fd).toBe(0);
    expect(guest.write(fd, "hello world")).toBe(11);
    expect(guest.call("lseek", fd, 6, 0)).toBe(6);
    expect(guest.read(fd)).toBe("world");
    expect(guest.read(fd)).toBe("");
    expect(guest.call("pread64", fd, 0x3000, 5, 0)).toBe(5);
    expect(guest.call("lseek", fd, -1, 0)).toBe(-EINVAL);
    expect(guest.call("lseek", fd, 0, 2)).toBe(11);
    expect(guest.stat("/f")).toMatchObject({ mode: 0o100644, size: 11, nlink: 1 });
    expect(guest.open("/f", O_CREAT | O_EXCL | O_WRONLY)).toBe(-EEXIST);
    expect(guest.call("close", fd)).toBe(0);
    expect(guest.call("close", fd)).toBe(-EBADF);
  });

  it("appends, truncates and leaves holes of zeros", () => {
    guest.put("/f", "abc");
    const fd = guest.open("/f", O_WRONLY | O_APPEND);
    guest.write(fd, "def");
    expect(guest.get("/f")).toBe("abcdef");
    expect(guest.call("ftruncate", fd, 2)).toBe(0);
    expect(guest.call("truncate", "/f", 4)).toBe(0);
    expect(guest.get("/f")).toBe("ab\0\0");
    expect(guest.call("pwrite64", guest.open("/f", O_RDWR), 0x3000, 0, 9)).toBe(0);
    guest.put("/f", "new");
    expect(guest.get("/f")).toBe("new");
  });

  it("keeps the mode that the creator gave, without the umask's bits, and lets the creator write", () => {
    const fd = guest.open("/secret", O_CREAT | O_WRONLY, 0o400);
    expect(guest.write(fd, "x")).toBe(1);
    expect(guest.stat("/secret")).toMatchObject({ mode: 0o100400 });
    expect(guest.call("umask", 0o077)).toBe(0o022);
    guest.call("close", guest.open("/private", O_CREAT | O_WRONLY, 0o666));
    expect(guest.stat("/private")).toMatchObject({ mode: 0o100600 });
    expect(guest.call("chmod", "/private", 0o640)).toBe(0);
    expect(guest.stat("/private")).toMatchObject({ mode: 0o100640 });
  });

  it("makes, lists and removes directories", () => {
    expect(guest.call("mkdir", "/d", 0o755)).toBe(0);
    expect(guest.call("mkdir", "/d", 0o755)).toBe(-EEXIST);
    guest.put("/d/a", "1");
    guest.put("/d/b", "2");
    expect(guest.names("/d")).toEqual([".", "..", "a", "b"]);
    expect(guest.call("rmdir", "/d")).toBe(-ENOTEMPTY);
    expect(guest.call("unlink", "/d")).toBe(-EISDIR);
    expect(guest.call("unlink", "/d/a")).toBe(0);
    expect(guest.call("unlink", "/d/b")).toBe(0);
    expect(guest.call("rmdir", "/d")).toBe(0);
    expect(guest.stat("/d")).toBe("ENOENT");
    expect(guest.names("/")).toEqual(expect.arrayContaining(["dev", "proc", "sys"]));
  });

  it("follows a directory through its rename", () => {
    guest.call("mkdir", "/d", 0o755);
    guest.put("/d/f", "inside");
    const fd = guest.open("/d", O_RDONLY | O_DIRECTORY);
    expect(guest.call("chdir", "/d")).toBe(0);
    expect(guest.call("rename", "/d", "/e")).toBe(0);
    expect(guest.get("f")).toBe("inside");
    const size = guest.call("getcwd", 0x3000, 100);
    expect(guest.task.memory.readCString(0x3000)).toBe("/e");
    expect(size).toBe(3);
    expect(guest.call("openat", fd, "f", O_RDONLY)).toBeGreaterThanOrEqual(0);
    guest.call("mkdir", "/e/sub", 0o755);
    expect(guest.call("rename", "/e", "/e/sub/loop")).toBe(-EINVAL);
  });

  it("renames over files and refuses directories over files", () => {
    guest.put("/a", "a");
    guest.put("/b", "b");
    expect(guest.call("rename", "/a", "/b")).toBe(0);
    expect(guest.get("/b")).toBe("a");
    guest.call("mkdir", "/d", 0o755);
    expect(guest.call("rename", "/d", "/b")).toBe(-ENOTDIR);
    expect(guest.call("rename", "/b", "/d")).toBe(-EISDIR);
    guest.put("/a", "again");
    expect(guest.call("renameat2", AT_FDCWD, "/a", AT_FDCWD, "/b", 1)).toBe(-EEXIST);
    expect(guest.call("renameat2", AT_FDCWD, "/a", AT_FDCWD, "/b", 2)).toBe(0);
    expect([guest.get("/a"), guest.get("/b")]).toEqual(["a", "again"]);
  });

  it("resolves links against the guest's root", () => {
    guest.put("/target", "here");
    guest.call("symlink", "/target", "/absolute");
    guest.call("mkdir", "/d", 0o755);
    guest.call("symlink", "../../../target", "/d/relative");
    guest.call("symlink", "loop", "/loop");
    expect(guest.get("/absolute")).toBe("here");
    expect(guest.get("/d/relative")).toBe("here");
    expect(guest.get("/loop")).toBe("ELOOP");
    expect(guest.open("/absolute", O_RDONLY | O_NOFOLLOW)).toBe(-ELOOP);
    expect(guest.call("readlink", "/d/relative", 0x3000, 100)).toBe(15);
    expect(guest.get("/target/x")).toBe("ENOTDIR");
    expect(guest.get("/target/")).toBe("ENOTDIR");
    expect(guest.get("/d/../target")).toBe("here");
    expect(guest.open("/absolute", O_CREAT | O_EXCL | O_WRONLY)).toBe(-EEXIST);
    guest.call("symlink", "made", "/dangling");
    guest.put("/dangling", "through");
    expect(guest.get("/made")).toBe("through");
  });

  it("links, and keeps an unlinked file alive while it is open", () => {
    guest.put("/f", "data");
    expect(guest.call("link", "/f", "/g")).toBe(0);
    expect(guest.stat("/g")).toMatchObject({ nlink: 2 });
    const fd = guest.open("/f", O_RDONLY);
    guest.call("unlink", "/f");
    guest.call("unlink", "/g");
    expect(guest.read(fd)).toBe("data");
    expect(guest.stat("/f")).toBe("ENOENT");
  });

  it("keeps names that are not UTF-8", () => {
    const { memory } = guest.task;
    memory.writeBytes(0x5000, new Uint8Array([0x2f, 0xff, 0xfe, 0x80, 0]));
    const fd = guest.call("open", 0x5000, O_CREAT | O_WRONLY, 0o644);
    expect(fd).toBeGreaterThanOrEqual(0);
    expect(guest.call("access", 0x5000, 0)).toBe(0);
    expect(guest.call("unlink", 0x5000)).toBe(0);
    guest.put("/grüße", "umlaut");
    expect(guest.get("/grüße")).toBe("umlaut");
  });

  it("sets times", () => {
    guest.put("/f", "");
    const { memory } = guest.task;
    for (const [index, value] of [1_000_000_000, 500, 1_100_000_000, 0].entries())
      memory.writeU64(0x5000 + index * 8, value);
    expect(guest.call("utimensat", AT_FDCWD, "/f", 0x5000, 0)).toBe(0);
    guest.stat("/f");
    expect(memory.readU64(0x4000 + 72)).toBe(1_000_000_000);
    expect(memory.readU64(0x4000 + 88)).toBe(1_100_000_000);
  });

  it("duplicates descriptors and shares their offset", () => {
    guest.put("/f", "abcdef");
    const fd = guest.open("/f", O_RDONLY);
    const copy = guest.call("dup", fd);
    expect(guest.read(fd, 3)).toBe("abc");
    expect(guest.read(copy, 3)).toBe("def");
    expect(guest.call("dup2", fd, 50)).toBe(50);
    expect(guest.call("fcntl", fd, 1030, 60)).toBe(60);
    expect(guest.call("fcntl", 60, 1)).toBe(1);
    guest.task.files.closeOnExec();
    expect(guest.call("fcntl", 60, 1)).toBe(-EBADF);
    expect(guest.call("close_range", 3, 100, 0)).toBe(0);
    expect(guest.call("fcntl", 50, 1)).toBe(-EBADF);
  });
});

describe("the guest's tree", () => {
  it("has /proc, /dev and mounts, and refuses to write to a read-only mount", () => {
    const shared = path.join(scratch, "shared");
    fs.mkdirSync(shared);
    fs.writeFileSync(path.join(shared, "file"), "from the host");
    const guest = new Guest(undefined, [{ host: shared, guest: "/deep/er/mnt", readOnly: true }]);
    expect(guest.get("/deep/er/mnt/file")).toBe("from the host");
    expect(guest.open("/deep/er/mnt/new", O_CREAT | O_WRONLY)).toBe(-EROFS);
    expect(guest.call("unlink", "/deep/er/mnt/file")).toBe(-EROFS);
    expect(guest.get("/deep/er/mnt/../../../dev/null")).toBe("");
    expect(guest.get("/proc/self/cmdline")).toBe("fake\0arg\0");
    expect(guest.get("/proc/100/comm")).toBe("fake\n");
    expect(guest.get("/proc/sys/kernel/ostype")).toBe("Linux\n");
    expect(guest.get("/proc/mounts")).toContain("/dev/shm tmpfs");
    expect(guest.names("/dev")).toEqual(expect.arrayContaining(["full", "null", "shm", "urandom", "zero"]));
    const fd = guest.open("/dev/zero", O_RDONLY);
    expect(guest.read(fd, 3)).toBe("\0\0\0");
    expect(guest.get(`/proc/self/fd/${fd}/../../comm`)).toBe("ENOTDIR");
    expect(guest.call("readlink", `/proc/self/fd/${fd}`, 0x3000, 100)).toBe(9);
    expect(guest.call("access", "/nowhere/x", 0)).toBe(-ENOENT);
    expect(guest.open("/proc/self/comm/", O_RDONLY)).toBe(-ENOTDIR);
  });

  it("opens a file again through /proc/self/fd", () => {
    const guest = new Guest(undefined);
    guest.put("/f", "contents");
    const fd = guest.open("/f", O_RDONLY);
    expect(guest.get(`/proc/self/fd/${fd}`)).toBe("contents");
    expect(guest.get(`/dev/fd/${fd}`)).toBe("contents");
  });

  it("never leaves its root, whatever the path and the links", () => {
    const outside = path.join(scratch, "jail");
    const root = path.join(outside, "root");
    fs.mkdirSync(path.join(root, "a", "b"), { recursive: true });
    fs.writeFileSync(path.join(outside, "secret"), "secret");
    const links: Record<string, string> = {
      up: "..",
      far: "../../../../../..",
      abs: "/",
      "a/out": "../../..",
      "a/b/abs": "/a/../../..",
      "a/self": ".",
    };
    for (const [name, target] of Object.entries(links)) fs.symlinkSync(target, path.join(root, name));
    fs.symlinkSync(path.join(outside, "secret"), path.join(root, "secret-link"));
    const guest = new Guest(root);
    const context = guest.task.filesystem;
    const component = fc.constantFrom(
      "..",
      ".",
      "a",
      "b",
      "up",
      "far",
      "abs",
      "out",
      "self",
      "secret",
      "secret-link",
      "etc",
      "",
    );
    fc.assert(
      fc.property(fc.array(component, { maxLength: 12 }), fc.boolean(), (parts, absolute) => {
        const walked = walk(context, (absolute ? "/" : "") + parts.join("/"), {
          start: context.root,
          caller: guest.task.asTask(),
          follow: true,
        });
        if (typeof walked === "number" || !(walked.inode instanceof HostInode)) return true;
        const real = fs.realpathSync(walked.inode.hostPath());
        return real === root || real.startsWith(`${root}/`);
      }),
      { numRuns: 3000 },
    );
    expect(guest.get("/secret-link")).toBe("ENOENT");
  });

  it("locks records between owners", () => {
    const guest = new Guest(undefined);
    guest.put("/f", "0123456789");
    const fd = guest.open("/f", O_RDWR);
    const { memory } = guest.task;
    const lock = (type: number, start: number, length: number): void => {
      memory.writeU64(0x6000, 0);
      memory.writeU16(0x6000, type);
      memory.writeU64(0x6008, start);
      memory.writeU64(0x6010, length);
      memory.writeU32(0x6018, 0);
    };
    lock(1, 0, 5);
    expect(guest.call("fcntl", fd, 6, 0x6000)).toBe(0);
    const mine = guest.task.files;
    guest.task.files = mine.clone();
    lock(0, 3, 4);
    expect(guest.call("fcntl", fd, 6, 0x6000)).toBe(-11);
    expect(guest.call("fcntl", fd, 5, 0x6000)).toBe(0);
    expect(memory.readU64(0x6008)).toBe(0);
    expect(memory.readU32(0x6018)).toBe(100);
    mine.close(fd);
    lock(0, 3, 4);
    expect(guest.call("fcntl", fd, 6, 0x6000)).toBe(0);
  });

  it("resolves byte strings", () => {
    expect(fromText("ü")).toBe("\u00c3\u00bc");
  });
});
