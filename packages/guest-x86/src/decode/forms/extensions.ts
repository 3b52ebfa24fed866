// Later additions to the integer set: bit manipulation (BMI), counts, CRC32, ADX, MOVBE, random numbers, prefetches, cache control,
// fences, and saving and restoring the processor's extended state. Columns and letters: ./legend.ts
import type { Table } from "./legend.ts";

export const extensions: Table = `
prefetch    | 0F 0D /r             | M_       |                | prefetchw  | rest
prefetchw   | 0F 0D /1             | M_       |                | prefetchw
nop         | 0F 0D /r             | Rv
prefetchnta | 0F 18 /0             | M_       |                | sse
prefetcht0  | 0F 18 /1             | M_       |                | sse
prefetcht1  | 0F 18 /2             | M_       |                | sse
prefetcht2  | 0F 18 /3             | M_       |                | sse
nop         | 0F 18 /r             | Ev       |                |            | rest
movnti      | NP 0F C3 /r          | My Gy    |                | sse2
fxsave      | NP W0 0F AE /0       | Mh       |                | fxsr
fxsave64    | NP W1 0F AE /0       | Mh       |                | fxsr
fxrstor     | NP W0 0F AE /1       | Mh       |                | fxsr
fxrstor64   | NP W1 0F AE /1       | Mh       |                | fxsr
ldmxcsr     | NP 0F AE /2          | Md       |                | sse
stmxcsr     | NP 0F AE /3          | Md       |                | sse
xsave       | NP W0 0F AE /4       | M_       |                | xsave
xsave64     | NP W1 0F AE /4       | M_       |                | xsave
xrstor      | NP W0 0F AE /5       | M_       |                | xsave
xrstor64    | NP W1 0F AE /5       | M_       |                | xsave
xsaveopt    | NP W0 0F AE /6       | M_       |                | xsaveopt
xsaveopt64  | NP W1 0F AE /6       | M_       |                | xsaveopt
clflush     | NP 0F AE /7          | Mb       |                | clflush
clflushopt  | 66 0F AE /7          | Mb       |                | clflushopt
clwb        | 66 0F AE /6          | Mb       |                | clwb
lfence      | NP 0F AE E8+i        |          |                | sse2
mfence      | NP 0F AE F0+i        |          |                | sse2
sfence      | NP 0F AE F8+i        |          |                | sse
xrstors     | NP W0 0F C7 /3       | M_       |                | xsaves     | cpl0
xrstors64   | NP W1 0F C7 /3       | M_       |                | xsaves     | cpl0
xsavec      | NP W0 0F C7 /4       | M_       |                | xsavec
xsavec64    | NP W1 0F C7 /4       | M_       |                | xsavec
xsaves      | NP W0 0F C7 /5       | M_       |                | xsaves     | cpl0
xsaves64    | NP W1 0F C7 /5       | M_       |                | xsaves     | cpl0
rdrand      | NFx 0F C7 /6         | Rv       | w=c 0=oszap    | rdrand
rdseed      | NFx 0F C7 /7         | Rv       | w=c 0=oszap    | rdseed
popcnt      | F3 0F B8 /r          | Gv Ev    | w=z 0=osapc    | popcnt
tzcnt       | F3 0F BC /r          | Gv Ev    | w=zc u=osap    | bmi1
lzcnt       | F3 0F BD /r          | Gv Ev    | w=zc u=osap    | lzcnt
movbe       | NFx 0F 38 F0 /r      | Gv Mv    |                | movbe
movbe       | NFx 0F 38 F1 /r      | Mv Gv    |                | movbe
crc32       | F2 0F 38 F0 /r       | Gy Eb    |                | sse4.2     | byte
crc32       | F2 0F 38 F1 /r       | Gy Ev    |                | sse4.2
adcx        | 66 0F 38 F6 /r       | Gy Ey    | r=c w=c        | adx
adox        | F3 0F 38 F6 /r       | Gy Ey    | r=o w=o        | adx
andn        | VEX.LZ.NP.0F38 F2 /r | Gy By Ey | w=sz 0=oc u=ap | bmi1
blsr        | VEX.LZ.NP.0F38 F3 /1 | By Ey    | w=szc 0=o u=ap | bmi1
blsmsk      | VEX.LZ.NP.0F38 F3 /2 | By Ey    | w=sc 0=zo u=ap | bmi1
blsi        | VEX.LZ.NP.0F38 F3 /3 | By Ey    | w=szc 0=o u=ap | bmi1
bzhi        | VEX.LZ.NP.0F38 F5 /r | Gy Ey By | w=szc 0=o u=ap | bmi2
pext        | VEX.LZ.F3.0F38 F5 /r | Gy By Ey |                | bmi2
pdep        | VEX.LZ.F2.0F38 F5 /r | Gy By Ey |                | bmi2
mulx        | VEX.LZ.F2.0F38 F6 /r | Gy By Ey |                | bmi2
bextr       | VEX.LZ.NP.0F38 F7 /r | Gy Ey By | w=z 0=oc u=sap | bmi1
shlx        | VEX.LZ.66.0F38 F7 /r | Gy Ey By |                | bmi2
sarx        | VEX.LZ.F3.0F38 F7 /r | Gy Ey By |                | bmi2
shrx        | VEX.LZ.F2.0F38 F7 /r | Gy Ey By |                | bmi2
rorx        | VEX.LZ.F2.0F3A F0 /r | Gy Ey Ib |                | bmi2
`;
