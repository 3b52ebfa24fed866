// Integer instructions of the base instruction set. Columns and letters: ./legend.ts
import type { Table } from "./legend.ts";

export const integer: Table = `
add      | 00 /r        | Eb Gb    | w=oszapc          |    | lock
add      | 01 /r        | Ev Gv    | w=oszapc          |    | lock
add      | 02 /r        | Gb Eb    | w=oszapc
add      | 03 /r        | Gv Ev    | w=oszapc
add      | 04           | AL Ib    | w=oszapc
add      | 05           | rAX Iz   | w=oszapc
push     | 06           | ES       |                   |    | i64
pop      | 07           | ES       |                   |    | i64
or       | 08 /r        | Eb Gb    | w=szp 0=oc u=a    |    | lock
or       | 09 /r        | Ev Gv    | w=szp 0=oc u=a    |    | lock
or       | 0A /r        | Gb Eb    | w=szp 0=oc u=a
or       | 0B /r        | Gv Ev    | w=szp 0=oc u=a
or       | 0C           | AL Ib    | w=szp 0=oc u=a
or       | 0D           | rAX Iz   | w=szp 0=oc u=a
push     | 0E           | CS       |                   |    | i64
adc      | 10 /r        | Eb Gb    | r=c w=oszapc      |    | lock
adc      | 11 /r        | Ev Gv    | r=c w=oszapc      |    | lock
adc      | 12 /r        | Gb Eb    | r=c w=oszapc
adc      | 13 /r        | Gv Ev    | r=c w=oszapc
adc      | 14           | AL Ib    | r=c w=oszapc
adc      | 15           | rAX Iz   | r=c w=oszapc
push     | 16           | SS       |                   |    | i64
pop      | 17           | SS       |                   |    | i64
sbb      | 18 /r        | Eb Gb    | r=c w=oszapc      |    | lock
sbb      | 19 /r        | Ev Gv    | r=c w=oszapc      |    | lock
sbb      | 1A /r        | Gb Eb    | r=c w=oszapc
sbb      | 1B /r        | Gv Ev    | r=c w=oszapc
sbb      | 1C           | AL Ib    | r=c w=oszapc
sbb      | 1D           | rAX Iz   | r=c w=oszapc
push     | 1E           | DS       |                   |    | i64
pop      | 1F           | DS       |                   |    | i64
and      | 20 /r        | Eb Gb    | w=szp 0=oc u=a    |    | lock
and      | 21 /r        | Ev Gv    | w=szp 0=oc u=a    |    | lock
and      | 22 /r        | Gb Eb    | w=szp 0=oc u=a
and      | 23 /r        | Gv Ev    | w=szp 0=oc u=a
and      | 24           | AL Ib    | w=szp 0=oc u=a
and      | 25           | rAX Iz   | w=szp 0=oc u=a
daa      | 27           |          | r=ac w=szapc u=o  |    | i64
sub      | 28 /r        | Eb Gb    | w=oszapc          |    | lock
sub      | 29 /r        | Ev Gv    | w=oszapc          |    | lock
sub      | 2A /r        | Gb Eb    | w=oszapc
sub      | 2B /r        | Gv Ev    | w=oszapc
sub      | 2C           | AL Ib    | w=oszapc
sub      | 2D           | rAX Iz   | w=oszapc
das      | 2F           |          | r=ac w=szapc u=o  |    | i64
xor      | 30 /r        | Eb Gb    | w=szp 0=oc u=a    |    | lock
xor      | 31 /r        | Ev Gv    | w=szp 0=oc u=a    |    | lock
xor      | 32 /r        | Gb Eb    | w=szp 0=oc u=a
xor      | 33 /r        | Gv Ev    | w=szp 0=oc u=a
xor      | 34           | AL Ib    | w=szp 0=oc u=a
xor      | 35           | rAX Iz   | w=szp 0=oc u=a
aaa      | 37           |          | r=a w=ac u=oszp   |    | i64
cmp      | 38 /r        | Eb Gb    | w=oszapc
cmp      | 39 /r        | Ev Gv    | w=oszapc
cmp      | 3A /r        | Gb Eb    | w=oszapc
cmp      | 3B /r        | Gv Ev    | w=oszapc
cmp      | 3C           | AL Ib    | w=oszapc
cmp      | 3D           | rAX Iz   | w=oszapc
aas      | 3F           |          | r=a w=ac u=oszp   |    | i64
inc      | 40+r         | Zv       | w=oszap           |    | i64
dec      | 48+r         | Zv       | w=oszap           |    | i64
push     | 50+r         | Zv       |                   |    | d64
pop      | 58+r         | Zv       |                   |    | d64
pusha    | 60           |          |                   |    | i64
popa     | 61           |          |                   |    | i64
bound    | 62 /r        | Gv Ma    |                   |    | i64
arpl     | 63 /r        | Ew Gw    | w=z               |    | i64
movsxd   | 63 /r        | Gv Ez    |                   |    | o64
push     | 68           | Iz       |                   |    | d64
imul     | 69 /r        | Gv Ev Iz | w=oc u=szap
push     | 6A           | Is       |                   |    | d64
imul     | 6B /r        | Gv Ev Is | w=oc u=szap
add      | 80 /0        | Eb Ib    | w=oszapc          |    | lock
or       | 80 /1        | Eb Ib    | w=szp 0=oc u=a    |    | lock
adc      | 80 /2        | Eb Ib    | r=c w=oszapc      |    | lock
sbb      | 80 /3        | Eb Ib    | r=c w=oszapc      |    | lock
and      | 80 /4        | Eb Ib    | w=szp 0=oc u=a    |    | lock
sub      | 80 /5        | Eb Ib    | w=oszapc          |    | lock
xor      | 80 /6        | Eb Ib    | w=szp 0=oc u=a    |    | lock
cmp      | 80 /7        | Eb Ib    | w=oszapc
add      | 81 /0        | Ev Iz    | w=oszapc          |    | lock
or       | 81 /1        | Ev Iz    | w=szp 0=oc u=a    |    | lock
adc      | 81 /2        | Ev Iz    | r=c w=oszapc      |    | lock
sbb      | 81 /3        | Ev Iz    | r=c w=oszapc      |    | lock
and      | 81 /4        | Ev Iz    | w=szp 0=oc u=a    |    | lock
sub      | 81 /5        | Ev Iz    | w=oszapc          |    | lock
xor      | 81 /6        | Ev Iz    | w=szp 0=oc u=a    |    | lock
cmp      | 81 /7        | Ev Iz    | w=oszapc
add      | 82 /0        | Eb Ib    | w=oszapc          |    | lock i64 alias
or       | 82 /1        | Eb Ib    | w=szp 0=oc u=a    |    | lock i64 alias
adc      | 82 /2        | Eb Ib    | r=c w=oszapc      |    | lock i64 alias
sbb      | 82 /3        | Eb Ib    | r=c w=oszapc      |    | lock i64 alias
and      | 82 /4        | Eb Ib    | w=szp 0=oc u=a    |    | lock i64 alias
sub      | 82 /5        | Eb Ib    | w=oszapc          |    | lock i64 alias
xor      | 82 /6        | Eb Ib    | w=szp 0=oc u=a    |    | lock i64 alias
cmp      | 82 /7        | Eb Ib    | w=oszapc          |    | i64 alias
add      | 83 /0        | Ev Is    | w=oszapc          |    | lock
or       | 83 /1        | Ev Is    | w=szp 0=oc u=a    |    | lock
adc      | 83 /2        | Ev Is    | r=c w=oszapc      |    | lock
sbb      | 83 /3        | Ev Is    | r=c w=oszapc      |    | lock
and      | 83 /4        | Ev Is    | w=szp 0=oc u=a    |    | lock
sub      | 83 /5        | Ev Is    | w=oszapc          |    | lock
xor      | 83 /6        | Ev Is    | w=szp 0=oc u=a    |    | lock
cmp      | 83 /7        | Ev Is    | w=oszapc
test     | 84 /r        | Eb Gb    | w=szp 0=oc u=a
test     | 85 /r        | Ev Gv    | w=szp 0=oc u=a
xchg     | 86 /r        | Eb Gb    |                   |    | lock
xchg     | 87 /r        | Ev Gv    |                   |    | lock
mov      | 88 /r        | Eb Gb
mov      | 89 /r        | Ev Gv
mov      | 8A /r        | Gb Eb
mov      | 8B /r        | Gv Ev
mov      | 8C /r        | Rv/Mw Sw
lea      | 8D /r        | Gv M_
mov      | 8E /r        | Sw Ew    |                   |    | word seg
pop      | 8F /0        | Ev       |                   |    | d64
pause    | F3 B0 90     |
xchg     | 90+r         | Zv rAX   |                   |    | rest
nop      | NF3 B0 90    |
cbw      | 98           |          |                   |    | osz16
cwde     | 98           |          |                   |    | osz32
cdqe     | 98           |          |                   |    | osz64
cwd      | 99           |          |                   |    | osz16
cdq      | 99           |          |                   |    | osz32
cqo      | 99           |          |                   |    | osz64
pushf    | 9C           |          | r=oszapcdi        |    | d64 osz16
pushf    | 9C           |          | r=*               |    | d64 osz32 osz64
popf     | 9D           |          | w=oszapcdi        |    | d64 osz16
popf     | 9D           |          | w=*               |    | d64 osz32 osz64
sahf     | 9E           |          | w=szapc           | lahf
lahf     | 9F           |          | r=szapc           | lahf
mov      | A0           | AL Ob
mov      | A1           | rAX Ov
mov      | A2           | Ob AL
mov      | A3           | Ov rAX
test     | A8           | AL Ib    | w=szp 0=oc u=a
test     | A9           | rAX Iz   | w=szp 0=oc u=a
mov      | B0+r         | Zb Ib
mov      | B8+r         | Zv Iv
rol      | C0 /0        | Eb Ib    | w=c u=o ?
ror      | C0 /1        | Eb Ib    | w=c u=o ?
rcl      | C0 /2        | Eb Ib    | r=c w=c u=o ?
rcr      | C0 /3        | Eb Ib    | r=c w=c u=o ?
shl      | C0 /4        | Eb Ib    | w=szpc u=oa ?
shr      | C0 /5        | Eb Ib    | w=szpc u=oa ?
shl      | C0 /6        | Eb Ib    | w=szpc u=oa ?     |    | alias
sar      | C0 /7        | Eb Ib    | w=szpc u=oa ?
rol      | C1 /0        | Ev Ib    | w=c u=o ?
ror      | C1 /1        | Ev Ib    | w=c u=o ?
rcl      | C1 /2        | Ev Ib    | r=c w=c u=o ?
rcr      | C1 /3        | Ev Ib    | r=c w=c u=o ?
shl      | C1 /4        | Ev Ib    | w=szpc u=oa ?
shr      | C1 /5        | Ev Ib    | w=szpc u=oa ?
shl      | C1 /6        | Ev Ib    | w=szpc u=oa ?     |    | alias
sar      | C1 /7        | Ev Ib    | w=szpc u=oa ?
les      | C4 /r        | Gz Mp    |                   |    | i64
lds      | C5 /r        | Gz Mp    |                   |    | i64
mov      | C6 /0        | Eb Ib
mov      | C7 /0        | Ev Iz
enter    | C8           | Iw Kb    |                   |    | d64
leave    | C9           |          |                   |    | d64
rol      | D0 /0        | Eb 1     | w=oc
ror      | D0 /1        | Eb 1     | w=oc
rcl      | D0 /2        | Eb 1     | r=c w=oc
rcr      | D0 /3        | Eb 1     | r=c w=oc
shl      | D0 /4        | Eb 1     | w=oszpc u=a
shr      | D0 /5        | Eb 1     | w=oszpc u=a
shl      | D0 /6        | Eb 1     | w=oszpc u=a       |    | alias
sar      | D0 /7        | Eb 1     | w=oszpc u=a
rol      | D1 /0        | Ev 1     | w=oc
ror      | D1 /1        | Ev 1     | w=oc
rcl      | D1 /2        | Ev 1     | r=c w=oc
rcr      | D1 /3        | Ev 1     | r=c w=oc
shl      | D1 /4        | Ev 1     | w=oszpc u=a
shr      | D1 /5        | Ev 1     | w=oszpc u=a
shl      | D1 /6        | Ev 1     | w=oszpc u=a       |    | alias
sar      | D1 /7        | Ev 1     | w=oszpc u=a
rol      | D2 /0        | Eb CL    | w=c u=o ?
ror      | D2 /1        | Eb CL    | w=c u=o ?
rcl      | D2 /2        | Eb CL    | r=c w=c u=o ?
rcr      | D2 /3        | Eb CL    | r=c w=c u=o ?
shl      | D2 /4        | Eb CL    | w=szpc u=oa ?
shr      | D2 /5        | Eb CL    | w=szpc u=oa ?
shl      | D2 /6        | Eb CL    | w=szpc u=oa ?     |    | alias
sar      | D2 /7        | Eb CL    | w=szpc u=oa ?
rol      | D3 /0        | Ev CL    | w=c u=o ?
ror      | D3 /1        | Ev CL    | w=c u=o ?
rcl      | D3 /2        | Ev CL    | r=c w=c u=o ?
rcr      | D3 /3        | Ev CL    | r=c w=c u=o ?
shl      | D3 /4        | Ev CL    | w=szpc u=oa ?
shr      | D3 /5        | Ev CL    | w=szpc u=oa ?
shl      | D3 /6        | Ev CL    | w=szpc u=oa ?     |    | alias
sar      | D3 /7        | Ev CL    | w=szpc u=oa ?
aam      | D4           | Ib       | w=szp u=oac       |    | i64 byte
aad      | D5           | Ib       | w=szp u=oac       |    | i64 byte
salc     | D6           |          | r=c               |    | i64 byte
xlat     | D7           |          |                   |    | byte
cmc      | F5           |          | r=c w=c
test     | F6 /0        | Eb Ib    | w=szp 0=oc u=a
test     | F6 /1        | Eb Ib    | w=szp 0=oc u=a    |    | alias
not      | F6 /2        | Eb       |                   |    | lock
neg      | F6 /3        | Eb       | w=oszapc          |    | lock
mul      | F6 /4        | Eb       | w=oc u=szap
imul     | F6 /5        | Eb       | w=oc u=szap
div      | F6 /6        | Eb       | u=oszapc
idiv     | F6 /7        | Eb       | u=oszapc
test     | F7 /0        | Ev Iz    | w=szp 0=oc u=a
test     | F7 /1        | Ev Iz    | w=szp 0=oc u=a    |    | alias
not      | F7 /2        | Ev       |                   |    | lock
neg      | F7 /3        | Ev       | w=oszapc          |    | lock
mul      | F7 /4        | Ev       | w=oc u=szap
imul     | F7 /5        | Ev       | w=oc u=szap
div      | F7 /6        | Ev       | u=oszapc
idiv     | F7 /7        | Ev       | u=oszapc
clc      | F8           |          | 0=c
stc      | F9           |          | 1=c
cld      | FC           |          | 0=d
std      | FD           |          | 1=d
inc      | FE /0        | Eb       | w=oszap           |    | lock
dec      | FE /1        | Eb       | w=oszap           |    | lock
inc      | FF /0        | Ev       | w=oszap           |    | lock
dec      | FF /1        | Ev       | w=oszap           |    | lock
push     | FF /6        | Ev       |                   |    | d64
cmovcc   | 0F 40+cc /r  | Gv Ev    | cc                | cmov
setcc    | 0F 90+cc /r  | Eb       | cc
push     | 0F A0        | FS       |                   |    | d64
pop      | 0F A1        | FS       |                   |    | d64
bt       | 0F A3 /r     | Ev Gv    | w=c u=osap
shld     | 0F A4 /r     | Ev Gv Ib | w=szpc u=oa ?
shld     | 0F A5 /r     | Ev Gv CL | w=szpc u=oa ?
push     | 0F A8        | GS       |                   |    | d64
pop      | 0F A9        | GS       |                   |    | d64
bts      | 0F AB /r     | Ev Gv    | w=c u=osap        |    | lock
shrd     | 0F AC /r     | Ev Gv Ib | w=szpc u=oa ?
shrd     | 0F AD /r     | Ev Gv CL | w=szpc u=oa ?
imul     | 0F AF /r     | Gv Ev    | w=oc u=szap
cmpxchg  | 0F B0 /r     | Eb Gb    | w=oszapc          |    | lock
cmpxchg  | 0F B1 /r     | Ev Gv    | w=oszapc          |    | lock
lss      | 0F B2 /r     | Gv Mp
btr      | 0F B3 /r     | Ev Gv    | w=c u=osap        |    | lock
lfs      | 0F B4 /r     | Gv Mp
lgs      | 0F B5 /r     | Gv Mp
movzx    | 0F B6 /r     | Gv Eb
movzx    | 0F B7 /r     | Gv Ew
bt       | 0F BA /4     | Ev Ib    | w=c u=osap
bts      | 0F BA /5     | Ev Ib    | w=c u=osap        |    | lock
btr      | 0F BA /6     | Ev Ib    | w=c u=osap        |    | lock
btc      | 0F BA /7     | Ev Ib    | w=c u=osap        |    | lock
btc      | 0F BB /r     | Ev Gv    | w=c u=osap        |    | lock
bsf      | NF3 0F BC /r | Gv Ev    | w=z u=osapc
bsr      | NF3 0F BD /r | Gv Ev    | w=z u=osapc
movsx    | 0F BE /r     | Gv Eb
movsx    | 0F BF /r     | Gv Ew
xadd     | 0F C0 /r     | Eb Gb    | w=oszapc          |    | lock
xadd     | 0F C1 /r     | Ev Gv    | w=oszapc          |    | lock
cmpxchg8b  | W0 0F C7 /1 | Mq      | w=z               | cx8  | lock
cmpxchg16b | W1 0F C7 /1 | Mo      | w=z               | cx16 | lock
bswap    | 0F C8+r      | Zv
nop      | 0F 19 /r     | Ev
nop      | 0F 1A /r     | Ev
nop      | 0F 1B /r     | Ev
nop      | 0F 1C /r     | Ev
nop      | 0F 1D /r     | Ev
nop      | 0F 1E /r     | Ev       |                   |    | rest
nop      | 0F 1F /r     | Ev
`;
