// XMM registers, arithmetic: floating point, packed integers, comparisons, conversions, string compare, AES, SHA, CLMUL.
// Columns and letters: ./legend.ts
import type { Table } from "./legend.ts";

export const sseArith: Table = `
cvtpi2ps        | NP 0F 2A /r    | Vo Qq      |             | sse
cvtpi2pd        | 66 0F 2A /r    | Vo Qq      |             | sse2
cvtsi2ss        | F3 0F 2A /r    | Vo Ey      |             | sse
cvtsi2sd        | F2 0F 2A /r    | Vo Ey      |             | sse2
cvttps2pi       | NP 0F 2C /r    | Pq Wq      |             | sse
cvttpd2pi       | 66 0F 2C /r    | Pq Wo      |             | sse2
cvttss2si       | F3 0F 2C /r    | Gy Wd      |             | sse
cvttsd2si       | F2 0F 2C /r    | Gy Wq      |             | sse2
cvtps2pi        | NP 0F 2D /r    | Pq Wq      |             | sse
cvtpd2pi        | 66 0F 2D /r    | Pq Wo      |             | sse2
cvtss2si        | F3 0F 2D /r    | Gy Wd      |             | sse
cvtsd2si        | F2 0F 2D /r    | Gy Wq      |             | sse2
ucomiss         | NP 0F 2E /r    | Vo Wd      | w=zpc 0=osa | sse
ucomisd         | 66 0F 2E /r    | Vo Wq      | w=zpc 0=osa | sse2
comiss          | NP 0F 2F /r    | Vo Wd      | w=zpc 0=osa | sse
comisd          | 66 0F 2F /r    | Vo Wq      | w=zpc 0=osa | sse2
sqrtps          | NP 0F 51 /r    | Vo Wo      |             | sse
sqrtpd          | 66 0F 51 /r    | Vo Wo      |             | sse2
sqrtss          | F3 0F 51 /r    | Vo Wd      |             | sse
sqrtsd          | F2 0F 51 /r    | Vo Wq      |             | sse2
rsqrtps         | NP 0F 52 /r    | Vo Wo      |             | sse
rsqrtss         | F3 0F 52 /r    | Vo Wd      |             | sse
rcpps           | NP 0F 53 /r    | Vo Wo      |             | sse
rcpss           | F3 0F 53 /r    | Vo Wd      |             | sse
andps           | NP 0F 54 /r    | Vo Wo      |             | sse
andpd           | 66 0F 54 /r    | Vo Wo      |             | sse2
andnps          | NP 0F 55 /r    | Vo Wo      |             | sse
andnpd          | 66 0F 55 /r    | Vo Wo      |             | sse2
orps            | NP 0F 56 /r    | Vo Wo      |             | sse
orpd            | 66 0F 56 /r    | Vo Wo      |             | sse2
xorps           | NP 0F 57 /r    | Vo Wo      |             | sse
xorpd           | 66 0F 57 /r    | Vo Wo      |             | sse2
addps           | NP 0F 58 /r    | Vo Wo      |             | sse
addpd           | 66 0F 58 /r    | Vo Wo      |             | sse2
addss           | F3 0F 58 /r    | Vo Wd      |             | sse
addsd           | F2 0F 58 /r    | Vo Wq      |             | sse2
mulps           | NP 0F 59 /r    | Vo Wo      |             | sse
mulpd           | 66 0F 59 /r    | Vo Wo      |             | sse2
mulss           | F3 0F 59 /r    | Vo Wd      |             | sse
mulsd           | F2 0F 59 /r    | Vo Wq      |             | sse2
cvtps2pd        | NP 0F 5A /r    | Vo Wq      |             | sse2
cvtpd2ps        | 66 0F 5A /r    | Vo Wo      |             | sse2
cvtss2sd        | F3 0F 5A /r    | Vo Wd      |             | sse2
cvtsd2ss        | F2 0F 5A /r    | Vo Wq      |             | sse2
cvtdq2ps        | NP 0F 5B /r    | Vo Wo      |             | sse2
cvtps2dq        | 66 0F 5B /r    | Vo Wo      |             | sse2
cvttps2dq       | F3 0F 5B /r    | Vo Wo      |             | sse2
subps           | NP 0F 5C /r    | Vo Wo      |             | sse
subpd           | 66 0F 5C /r    | Vo Wo      |             | sse2
subss           | F3 0F 5C /r    | Vo Wd      |             | sse
subsd           | F2 0F 5C /r    | Vo Wq      |             | sse2
minps           | NP 0F 5D /r    | Vo Wo      |             | sse
minpd           | 66 0F 5D /r    | Vo Wo      |             | sse2
minss           | F3 0F 5D /r    | Vo Wd      |             | sse
minsd           | F2 0F 5D /r    | Vo Wq      |             | sse2
divps           | NP 0F 5E /r    | Vo Wo      |             | sse
divpd           | 66 0F 5E /r    | Vo Wo      |             | sse2
divss           | F3 0F 5E /r    | Vo Wd      |             | sse
divsd           | F2 0F 5E /r    | Vo Wq      |             | sse2
maxps           | NP 0F 5F /r    | Vo Wo      |             | sse
maxpd           | 66 0F 5F /r    | Vo Wo      |             | sse2
maxss           | F3 0F 5F /r    | Vo Wd      |             | sse
maxsd           | F2 0F 5F /r    | Vo Wq      |             | sse2
pcmpgtb         | 66 0F 64 /r    | Vo Wo      |             | sse2
pcmpgtw         | 66 0F 65 /r    | Vo Wo      |             | sse2
pcmpgtd         | 66 0F 66 /r    | Vo Wo      |             | sse2
pcmpeqb         | 66 0F 74 /r    | Vo Wo      |             | sse2
pcmpeqw         | 66 0F 75 /r    | Vo Wo      |             | sse2
pcmpeqd         | 66 0F 76 /r    | Vo Wo      |             | sse2
psrlw           | 66 0F 71 /2    | Uo Ib      |             | sse2
psraw           | 66 0F 71 /4    | Uo Ib      |             | sse2
psllw           | 66 0F 71 /6    | Uo Ib      |             | sse2
psrld           | 66 0F 72 /2    | Uo Ib      |             | sse2
psrad           | 66 0F 72 /4    | Uo Ib      |             | sse2
pslld           | 66 0F 72 /6    | Uo Ib      |             | sse2
psrlq           | 66 0F 73 /2    | Uo Ib      |             | sse2
psllq           | 66 0F 73 /6    | Uo Ib      |             | sse2
haddpd          | 66 0F 7C /r    | Vo Wo      |             | sse3
haddps          | F2 0F 7C /r    | Vo Wo      |             | sse3
hsubpd          | 66 0F 7D /r    | Vo Wo      |             | sse3
hsubps          | F2 0F 7D /r    | Vo Wo      |             | sse3
cmpps           | NP 0F C2 /r    | Vo Wo Ib   |             | sse
cmppd           | 66 0F C2 /r    | Vo Wo Ib   |             | sse2
cmpss           | F3 0F C2 /r    | Vo Wd Ib   |             | sse
cmpsd           | F2 0F C2 /r    | Vo Wq Ib   |             | sse2
addsubpd        | 66 0F D0 /r    | Vo Wo      |             | sse3
addsubps        | F2 0F D0 /r    | Vo Wo      |             | sse3
psrlw           | 66 0F D1 /r    | Vo Wo      |             | sse2
psrld           | 66 0F D2 /r    | Vo Wo      |             | sse2
psrlq           | 66 0F D3 /r    | Vo Wo      |             | sse2
paddq           | 66 0F D4 /r    | Vo Wo      |             | sse2
pmullw          | 66 0F D5 /r    | Vo Wo      |             | sse2
psubusb         | 66 0F D8 /r    | Vo Wo      |             | sse2
psubusw         | 66 0F D9 /r    | Vo Wo      |             | sse2
pminub          | 66 0F DA /r    | Vo Wo      |             | sse2
pand            | 66 0F DB /r    | Vo Wo      |             | sse2
paddusb         | 66 0F DC /r    | Vo Wo      |             | sse2
paddusw         | 66 0F DD /r    | Vo Wo      |             | sse2
pmaxub          | 66 0F DE /r    | Vo Wo      |             | sse2
pandn           | 66 0F DF /r    | Vo Wo      |             | sse2
pavgb           | 66 0F E0 /r    | Vo Wo      |             | sse2
psraw           | 66 0F E1 /r    | Vo Wo      |             | sse2
psrad           | 66 0F E2 /r    | Vo Wo      |             | sse2
pavgw           | 66 0F E3 /r    | Vo Wo      |             | sse2
pmulhuw         | 66 0F E4 /r    | Vo Wo      |             | sse2
pmulhw          | 66 0F E5 /r    | Vo Wo      |             | sse2
psubsb          | 66 0F E8 /r    | Vo Wo      |             | sse2
psubsw          | 66 0F E9 /r    | Vo Wo      |             | sse2
pminsw          | 66 0F EA /r    | Vo Wo      |             | sse2
por             | 66 0F EB /r    | Vo Wo      |             | sse2
paddsb          | 66 0F EC /r    | Vo Wo      |             | sse2
paddsw          | 66 0F ED /r    | Vo Wo      |             | sse2
pmaxsw          | 66 0F EE /r    | Vo Wo      |             | sse2
pxor            | 66 0F EF /r    | Vo Wo      |             | sse2
psllw           | 66 0F F1 /r    | Vo Wo      |             | sse2
pslld           | 66 0F F2 /r    | Vo Wo      |             | sse2
psllq           | 66 0F F3 /r    | Vo Wo      |             | sse2
pmuludq         | 66 0F F4 /r    | Vo Wo      |             | sse2
pmaddwd         | 66 0F F5 /r    | Vo Wo      |             | sse2
psadbw          | 66 0F F6 /r    | Vo Wo      |             | sse2
psubb           | 66 0F F8 /r    | Vo Wo      |             | sse2
psubw           | 66 0F F9 /r    | Vo Wo      |             | sse2
psubd           | 66 0F FA /r    | Vo Wo      |             | sse2
psubq           | 66 0F FB /r    | Vo Wo      |             | sse2
paddb           | 66 0F FC /r    | Vo Wo      |             | sse2
paddw           | 66 0F FD /r    | Vo Wo      |             | sse2
paddd           | 66 0F FE /r    | Vo Wo      |             | sse2
cvttpd2dq       | 66 0F E6 /r    | Vo Wo      |             | sse2
cvtdq2pd        | F3 0F E6 /r    | Vo Wq      |             | sse2
cvtpd2dq        | F2 0F E6 /r    | Vo Wo      |             | sse2
phaddw          | 66 0F 38 01 /r | Vo Wo      |             | ssse3
phaddd          | 66 0F 38 02 /r | Vo Wo      |             | ssse3
phaddsw         | 66 0F 38 03 /r | Vo Wo      |             | ssse3
pmaddubsw       | 66 0F 38 04 /r | Vo Wo      |             | ssse3
phsubw          | 66 0F 38 05 /r | Vo Wo      |             | ssse3
phsubd          | 66 0F 38 06 /r | Vo Wo      |             | ssse3
phsubsw         | 66 0F 38 07 /r | Vo Wo      |             | ssse3
psignb          | 66 0F 38 08 /r | Vo Wo      |             | ssse3
psignw          | 66 0F 38 09 /r | Vo Wo      |             | ssse3
psignd          | 66 0F 38 0A /r | Vo Wo      |             | ssse3
pmulhrsw        | 66 0F 38 0B /r | Vo Wo      |             | ssse3
pabsb           | 66 0F 38 1C /r | Vo Wo      |             | ssse3
pabsw           | 66 0F 38 1D /r | Vo Wo      |             | ssse3
pabsd           | 66 0F 38 1E /r | Vo Wo      |             | ssse3
ptest           | 66 0F 38 17 /r | Vo Wo      | w=zc 0=osap | sse4.1
pmuldq          | 66 0F 38 28 /r | Vo Wo      |             | sse4.1
pcmpeqq         | 66 0F 38 29 /r | Vo Wo      |             | sse4.1
pminsb          | 66 0F 38 38 /r | Vo Wo      |             | sse4.1
pminsd          | 66 0F 38 39 /r | Vo Wo      |             | sse4.1
pminuw          | 66 0F 38 3A /r | Vo Wo      |             | sse4.1
pminud          | 66 0F 38 3B /r | Vo Wo      |             | sse4.1
pmaxsb          | 66 0F 38 3C /r | Vo Wo      |             | sse4.1
pmaxsd          | 66 0F 38 3D /r | Vo Wo      |             | sse4.1
pmaxuw          | 66 0F 38 3E /r | Vo Wo      |             | sse4.1
pmaxud          | 66 0F 38 3F /r | Vo Wo      |             | sse4.1
pmulld          | 66 0F 38 40 /r | Vo Wo      |             | sse4.1
phminposuw      | 66 0F 38 41 /r | Vo Wo      |             | sse4.1
pcmpgtq         | 66 0F 38 37 /r | Vo Wo      |             | sse4.2
roundps         | 66 0F 3A 08 /r | Vo Wo Ib   |             | sse4.1
roundpd         | 66 0F 3A 09 /r | Vo Wo Ib   |             | sse4.1
roundss         | 66 0F 3A 0A /r | Vo Wd Ib   |             | sse4.1
roundsd         | 66 0F 3A 0B /r | Vo Wq Ib   |             | sse4.1
dpps            | 66 0F 3A 40 /r | Vo Wo Ib   |             | sse4.1
dppd            | 66 0F 3A 41 /r | Vo Wo Ib   |             | sse4.1
mpsadbw         | 66 0F 3A 42 /r | Vo Wo Ib   |             | sse4.1
pcmpestrm       | 66 0F 3A 60 /r | Vo Wo Ib   | w=oszc 0=ap | sse4.2 | y
pcmpestri       | 66 0F 3A 61 /r | Vo Wo Ib   | w=oszc 0=ap | sse4.2 | y
pcmpistrm       | 66 0F 3A 62 /r | Vo Wo Ib   | w=oszc 0=ap | sse4.2 | y
pcmpistri       | 66 0F 3A 63 /r | Vo Wo Ib   | w=oszc 0=ap | sse4.2 | y
pclmulqdq       | 66 0F 3A 44 /r | Vo Wo Ib   |             | pclmulqdq
aesimc          | 66 0F 38 DB /r | Vo Wo      |             | aes
aesenc          | 66 0F 38 DC /r | Vo Wo      |             | aes
aesenclast      | 66 0F 38 DD /r | Vo Wo      |             | aes
aesdec          | 66 0F 38 DE /r | Vo Wo      |             | aes
aesdeclast      | 66 0F 38 DF /r | Vo Wo      |             | aes
aeskeygenassist | 66 0F 3A DF /r | Vo Wo Ib   |             | aes
sha1nexte       | NP 0F 38 C8 /r | Vo Wo      |             | sha
sha1msg1        | NP 0F 38 C9 /r | Vo Wo      |             | sha
sha1msg2        | NP 0F 38 CA /r | Vo Wo      |             | sha
sha256rnds2     | NP 0F 38 CB /r | Vo Wo XMM0 |             | sha
sha256msg1      | NP 0F 38 CC /r | Vo Wo      |             | sha
sha256msg2      | NP 0F 38 CD /r | Vo Wo      |             | sha
sha1rnds4       | NP 0F 3A CC /r | Vo Wo Ib   |             | sha
`;
