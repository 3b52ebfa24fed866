// What an operating system uses: descriptor tables, control and model-specific registers, caches and TLBs, and the few unprivileged
// ways to ask the processor about itself. Columns and letters: ./legend.ts
import type { Table } from "./legend.ts";

export const system: Table = `
hlt      | F4             |          |          |          | cpl0 system
cli      | FA             |          | 0=i      |          | iopl
sti      | FB             |          | 1=i      |          | iopl system
fwait    | 9B             |          |          | x87
sldt     | 0F 00 /0       | Rv/Mw
str      | 0F 00 /1       | Rv/Mw
lldt     | 0F 00 /2       | Ew       |          |          | cpl0
ltr      | 0F 00 /3       | Ew       |          |          | cpl0
verr     | 0F 00 /4       | Ew       | w=z
verw     | 0F 00 /5       | Ew       | w=z
sgdt     | 0F 01 /0       | Ms
sidt     | 0F 01 /1       | Ms
lgdt     | 0F 01 /2       | Ms       |          |          | cpl0
lidt     | 0F 01 /3       | Ms       |          |          | cpl0
smsw     | 0F 01 /4       | Rv/Mw
lmsw     | 0F 01 /6       | Ew       |          |          | cpl0 system
invlpg   | 0F 01 /7       | M_       |          |          | cpl0 system
monitor  | NP 0F 01 C8    |          |          | monitor  | cpl0
mwait    | NP 0F 01 C9    |          |          | monitor  | cpl0 system
clac     | NP 0F 01 CA    |          | 0=k      | smap     | cpl0
stac     | NP 0F 01 CB    |          | 1=k      | smap     | cpl0
xgetbv   | NP 0F 01 D0    |          |          | xsave
xsetbv   | NP 0F 01 D1    |          |          | xsave    | cpl0 system
serialize | NP 0F 01 E8   |          |          | serialize
rdpkru   | NP 0F 01 EE    |          |          | pku
wrpkru   | NP 0F 01 EF    |          |          | pku      | system
swapgs   | 0F 01 F8       |          |          |          | cpl0 o64
rdtscp   | 0F 01 F9       |          |          | rdtscp
lar      | 0F 02 /r       | Gv Rv/Mw | w=z
lsl      | 0F 03 /r       | Gv Rv/Mw | w=z
clts     | 0F 06          |          |          |          | cpl0 system
sysret   | 0F 07          |          | w=*      | syscall  | cpl0 o64 system
invd     | 0F 08          |          |          |          | cpl0
wbinvd   | 0F 09          |          |          |          | cpl0
mov      | 0F 20 /r       | Rn Cn    | u=oszapc |          | cpl0 mod
mov      | 0F 21 /r       | Rn Dn    | u=oszapc |          | cpl0 mod
mov      | 0F 22 /r       | Cn Rn    | u=oszapc |          | cpl0 mod system
mov      | 0F 23 /r       | Dn Rn    | u=oszapc |          | cpl0 mod
wrmsr    | 0F 30          |          |          | msr      | cpl0 system
rdtsc    | 0F 31          |          |          | tsc
rdmsr    | 0F 32          |          |          | msr      | cpl0
rdpmc    | 0F 33
sysenter | 0F 34          |          | 0=i      | sep      | system
sysexit  | 0F 35          |          |          | sep      | cpl0 system
cpuid    | 0F A2
rsm      | 0F AA          |          | w=*      |          | cpl0 system
rdfsbase | F3 0F AE /0    | Ry       |          | fsgsbase | o64
rdgsbase | F3 0F AE /1    | Ry       |          | fsgsbase | o64
wrfsbase | F3 0F AE /2    | Ry       |          | fsgsbase | o64
wrgsbase | F3 0F AE /3    | Ry       |          | fsgsbase | o64
rdpid    | F3 0F C7 /7    | Rn       |          | rdpid
invpcid  | 66 0F 38 82 /r | Gn Mo    |          | invpcid  | cpl0 system
`;
