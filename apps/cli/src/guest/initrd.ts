/** The initial root file system: loads what the machine needs, mounts the root disk and goes on there, or gives a shell. */
import { writeCpio } from "./cpio.ts";
import { FileTree } from "./file-tree.ts";
import type { DebianKernel } from "./kernel.ts";

const CONSOLE = { major: 5, minor: 1, mode: 0o600 } as const;
const NULL = { major: 1, minor: 3, mode: 0o666 } as const;

/** @param busybox statically linked, so that it needs nothing else */
export function debianInitrd(kernel: DebianKernel, busybox: Uint8Array): Uint8Array {
  const tree = new FileTree();
  for (const directory of ["bin", "dev", "proc", "root", "run", "sys", "usr"]) tree.directory(directory);
  // The kernel opens it before /init runs and could mount anything there.
  tree.characterDevice("dev/console", CONSOLE.major, CONSOLE.minor, CONSOLE.mode);
  tree.characterDevice("dev/null", NULL.major, NULL.minor, NULL.mode);
  tree.file("bin/busybox", busybox, 0o755);
  for (const name of ["sh", "modprobe"]) tree.link(`bin/${name}`, "busybox");
  // Where the kernel itself looks for modprobe.
  tree.link("sbin", "bin");
  tree.link("lib", "usr/lib");
  for (const [path, node] of kernel.modules.entries()) tree.set(path, node);
  tree.file("init", INIT, 0o755);
  return writeCpio(tree);
}

const INIT = `#!/bin/sh
# Parameters: root=DEVICE (default: the first virtio disk), rootflags=, ro, rw, init=; "rescue" gives a shell here.
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
/bin/busybox mount -t devtmpfs devtmpfs /dev
# From here on every command is an applet.
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs -o mode=755 run /run

root= mode=rw flags= init=/sbin/init rescue=
for word in $(cat /proc/cmdline); do
  case $word in
    root=*) root=\${word#root=} ;;
    rootflags=*) flags=\${word#rootflags=} ;;
    init=*) init=\${word#init=} ;;
    ro | rw) mode=$word ;;
    rescue) rescue=1 ;;
  esac
done

shell() {
  echo "doppel-initrd: $1; this is a shell in the initial root file system, its end powers the machine off"
  tty=console
  for name in $(cat /sys/class/tty/console/active); do tty=$name; done
  setsid sh -c "cd /root; exec sh -l <>/dev/$tty >&0 2>&1"
  poweroff -f
}

# The transport first, then the drivers of the devices found on it.
modprobe -a virtio_pci virtio_mmio ext4 2>/dev/null
for device in /sys/bus/virtio/devices/*/modalias; do
  [ -e "$device" ] && modprobe "$(cat "$device")" 2>/dev/null
done
echo "doppel-initrd: $(uname -r), devices:$(for d in /sys/bus/virtio/devices/*; do
  [ -e $d/driver ] && echo -n " $(basename $(readlink $d/driver))"; done)"

[ -n "$rescue" ] && shell "asked for"
if [ -z "$root" ]; then
  [ -b /dev/vda ] || shell "there is no root disk"
  root=/dev/vda
fi
case $root in
  UUID=* | LABEL=*) root=$(findfs "$root") ;;
esac
tries=50
while [ ! -b "$root" ] && [ $tries -gt 0 ]; do
  sleep 0.1
  tries=$((tries - 1))
done
[ -b "$root" ] || shell "there is no disk $root"
mkdir /new
mount -o "$mode\${flags:+,$flags}" "$root" /new || shell "$root cannot be mounted"
[ -x "/new$init" ] || [ -L "/new$init" ] || shell "$root has no $init"
for directory in dev proc sys run; do
  mount --move /$directory /new/$directory || shell "$root has no /$directory"
done
exec switch_root /new "$init"
`;
