/** Configuration of the guest: small enough to read as a whole, which is the point of busybox's init. */

interface RootFile {
  readonly path: string;
  readonly text: string;
  readonly mode?: number;
}

/** User and group of redis-server in the guest. */
export const REDIS_ID = 101;

const SCRIPT = 0o755;
const SECRET = 0o600;

export function rootFiles(authorizedKey: string): RootFile[] {
  return [
    { path: "etc/hostname", text: "doppel\n" },
    { path: "etc/hosts", text: "127.0.0.1 localhost\n127.0.1.1 doppel\n" },
    { path: "etc/fstab", text: "/dev/vda / ext4 defaults 0 1\n" },
    { path: "etc/shells", text: "/bin/sh\n" },
    {
      path: "etc/nsswitch.conf",
      text: "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\n",
    },
    {
      path: "etc/passwd",
      text: `root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/usr/bin/nologin
redis:x:${REDIS_ID}:${REDIS_ID}:redis:/var/lib/redis:/usr/bin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/bin/nologin
`,
    },
    {
      path: "etc/group",
      text: `root:x:0:
daemon:x:1:
tty:x:5:
disk:x:6:
mail:x:8:
shadow:x:42:
utmp:x:43:
staff:x:50:
redis:x:${REDIS_ID}:
nogroup:x:65534:
`,
    },
    { path: "etc/shadow", text: "root:*:19000:0:99999:7:::\n", mode: SECRET },
    { path: "root/.ssh/authorized_keys", text: `${authorizedKey}\n`, mode: SECRET },
    { path: "etc/profile", text: "export PATH=/usr/sbin:/usr/bin:/sbin:/bin\nexport PS1='\\u@\\h:\\w\\$ '\n" },
    {
      path: "etc/sysctl.conf",
      text: "# What redis asks for: a fork to save needs no memory of its own.\nvm.overcommit_memory=1\n",
    },
    { path: "etc/inittab", text: INITTAB },
    { path: "etc/guest/start", text: START, mode: SCRIPT },
    { path: "etc/guest/stop", text: STOP, mode: SCRIPT },
    { path: "etc/guest/console", text: CONSOLE, mode: SCRIPT },
    { path: "etc/guest/login", text: LOGIN, mode: SCRIPT },
    { path: "etc/guest/network", text: NETWORK, mode: SCRIPT },
    { path: "etc/guest/lease", text: LEASE, mode: SCRIPT },
    { path: "etc/guest/redis", text: REDIS, mode: SCRIPT },
    { path: "etc/guest/ssh", text: SSH, mode: SCRIPT },
    { path: "etc/redis/guest.conf", text: REDIS_CONFIGURATION },
    { path: "etc/acpi/PWRF/00000080", text: "#!/bin/sh\nexec poweroff\n", mode: SCRIPT },
  ];
}

const INITTAB = `# busybox init. Everything that runs on is a line here, and is started again when it ends.
::sysinit:/etc/guest/start
::respawn:/etc/guest/console
::respawn:/etc/guest/network
::respawn:/etc/guest/redis
::respawn:/etc/guest/ssh
::respawn:/usr/bin/acpid -f -l /dev/null
::ctrlaltdel:/usr/bin/reboot
::shutdown:/etc/guest/stop
`;

const START = `#!/bin/sh
# The initial root file system has mounted /dev, /proc, /sys and /run.
export PATH=/usr/sbin:/usr/bin
for place in "devtmpfs /dev" "proc /proc" "sysfs /sys" "tmpfs /run"; do
  set -- $place
  mountpoint -q $2 2>/dev/null || grep -q " $2 " /proc/mounts || mount -t $1 $1 $2
done
mkdir -p /dev/pts /dev/shm /run/redis
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -o remount,rw /
chown redis:redis /run/redis
ln -snf /proc/self/fd /dev/fd
hostname -F /etc/hostname
sysctl -q -p /etc/sysctl.conf
ifconfig lo up
modprobe -a button evdev 2>/dev/null
echo "doppel-guest: services start"
`;

const STOP = `#!/bin/sh
# Everybody is asked to end, and redis gets the time to save what it has.
kill -TERM -1
tries=100
while pidof redis-server >/dev/null && [ $tries -gt 0 ]; do
  sleep 0.1
  tries=$((tries - 1))
done
sync
# What cannot be unmounted, the root above all, becomes read-only.
umount -a -r 2>/dev/null
`;

const CONSOLE = `#!/bin/sh
# A root shell where the kernel's messages go: whoever holds the console holds the machine.
for name in $(cat /sys/class/tty/console/active); do tty=$name; done
exec getty -n -l /etc/guest/login 115200 "$tty" vt100
`;

const LOGIN = `#!/bin/sh
cd /root
HOME=/root exec /bin/sh -l
`;

const NETWORK = `#!/bin/sh
# Without a network card there is nothing to do, for ever.
[ -e /sys/class/net/eth0 ] || exec sleep 2147483647
ifconfig eth0 up
exec udhcpc -f -i eth0 -s /etc/guest/lease -t 5 -A 3
`;

const LEASE = `#!/bin/sh
# What udhcpc calls with what the DHCP server said.
case $1 in
  deconfig)
    ifconfig "$interface" 0.0.0.0
    ;;
  bound | renew)
    ifconfig "$interface" "$ip" netmask "$subnet" \${broadcast:+broadcast "$broadcast"}
    route del default dev "$interface" 2>/dev/null
    for each in $router; do route add default gw "$each" dev "$interface"; done
    for each in $dns; do echo "nameserver $each"; done >/run/resolv.conf
    [ "$1" = bound ] && echo "doppel-guest: $interface has $ip"
    ;;
esac
exit 0
`;

const REDIS = `#!/bin/sh
exec start-stop-daemon -S -c redis:redis -x /usr/bin/redis-server -- /etc/redis/guest.conf
`;

const REDIS_CONFIGURATION = `# Debian's settings, but in the foreground, and for the guest's network, which is a private one.
include /etc/redis/redis.conf
daemonize no
supervised no
bind 0.0.0.0
protected-mode no
`;

const SSH = `#!/bin/sh
# Keys only. The server makes its own on its first connection.
exec dropbear -F -R -s
`;
