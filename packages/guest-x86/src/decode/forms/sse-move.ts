// XMM registers, data movement: loads, stores, shuffles, packing, blends, sign and zero extension. Columns and letters: ./legend.ts
import type { Table } from "./legend.ts";

export const sseMove: Table = `
movups     | NP 0F 10 /r       | Vo Wo       |  | sse
movupd     | 66 0F 10 /r       | Vo Wo       |  | sse2
movss      | F3 0F 10 /r       | Vo Wd       |  | sse
movsd      | F2 0F 10 /r       | Vo Wq       |  | sse2
movups     | NP 0F 11 /r       | Wo Vo       |  | sse
movupd     | 66 0F 11 /r       | Wo Vo       |  | sse2
movss      | F3 0F 11 /r       | Wd Vo       |  | sse
movsd      | F2 0F 11 /r       | Wq Vo       |  | sse2
movlps     | NP 0F 12 /r       | Vo Mq       |  | sse
movhlps    | NP 0F 12 /r       | Vo Uo       |  | sse
movlpd     | 66 0F 12 /r       | Vo Mq       |  | sse2
movsldup   | F3 0F 12 /r       | Vo Wo       |  | sse3
movddup    | F2 0F 12 /r       | Vo Wq       |  | sse3
movlps     | NP 0F 13 /r       | Mq Vo       |  | sse
movlpd     | 66 0F 13 /r       | Mq Vo       |  | sse2
unpcklps   | NP 0F 14 /r       | Vo Wo       |  | sse
unpcklpd   | 66 0F 14 /r       | Vo Wo       |  | sse2
unpckhps   | NP 0F 15 /r       | Vo Wo       |  | sse
unpckhpd   | 66 0F 15 /r       | Vo Wo       |  | sse2
movhps     | NP 0F 16 /r       | Vo Mq       |  | sse
movlhps    | NP 0F 16 /r       | Vo Uo       |  | sse
movhpd     | 66 0F 16 /r       | Vo Mq       |  | sse2
movshdup   | F3 0F 16 /r       | Vo Wo       |  | sse3
movhps     | NP 0F 17 /r       | Mq Vo       |  | sse
movhpd     | 66 0F 17 /r       | Mq Vo       |  | sse2
movaps     | NP 0F 28 /r       | Vo Wo       |  | sse
movapd     | 66 0F 28 /r       | Vo Wo       |  | sse2
movaps     | NP 0F 29 /r       | Wo Vo       |  | sse
movapd     | 66 0F 29 /r       | Wo Vo       |  | sse2
movntps    | NP 0F 2B /r       | Mo Vo       |  | sse
movntpd    | 66 0F 2B /r       | Mo Vo       |  | sse2
movntss    | F3 0F 2B /r       | Md Vo       |  | sse4a
movntsd    | F2 0F 2B /r       | Mq Vo       |  | sse4a
movmskps   | NP 0F 50 /r       | Gy Uo       |  | sse
movmskpd   | 66 0F 50 /r       | Gy Uo       |  | sse2
punpcklbw  | 66 0F 60 /r       | Vo Wo       |  | sse2
punpcklwd  | 66 0F 61 /r       | Vo Wo       |  | sse2
punpckldq  | 66 0F 62 /r       | Vo Wo       |  | sse2
packsswb   | 66 0F 63 /r       | Vo Wo       |  | sse2
packuswb   | 66 0F 67 /r       | Vo Wo       |  | sse2
punpckhbw  | 66 0F 68 /r       | Vo Wo       |  | sse2
punpckhwd  | 66 0F 69 /r       | Vo Wo       |  | sse2
punpckhdq  | 66 0F 6A /r       | Vo Wo       |  | sse2
packssdw   | 66 0F 6B /r       | Vo Wo       |  | sse2
punpcklqdq | 66 0F 6C /r       | Vo Wo       |  | sse2
punpckhqdq | 66 0F 6D /r       | Vo Wo       |  | sse2
movd       | 66 W0 0F 6E /r    | Vo Ed       |  | sse2
movq       | 66 W1 0F 6E /r    | Vo Eq       |  | sse2
movdqa     | 66 0F 6F /r       | Vo Wo       |  | sse2
movdqu     | F3 0F 6F /r       | Vo Wo       |  | sse2
pshufd     | 66 0F 70 /r       | Vo Wo Ib    |  | sse2
pshufhw    | F3 0F 70 /r       | Vo Wo Ib    |  | sse2
pshuflw    | F2 0F 70 /r       | Vo Wo Ib    |  | sse2
psrldq     | 66 0F 73 /3       | Uo Ib       |  | sse2
pslldq     | 66 0F 73 /7       | Uo Ib       |  | sse2
extrq      | 66 0F 78 /0       | Uo Ib Kb    |  | sse4a
insertq    | F2 0F 78 /r       | Vo Uo Ib Kb |  | sse4a
extrq      | 66 0F 79 /r       | Vo Uo       |  | sse4a
insertq    | F2 0F 79 /r       | Vo Uo       |  | sse4a
movd       | 66 W0 0F 7E /r    | Ed Vo       |  | sse2
movq       | 66 W1 0F 7E /r    | Eq Vo       |  | sse2
movq       | F3 0F 7E /r       | Vo Wq       |  | sse2
movdqa     | 66 0F 7F /r       | Wo Vo       |  | sse2
movdqu     | F3 0F 7F /r       | Wo Vo       |  | sse2
pinsrw     | 66 0F C4 /r       | Vo Ry/Mw Ib |  | sse2
pextrw     | 66 0F C5 /r       | Gy Uo Ib    |  | sse2
shufps     | NP 0F C6 /r       | Vo Wo Ib    |  | sse
shufpd     | 66 0F C6 /r       | Vo Wo Ib    |  | sse2
movq       | 66 0F D6 /r       | Wq Vo       |  | sse2
pmovmskb   | 66 0F D7 /r       | Gy Uo       |  | sse2
movntdq    | 66 0F E7 /r       | Mo Vo       |  | sse2
lddqu      | F2 0F F0 /r       | Vo Mo       |  | sse3
maskmovdqu | 66 0F F7 /r       | Vo Uo       |  | sse2
pshufb     | 66 0F 38 00 /r    | Vo Wo       |  | ssse3
pblendvb   | 66 0F 38 10 /r    | Vo Wo XMM0  |  | sse4.1
blendvps   | 66 0F 38 14 /r    | Vo Wo XMM0  |  | sse4.1
blendvpd   | 66 0F 38 15 /r    | Vo Wo XMM0  |  | sse4.1
pmovsxbw   | 66 0F 38 20 /r    | Vo Wq       |  | sse4.1
pmovsxbd   | 66 0F 38 21 /r    | Vo Wd       |  | sse4.1
pmovsxbq   | 66 0F 38 22 /r    | Vo Ww       |  | sse4.1
pmovsxwd   | 66 0F 38 23 /r    | Vo Wq       |  | sse4.1
pmovsxwq   | 66 0F 38 24 /r    | Vo Wd       |  | sse4.1
pmovsxdq   | 66 0F 38 25 /r    | Vo Wq       |  | sse4.1
movntdqa   | 66 0F 38 2A /r    | Vo Mo       |  | sse4.1
packusdw   | 66 0F 38 2B /r    | Vo Wo       |  | sse4.1
pmovzxbw   | 66 0F 38 30 /r    | Vo Wq       |  | sse4.1
pmovzxbd   | 66 0F 38 31 /r    | Vo Wd       |  | sse4.1
pmovzxbq   | 66 0F 38 32 /r    | Vo Ww       |  | sse4.1
pmovzxwd   | 66 0F 38 33 /r    | Vo Wq       |  | sse4.1
pmovzxwq   | 66 0F 38 34 /r    | Vo Wd       |  | sse4.1
pmovzxdq   | 66 0F 38 35 /r    | Vo Wq       |  | sse4.1
blendps    | 66 0F 3A 0C /r    | Vo Wo Ib    |  | sse4.1
blendpd    | 66 0F 3A 0D /r    | Vo Wo Ib    |  | sse4.1
pblendw    | 66 0F 3A 0E /r    | Vo Wo Ib    |  | sse4.1
palignr    | 66 0F 3A 0F /r    | Vo Wo Ib    |  | ssse3
pextrb     | 66 0F 3A 14 /r    | Ry/Mb Vo Ib |  | sse4.1
pextrw     | 66 0F 3A 15 /r    | Ry/Mw Vo Ib |  | sse4.1
pextrd     | 66 W0 0F 3A 16 /r | Ed Vo Ib    |  | sse4.1
pextrq     | 66 W1 0F 3A 16 /r | Eq Vo Ib    |  | sse4.1
extractps  | 66 0F 3A 17 /r    | Ry/Md Vo Ib |  | sse4.1
pinsrb     | 66 0F 3A 20 /r    | Vo Ry/Mb Ib |  | sse4.1
insertps   | 66 0F 3A 21 /r    | Vo Wd Ib    |  | sse4.1
pinsrd     | 66 W0 0F 3A 22 /r | Vo Ed Ib    |  | sse4.1
pinsrq     | 66 W1 0F 3A 22 /r | Vo Eq Ib    |  | sse4.1
`;
