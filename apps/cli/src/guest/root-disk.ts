/**
 * The guest's root file system: unpacked packages, and around them what their maintainer scripts and an installer would
 * have made: users, merged /usr, configuration, an init.
 */
import type { DebianKernel } from "./kernel.ts";
import type { DebianPackage, DebianPackages } from "./debian-packages.ts";
import { FileTree } from "./file-tree.ts";
import { REDIS_ID, rootFiles } from "./root-files.ts";
import { unpackTar } from "./tar.ts";

/** What the guest is for. */
export const ROOT_PACKAGES: readonly string[] = [
  "base-files",
  "busybox-static",
  "dropbear-bin",
  "netbase",
  "python3",
  "redis-server",
  "redis-tools",
  "sqlite3",
  "stress-ng",
];

/** Dependencies for the sake of installing alone: their maintainer scripts do not run here, and busybox has the commands. */
const FOR_INSTALLATION =
  /^(adduser|coreutils|debconf|dpkg|init-system-helpers|lsb-base|mawk|passwd|perl.*|libperl.*|lib.*-perl|sysvinit-utils|tar|usrmerge)$/;

/** Documentation, and what package tools keep of packages. */
const UNWANTED =
  /^(usr\/share\/(doc|doc-base|info|lintian|locale|man|bug|bash-completion)\/.|etc\/(apt|cron|init\.d|systemd)|(usr\/)?lib\/systemd)/;

const MERGED_DIRECTORIES = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];

export function wantedPackages(closure: readonly DebianPackage[]): DebianPackage[] {
  return closure.filter(({ name }) => !FOR_INSTALLATION.test(name));
}

export async function debianRoot(
  packages: DebianPackages,
  contents: readonly DebianPackage[],
  kernel: DebianKernel,
  authorizedKey: string,
  progress: (percent: number, what: string) => void,
): Promise<FileTree> {
  const tree = new FileTree();
  for (const directory of MERGED_DIRECTORIES) {
    tree.directory(`usr/${directory}`);
    tree.link(directory, `usr/${directory}`);
  }
  for (const [index, each] of contents.entries()) {
    progress((index / contents.length) * 100, each.name);
    unpackTar(await packages.contents(each), tree, (path) => !UNWANTED.test(path));
  }
  for (const [path, node] of kernel.modules.entries()) tree.set(path, node);
  linkApplets(tree);
  for (const { path, text, mode = 0o644 } of rootFiles(authorizedKey)) tree.file(path, text, mode);
  // Called by these paths: by the kernel, and out of habit.
  for (const name of ["init", "modprobe", "halt", "poweroff", "reboot"])
    tree.link(`usr/sbin/${name}`, "../bin/busybox");
  tree.link("etc/resolv.conf", "../run/resolv.conf");
  for (const directory of ["dev", "proc", "sys", "run", "var/log", "etc/dropbear"]) tree.directory(directory);
  tree.directory("root", 0o700);
  tree.directory("root/.ssh", 0o700);
  tree.directory("tmp", 0o1777);
  tree.directory("var/tmp", 0o1777);
  giveToRedis(tree);
  return tree;
}

/** As redis-server's maintainer script does. */
function giveToRedis(tree: FileTree): void {
  for (const directory of ["var/lib/redis", "var/log/redis"]) tree.directory(directory, 0o750);
  for (const [path, node] of tree.entries()) {
    if (/^(etc|var\/lib|var\/log)\/redis(\/|$)/.test(path)) tree.set(path, { ...node, uid: REDIS_ID, gid: REDIS_ID });
  }
}

/** A link for every applet that no package brings as a program of its own. */
function linkApplets(tree: FileTree): void {
  const busybox = tree.read("usr/bin/busybox");
  if (busybox === undefined) return;
  const taken = new Set(
    tree
      .entries()
      .filter(([path]) => /^usr\/s?bin\/[^/]+$/.test(path))
      .map(([path]) => path.slice(path.lastIndexOf("/") + 1)),
  );
  for (const name of appletNames(busybox)) if (!taken.has(name)) tree.link(`usr/bin/${name}`, "busybox");
}

/**
 * The names that a busybox binary answers to: it has them in order, each ended by a zero byte, from "[" on. To ask it
 * (`busybox --list`) the host would have to be able to run it.
 */
export function appletNames(binary: Uint8Array): string[] {
  const text = Buffer.from(binary.buffer, binary.byteOffset, binary.byteLength).toString("latin1");
  const start = text.indexOf("\0[\0[[\0");
  if (start < 0) return [];
  const names: string[] = [];
  for (let offset = start + 1; ;) {
    const end = text.indexOf("\0", offset);
    const name = text.slice(offset, end);
    const last = names.at(-1);
    if (!/^[\w[.+-]+$/.test(name) || (last !== undefined && name <= last)) return names;
    names.push(name);
    offset = end + 1;
  }
}
