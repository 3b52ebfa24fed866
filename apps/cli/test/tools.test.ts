// The tools of a Linux machine, dynamically linked against its own libraries.
import { describe } from "vitest";
import { cases } from "./harness/cases.ts";

/** Data that compresses, in three shapes: repeated text, numbers, and a program of the machine. */
const makeData = `
  seq 1 40000 >numbers
  for n in $(seq 300); do echo "line $((n % 17)) of some text that comes again and again"; done >text
  head -c 200000 /bin/bash >program`;

describe("files and text", () => {
  cases([
    { name: "ls -lR on a tree", command: ["ls", "-lR", "/usr/share/perl5"], needs: ["/usr/share/perl5"] },
    {
      name: "ls in columns, by size and time",
      script: "ls -C /usr/bin; ls -lS --time-style=full-iso /etc/*.conf; ls -la /proc/self/fd/0 | wc -l",
    },
    {
      name: "find",
      script: `find /usr/share/perl5 -name '*.pm' -size +10k -printf '%p %s %m %T@\\n'
        find /etc -maxdepth 1 -type l -printf '%f -> %l\\n'
        find /usr/share/perl5 -type f -print0 | xargs -0 wc -l | tail -n 1
        find tree -depth -name '*.tmp' -delete -print; find tree -perm -u+x -type f -exec echo runs {} \\;`,
      prepare: "mkdir -p tree/a/b; touch tree/1.tmp tree/a/2.tmp tree/a/b/keep; touch tree/x; chmod +x tree/x",
    },
    {
      name: "sort, uniq, join, comm, cut, paste",
      script: `sort -R --random-source=numbers numbers | sort -n | cmp - numbers && echo sorted
        LC_ALL=C sort -S 1M -T . numbers | sha256sum; sort -k3,3n -k2r text | uniq -c | head -n 5
        join <(sort numbers) <(seq 5 9 | sort); comm -12 <(sort numbers | head -n 50) <(seq 10000 10005 | sort)
        paste -sd+ <(head -n 20 numbers) | sed 's/^/echo $((/; s/$/))/' | sh`,
      prepare: makeData,
    },
    {
      name: "sums",
      script:
        "for sum in md5sum sha1sum sha224sum sha256sum sha384sum sha512sum b2sum cksum sum; do $sum program numbers; done",
      prepare: makeData,
    },
    {
      name: "awk",
      script: `for awk in mawk gawk; do
          $awk '{ sum += $1; if ($1 % 7 == 0) list[$1 % 13]++ } END { print sum, NR; for (k in list) print k, list[k] | "sort -n" }' numbers
          $awk 'BEGIN { for (n = 0; n < 20; n++) printf "%.10g %e %s;", sin(n) * exp(n), sqrt(n) / 3, substr("abcdefghij", n, 3); print "" }'
          $awk -F'[ ,]' '{ gsub(/[aeiou]/, "<&>"); n = split($0, word, /o/); print n, toupper(word[1]) }' text | sort | uniq -c
        done`,
      needs: ["mawk", "gawk"],
      prepare: makeData,
    },
    {
      name: "sed and grep",
      script: `sed -n -E '/7{3}/{s/(.)7/[\\1]/g;p}' numbers | head -n 20; sed '1~3d;$!N;s/\\n/+/' text | sort -u | head -n 3
        sed -i.bak -e 's/line/LINE/;5,10d' -e '$a the end' text; tail -n 1 text; wc -l text text.bak
        grep -c -E '^(1|2)[0-9]*5$' numbers; grep -n -m 3 -i -B 1 'LINE 3' text; grep -obUaP '\\x7fELF' program; grep -rl again . | sort`,
      prepare: makeData,
    },
    {
      name: "tar",
      script: `tar cf - -C /usr/share/perl5 . | tar tvf - | sort -k6 | sha256sum
        tar --sort=name --mtime=@0 --owner=0 --group=0 -cJf a.tar.xz tree && tar xJf a.tar.xz -C out && diff -r tree out/tree && tar dJf a.tar.xz
        tar --zstd -cf a.tar.zst tree && tar --zstd -tf a.tar.zst; tar czf - tree | gzip -dc | tar xf - -O tree/numbers | cmp - tree/numbers`,
      prepare: `mkdir tree out; cd tree; ${makeData}; ln -s numbers link; ln numbers hard; mkfifo queue; chmod 6755 text; cd ..; touch -d @1000000000 tree`,
      // gzip and zstd tell nothing of time here, but the archives tell when the tree's entries were made.
      ignoreFiles: /zst$/,
    },
    {
      name: "gzip, bzip2",
      script: `for level in 1 6 9; do gzip -n$level -c program | tee p.gz | sha256sum; gzip -dc p.gz | cmp - program; done; gzip -ln p.gz
        bzip2 -k numbers text; bzip2 -dc numbers.bz2 | cmp - numbers; bzip2 -tv text.bz2; gzip -t text; echo $?`,
      needs: ["bzip2"],
      prepare: makeData,
    },
    {
      name: "xz -T2",
      script:
        "xz -k -T2 --block-size=100KiB -2 program numbers; xz -dc program.xz | cmp - program; xz -dc -T2 numbers.xz | cmp - numbers; xz --robot -l program.xz",
      needs: ["xz"],
      prepare: makeData,
    },
    {
      name: "zstd -T2",
      script:
        "for level in 1 3 12; do zstd -q -T2 -B512K -$level -c program numbers >a.zst; zstd -qdc a.zst | cmp - <(cat program numbers) && wc -c <a.zst; done; zstd -q -19 -T2 text; zstd -tq text.zst",
      needs: ["zstd"],
      prepare: makeData,
    },
    {
      name: "cp, mv, rm, ln, chmod, touch, stat, truncate, dd",
      script: `cp -a tree copy; diff -r tree copy; cp --sparse=always big hole; mv copy moved; rm -r moved/a; rmdir moved/a 2>&1
        stat -c '%n %F %a %h %s %Y' tree tree/* ; ln -s nowhere dangling; cat dangling; stat -L dangling; readlink -f tree/../tree/a
        chmod a-w,u+s tree/x; touch -r tree/x -d '+1 day' later; stat -c '%a %Y' tree/x later; truncate -s 1M big; du --apparent-size -k big
        dd if=big of=small bs=4k skip=3 count=2 conv=notrunc,swab status=none; dd if=/dev/zero of=seek bs=1 seek=5000 count=1 status=none; sync small
        mktemp -u XXXX | wc -c; df --output=target / | tail -n 1; test -ef tree/x && echo no; [ tree/x -nt tree/a ] && echo newer`,
      prepare:
        "mkdir -p tree/a/b; echo x >tree/x; seq 500 >tree/a/b/c; seq 30000 >big; touch -d @1500000000 tree/a/b/c tree/a/b tree/a tree/x tree",
      // A copy made just now.
      ignoreFiles: /^later$/,
    },
    {
      name: "clocks, numbers, names",
      script: `date -u -d @1234567890 +%c; TZ=Asia/Kolkata date -d '2024-03-10 12:00 UTC' '+%F %T %z'; cal 2>/dev/null | wc -c | grep -c .
        numfmt --to=iec 123456789; factor 18446744073709551557; seq -f %.3f 0 0.125 1 | paste -s; printf '%.40g\\n' 0.1; bc -l <<<'scale=50; e(1)' 2>/dev/null
        id -un; uname -sm; nproc --all | wc -l; getconf PAGE_SIZE; locale | head -n 2; tty; echo $?; basename "$(pwd)"; env | sort | cut -d= -f1`,
    },
  ]);
});

describe("perl", () => {
  cases([
    {
      name: "text, sorting, numbers, regular expressions, processes",
      script: `perl -MData::Dumper -e '$Data::Dumper::Sortkeys = 1; print Dumper({ map { $_ => [1 .. $_] } 1 .. 4 })'
        perl -ne '$count{$_ % 97} += $_; END { print join(" ", map { "$_=$count{$_}" } sort { $a <=> $b } keys %count), "\\n" }' numbers
        perl -e 'printf "%.15g %.3e %d %s\\n", atan2(1, 1) * 4, exp(50), 2 ** 53 + 1, 1e21; print 7 <=> 10, " ", "7" cmp "10", " ", 10 % 3, " ", -10 % 3, "\\n"'
        perl -pe 's/(\\w+) of (\\w+)/$2 of \\U$1/g; tr/a-y/b-z/' text | sort -u | head -n 3
        perl -e '$SIG{ALRM} = sub { die "alarm\\n" }; eval { ualarm(1) if 0; alarm 1; select undef, undef, undef, 10 }; print $@; print qx(echo from a child), $? >> 8, "\\n"'
        perl -MList::Util=sum,shuffle -MTime::HiRes=time -MPOSIX=floor -e 'print sum(map { floor(sqrt) } shuffle 1 .. 5000), " ", time > 1e9, "\\n"'
        perl -MMath::BigInt -MDigest::SHA=sha256_hex -MMIME::Base64 -e 'print Math::BigInt->new(3)->bpow(200), "\\n", sha256_hex("abc"), "\\n", encode_base64("x" x 60)'
        perl -e 'open my $f, "<", "nowhere" or warn "no: $!\\n"; $n = 0; sub deep { $n++ < 5000 and &deep } deep; print "$n\\n"; exit 3'`,
      prepare: makeData,
    },
  ]);
});

describe("git", () => {
  cases([
    {
      name: "init, add, commit, merge, log, stash, repack, clone",
      script: "git.sh",
      needs: ["git"],
      env: { GIT_AUTHOR_DATE: "2020-01-01T00:00:00Z", GIT_COMMITTER_DATE: "2020-01-02T00:00:00Z" },
    },
  ]);
});

describe("sqlite3", () => {
  cases([
    {
      name: "50,000 inserts in a file, an index, updates, a dump",
      script: "sqlite.sh",
      args: ["50000"],
      needs: ["sqlite3"],
      // The file's change counter and free pages depend on when checkpoints came.
      ignoreFiles: /^data\.db/,
    },
  ]);
});
