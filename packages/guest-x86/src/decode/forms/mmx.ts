// MMX registers: MMX itself and what SSE, SSE2 and SSSE3 added to it. Columns and letters: ./legend.ts
import type { Table } from "./legend.ts";

export const mmx: Table = `
punpcklbw | NP 0F 60 /r    | Pq Qd       |  | mmx
punpcklwd | NP 0F 61 /r    | Pq Qd       |  | mmx
punpckldq | NP 0F 62 /r    | Pq Qd       |  | mmx
packsswb  | NP 0F 63 /r    | Pq Qq       |  | mmx
pcmpgtb   | NP 0F 64 /r    | Pq Qq       |  | mmx
pcmpgtw   | NP 0F 65 /r    | Pq Qq       |  | mmx
pcmpgtd   | NP 0F 66 /r    | Pq Qq       |  | mmx
packuswb  | NP 0F 67 /r    | Pq Qq       |  | mmx
punpckhbw | NP 0F 68 /r    | Pq Qq       |  | mmx
punpckhwd | NP 0F 69 /r    | Pq Qq       |  | mmx
punpckhdq | NP 0F 6A /r    | Pq Qq       |  | mmx
packssdw  | NP 0F 6B /r    | Pq Qq       |  | mmx
movd      | NP W0 0F 6E /r | Pq Ed       |  | mmx
movq      | NP W1 0F 6E /r | Pq Eq       |  | mmx
movq      | NP 0F 6F /r    | Pq Qq       |  | mmx
pshufw    | NP 0F 70 /r    | Pq Qq Ib    |  | sse
psrlw     | NP 0F 71 /2    | Nq Ib       |  | mmx
psraw     | NP 0F 71 /4    | Nq Ib       |  | mmx
psllw     | NP 0F 71 /6    | Nq Ib       |  | mmx
psrld     | NP 0F 72 /2    | Nq Ib       |  | mmx
psrad     | NP 0F 72 /4    | Nq Ib       |  | mmx
pslld     | NP 0F 72 /6    | Nq Ib       |  | mmx
psrlq     | NP 0F 73 /2    | Nq Ib       |  | mmx
psllq     | NP 0F 73 /6    | Nq Ib       |  | mmx
pcmpeqb   | NP 0F 74 /r    | Pq Qq       |  | mmx
pcmpeqw   | NP 0F 75 /r    | Pq Qq       |  | mmx
pcmpeqd   | NP 0F 76 /r    | Pq Qq       |  | mmx
emms      | NP 0F 77       |             |  | mmx
movd      | NP W0 0F 7E /r | Ed Pq       |  | mmx
movq      | NP W1 0F 7E /r | Eq Pq       |  | mmx
movq      | NP 0F 7F /r    | Qq Pq       |  | mmx
pinsrw    | NP 0F C4 /r    | Pq Ry/Mw Ib |  | sse
pextrw    | NP 0F C5 /r    | Gy Nq Ib    |  | sse
psrlw     | NP 0F D1 /r    | Pq Qq       |  | mmx
psrld     | NP 0F D2 /r    | Pq Qq       |  | mmx
psrlq     | NP 0F D3 /r    | Pq Qq       |  | mmx
paddq     | NP 0F D4 /r    | Pq Qq       |  | sse2
pmullw    | NP 0F D5 /r    | Pq Qq       |  | mmx
psubusb   | NP 0F D8 /r    | Pq Qq       |  | mmx
psubusw   | NP 0F D9 /r    | Pq Qq       |  | mmx
pminub    | NP 0F DA /r    | Pq Qq       |  | sse
pand      | NP 0F DB /r    | Pq Qq       |  | mmx
paddusb   | NP 0F DC /r    | Pq Qq       |  | mmx
paddusw   | NP 0F DD /r    | Pq Qq       |  | mmx
pmaxub    | NP 0F DE /r    | Pq Qq       |  | sse
pandn     | NP 0F DF /r    | Pq Qq       |  | mmx
pavgb     | NP 0F E0 /r    | Pq Qq       |  | sse
psraw     | NP 0F E1 /r    | Pq Qq       |  | mmx
psrad     | NP 0F E2 /r    | Pq Qq       |  | mmx
pavgw     | NP 0F E3 /r    | Pq Qq       |  | sse
pmulhuw   | NP 0F E4 /r    | Pq Qq       |  | sse
pmulhw    | NP 0F E5 /r    | Pq Qq       |  | mmx
psubsb    | NP 0F E8 /r    | Pq Qq       |  | mmx
psubsw    | NP 0F E9 /r    | Pq Qq       |  | mmx
pminsw    | NP 0F EA /r    | Pq Qq       |  | sse
por       | NP 0F EB /r    | Pq Qq       |  | mmx
paddsb    | NP 0F EC /r    | Pq Qq       |  | mmx
paddsw    | NP 0F ED /r    | Pq Qq       |  | mmx
pmaxsw    | NP 0F EE /r    | Pq Qq       |  | sse
pxor      | NP 0F EF /r    | Pq Qq       |  | mmx
psllw     | NP 0F F1 /r    | Pq Qq       |  | mmx
pslld     | NP 0F F2 /r    | Pq Qq       |  | mmx
psllq     | NP 0F F3 /r    | Pq Qq       |  | mmx
pmuludq   | NP 0F F4 /r    | Pq Qq       |  | sse2
pmaddwd   | NP 0F F5 /r    | Pq Qq       |  | mmx
psadbw    | NP 0F F6 /r    | Pq Qq       |  | sse
psubb     | NP 0F F8 /r    | Pq Qq       |  | mmx
psubw     | NP 0F F9 /r    | Pq Qq       |  | mmx
psubd     | NP 0F FA /r    | Pq Qq       |  | mmx
psubq     | NP 0F FB /r    | Pq Qq       |  | sse2
paddb     | NP 0F FC /r    | Pq Qq       |  | mmx
paddw     | NP 0F FD /r    | Pq Qq       |  | mmx
paddd     | NP 0F FE /r    | Pq Qq       |  | mmx
pmovmskb  | NP 0F D7 /r    | Gy Nq       |  | sse
movntq    | NP 0F E7 /r    | Mq Pq       |  | sse
maskmovq  | NP 0F F7 /r    | Pq Nq       |  | sse
pshufb    | NP 0F 38 00 /r | Pq Qq       |  | ssse3
phaddw    | NP 0F 38 01 /r | Pq Qq       |  | ssse3
phaddd    | NP 0F 38 02 /r | Pq Qq       |  | ssse3
phaddsw   | NP 0F 38 03 /r | Pq Qq       |  | ssse3
pmaddubsw | NP 0F 38 04 /r | Pq Qq       |  | ssse3
phsubw    | NP 0F 38 05 /r | Pq Qq       |  | ssse3
phsubd    | NP 0F 38 06 /r | Pq Qq       |  | ssse3
phsubsw   | NP 0F 38 07 /r | Pq Qq       |  | ssse3
psignb    | NP 0F 38 08 /r | Pq Qq       |  | ssse3
psignw    | NP 0F 38 09 /r | Pq Qq       |  | ssse3
psignd    | NP 0F 38 0A /r | Pq Qq       |  | ssse3
pmulhrsw  | NP 0F 38 0B /r | Pq Qq       |  | ssse3
pabsb     | NP 0F 38 1C /r | Pq Qq       |  | ssse3
pabsw     | NP 0F 38 1D /r | Pq Qq       |  | ssse3
pabsd     | NP 0F 38 1E /r | Pq Qq       |  | ssse3
palignr   | NP 0F 3A 0F /r | Pq Qq Ib    |  | ssse3
movdq2q   | F2 0F D6 /r    | Pq Uo       |  | sse2
movq2dq   | F3 0F D6 /r    | Vo Nq       |  | sse2
`;
