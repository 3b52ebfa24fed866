/**
 * The busybox applets that the tests run, a line each, by what they work on. Every line is a command for busybox's
 * shell in a directory that `appletFiles` filled; the lines of a group run one after the other in one guest.
 */

const lines = (text: string): string[] =>
  text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");

export const appletFiles: Readonly<Record<string, string>> = {
  "fruit.txt": "pear 3\napple 12\nfig 7\napple 2\nbanana 30\n",
  "prose.txt": Array.from(
    { length: 60 },
    (_, n) => `line ${n}\tthe quick brown fox jumps over ${n * n} lazy dogs\n`,
  ).join(""),
  "dos.txt": "one\r\ntwo\r\n",
  "numbers.txt": Array.from({ length: 500 }, (_, n) => `${(n * 7919) % 1009}\n`).join(""),
  "tree/a/b/c.txt": "deep\n",
  "tree/a/x.sh": "#!/bin/sh\necho ran $1\n",
  "old.c": "int main(void)\n{\n  return 0;\n}\n",
  "new.c": "int main(void)\n{\n  int status = 1;\n  return status;\n}\n",
};

export const appletGroups: Readonly<Record<string, readonly string[]>> = {
  text: lines(String.raw`
    cat fruit.txt -
    tac fruit.txt
    rev fruit.txt
    nl prose.txt | head -n 5
    head -c 100 prose.txt
    tail -n 3 prose.txt
    cut -d ' ' -f 2,4-6 prose.txt | head -n 4
    paste -d, fruit.txt fruit.txt
    tr a-z A-Z <fruit.txt
    tr -s lo <prose.txt | tr -d aeiou | head -n 3
    sort fruit.txt
    sort -k2n -u fruit.txt
    sort -rn numbers.txt | uniq -c | head -n 5
    uniq -d numbers.txt | wc -l
    shuf -i 1-1 -n 1
    fold -w 30 -s prose.txt | head -n 6
    expand -t 4 prose.txt | unexpand -a | head -n 3
    sed -n '/1[05]/{s/quick \(.*\) fox/\1 & /;p}' prose.txt
    sed -e '1!G;h;$!d' fruit.txt
    grep -n -E 'apple|fig' fruit.txt
    grep -c -v fox prose.txt
    egrep -o '[0-9]{4,}' prose.txt | head -n 4
    fgrep -w 12 fruit.txt
    awk '{ count[$1] += $2 } END { for (name in count) print name, count[name] | "sort" }' fruit.txt
    awk 'BEGIN { printf "%.6f %s %d\n", atan2(1, 1) * 4, toupper(substr("hello", 2)), 2 ^ 31; x["a"]; print length(x) }'
    strings -n 12 /bin/busybox | head -n 2
    hexdump -C fruit.txt
    od -A d -t x2 fruit.txt
    xxd fruit.txt
    xxd -p fruit.txt | xxd -r -p
    dos2unix <dos.txt | od -c
    unix2dos <fruit.txt | od -c | head -n 2
    wc fruit.txt prose.txt
    yes again | head -n 3
    echo -e 'a\tb\c' ; printf '%5.2f|%-6s|%x\n' 3.14159 ab 255
    ts '%Y' <fruit.txt | cut -c 5-
    more fruit.txt
    printf '2s/pp/PP/p\nw out.ed\nq\n' | ed fruit.txt; cat out.ed
    diff -u old.c new.c
    diff -u old.c new.c >c.patch; cp old.c patched.c; patch patched.c c.patch; cmp patched.c new.c
    cmp old.c new.c
  `),
  files: lines(String.raw`
    ls -F tree
    ls -1R tree
    find tree -type f -name '*.txt' -print -exec cat {} +
    find . -size -1k -type f | sort
    cp -a tree copy; find copy | sort
    mv copy/a copy/z; ls copy
    ln -s fruit.txt sym; readlink sym; readlink -f sym | wc -l
    ln fruit.txt hard; stat -c '%h %s %F %n' hard sym tree
    link hard hard2; unlink hard2
    mkdir -p -m 750 m/n/o; rmdir m/n/o; stat -c %a m/n
    chmod u+x,go-r old.c; stat -c %A old.c
    touch -d '2020-02-03 04:05:06' stamp; date -u -r stamp; ls -l --full-time stamp | cut -c 1-11
    truncate -s 5000 sparse; du -b sparse; wc -c <sparse
    fallocate -l 4096 full; wc -c <full
    dd if=/dev/zero bs=1k count=3 2>/dev/null | md5sum
    dd if=prose.txt bs=10 skip=2 count=2 conv=ucase 2>/dev/null
    mktemp -d tmpXXXXXX | cut -c 1-3; rm -rf tmp*
    mkfifo queue; (cat queue &); echo through >queue; sleep 0.1
    split -l 2 fruit.txt part 2>/dev/null || true; rm -f part*
    basename /a/b.txt .txt; dirname /a/b.txt
    realpath tree/../fruit.txt | grep -c fruit
    test -f fruit.txt && [ -d tree ] && echo both
    df . | wc -l
    chown "$(id -u):$(id -g)" fruit.txt && chgrp "$(id -g)" fruit.txt && echo own
    install -m 600 fruit.txt installed 2>/dev/null || cp fruit.txt installed
    shred -n 1 -u installed; ls installed
    run-parts --test tree/a
    which sh awk
    tree/a/x.sh
    sh tree/a/x.sh one
    sync; fsync fruit.txt 2>/dev/null; echo synced
    cat nowhere
    rm -r tree/nowhere
    mv nowhere else
  `),
  archives: lines(String.raw`
    gzip -c prose.txt | gunzip | cmp - prose.txt && echo same
    gzip -9c prose.txt | zcat | wc -l
    bzip2 -c prose.txt | bunzip2 | cmp - prose.txt && echo same
    bzip2 -c prose.txt | bzcat | tail -n 1
    tar cf t.tar tree fruit.txt; tar tf t.tar
    mkdir out; tar xf t.tar -C out; find out | sort
    tar czf t.tgz tree; tar tzf t.tgz
    find tree | cpio -o -H newc 2>/dev/null | cpio -t 2>/dev/null
    ar -t /nowhere.a
    uuencode fruit.txt x <fruit.txt | uudecode -o - | cmp - fruit.txt && echo same
    base64 <fruit.txt; base64 <fruit.txt | base64 -d
    md5sum fruit.txt; sha1sum fruit.txt; sha256sum fruit.txt; sha512sum fruit.txt; sha3sum fruit.txt
    md5sum fruit.txt prose.txt >sums; md5sum -c sums
    cksum fruit.txt 2>/dev/null || crc32 fruit.txt
    xz -dc /nowhere.xz
    unlzma </dev/null
    dc -e '2 100 ^ p' 2>/dev/null || echo '2 100 ^ p' | dc
  `),
  numbers: lines(String.raw`
    expr 6 '*' 7; expr length hello; expr abc : 'a\(.\)'
    echo 'scale=20; 4*a(1)' | bc -l
    echo '2^200' | bc
    seq 3; seq -s , 1 2 9; seq 1.5 0.5 3
    factor 1234567890 97
    cal 2 2024
    date -u -d @1700000000 '+%Y-%m-%d %H:%M:%S %j'
    date -u -d '2001-09-09 01:46:40' +%s
    printf '%d %o %X %e\n' 255 255 255 12345.678
    echo $((7 % 3 + (1 << 40) - 0x10)) $((5 > 3 ? 1 : 2))
    ipcalc -n -b 192.168.10.77/20
    mkpasswd -m sha256 -S saltsalt secret
    mkpasswd -m md5 -S abcdefgh secret
    sort -g numbers.txt | awk '{ s += $1; q += $1 * $1 } END { print s, q, sqrt(q - s) }'
    hostid | wc -c
  `),
  processes: lines(String.raw`
    true; echo $?; false; echo $?
    env -i A=1 B=2 env
    printenv HOME 2>/dev/null | wc -l
    (exit 7); echo $?
    sh -c 'kill -TERM $$'; echo $?
    timeout 0.2 sleep 5; echo $?
    time -f %x sh -c 'exit 3'
    sleep 0.05 & wait $!; echo waited $?
    nohup echo through 2>/dev/null
    nice -n 5 nice
    xargs -n 2 echo got <fruit.txt
    printf 'a\0b\0' | xargs -0 -n 1 echo item
    seq 5 | tee copy5 | wc -l; cat copy5
    id -u; whoami; groups | wc -w; logname 2>/dev/null | wc -l
    pwd | wc -l; uname -s; uname -m; arch
    nproc | grep -c .
    setsid sh -c 'echo session'
    start-stop-daemon -S -x /bin/nowhere
    getopt ab:c -a -b 5 rest
    ps | grep -c busybox | grep -c .
    pidof nowhere; echo $?
    flock lock echo locked 2>/dev/null || echo locked
    chroot / /bin/busybox echo inside
    for n in 1 2 3; do echo $n; done | while read -r n; do echo "$n$n"; done
    trap 'echo bye' EXIT; echo hi
  `),
};

/** A script that shows each line and what it came to, so that a difference can be told by its command. */
export const appletScript = (commands: readonly string[]): string =>
  commands.map((line) => `echo ${quoted(`$ ${line}`)}\n(\n${line}\n) 2>&1\necho "status $?"\n`).join("");

const quoted = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`;
