// x87 floating point. Columns and letters: ./legend.ts
//
// The condition codes C0..C3 live in the status word and are no business of the flags column. A cc attribute gives
// FCMOVcc's condition in Jcc's numbering: B E BE U, and their negations in the DB rows.
import type { Table } from "./legend.ts";

export const x87: Table = `
fadd    | D8 /0   | Md      |             | x87
fmul    | D8 /1   | Md      |             | x87
fcom    | D8 /2   | Md      |             | x87
fcomp   | D8 /3   | Md      |             | x87
fsub    | D8 /4   | Md      |             | x87
fsubr   | D8 /5   | Md      |             | x87
fdiv    | D8 /6   | Md      |             | x87
fdivr   | D8 /7   | Md      |             | x87
fadd    | D8 C0+i | ST0 STi |             | x87
fmul    | D8 C8+i | ST0 STi |             | x87
fcom    | D8 D0+i | ST0 STi |             | x87
fcomp   | D8 D8+i | ST0 STi |             | x87
fsub    | D8 E0+i | ST0 STi |             | x87
fsubr   | D8 E8+i | ST0 STi |             | x87
fdiv    | D8 F0+i | ST0 STi |             | x87
fdivr   | D8 F8+i | ST0 STi |             | x87
fld     | D9 /0   | Md      |             | x87
fst     | D9 /2   | Md      |             | x87
fstp    | D9 /3   | Md      |             | x87
fldenv  | D9 /4   | Me      |             | x87
fldcw   | D9 /5   | Mw      |             | x87
fnstenv | D9 /6   | Me      |             | x87
fnstcw  | D9 /7   | Mw      |             | x87
fld     | D9 C0+i | STi     |             | x87
fxch    | D9 C8+i | ST0 STi |             | x87
fnop    | D9 D0   |         |             | x87
fstp    | D9 D8+i | STi     |             | x87  | alias
fchs    | D9 E0   |         |             | x87
fabs    | D9 E1   |         |             | x87
ftst    | D9 E4   |         |             | x87
fxam    | D9 E5   |         |             | x87
fld1    | D9 E8   |         |             | x87
fldl2t  | D9 E9   |         |             | x87
fldl2e  | D9 EA   |         |             | x87
fldpi   | D9 EB   |         |             | x87
fldlg2  | D9 EC   |         |             | x87
fldln2  | D9 ED   |         |             | x87
fldz    | D9 EE   |         |             | x87
f2xm1   | D9 F0   |         |             | x87
fyl2x   | D9 F1   |         |             | x87
fptan   | D9 F2   |         |             | x87
fpatan  | D9 F3   |         |             | x87
fxtract | D9 F4   |         |             | x87
fprem1  | D9 F5   |         |             | x87
fdecstp | D9 F6   |         |             | x87
fincstp | D9 F7   |         |             | x87
fprem   | D9 F8   |         |             | x87
fyl2xp1 | D9 F9   |         |             | x87
fsqrt   | D9 FA   |         |             | x87
fsincos | D9 FB   |         |             | x87
frndint | D9 FC   |         |             | x87
fscale  | D9 FD   |         |             | x87
fsin    | D9 FE   |         |             | x87
fcos    | D9 FF   |         |             | x87
fiadd   | DA /0   | Md      |             | x87
fimul   | DA /1   | Md      |             | x87
ficom   | DA /2   | Md      |             | x87
ficomp  | DA /3   | Md      |             | x87
fisub   | DA /4   | Md      |             | x87
fisubr  | DA /5   | Md      |             | x87
fidiv   | DA /6   | Md      |             | x87
fidivr  | DA /7   | Md      |             | x87
fcmovcc | DA C0+i | ST0 STi | cc          | cmov | cc2
fcmovcc | DA C8+i | ST0 STi | cc          | cmov | cc4
fcmovcc | DA D0+i | ST0 STi | cc          | cmov | cc6
fcmovcc | DA D8+i | ST0 STi | cc          | cmov | cc10
fucompp | DA E9   |         |             | x87
fild    | DB /0   | Md      |             | x87
fisttp  | DB /1   | Md      |             | sse3
fist    | DB /2   | Md      |             | x87
fistp   | DB /3   | Md      |             | x87
fld     | DB /5   | Mt      |             | x87
fstp    | DB /7   | Mt      |             | x87
fcmovcc | DB C0+i | ST0 STi | cc          | cmov | cc3
fcmovcc | DB C8+i | ST0 STi | cc          | cmov | cc5
fcmovcc | DB D0+i | ST0 STi | cc          | cmov | cc7
fcmovcc | DB D8+i | ST0 STi | cc          | cmov | cc11
fneni   | DB E0   |         |             | x87
fndisi  | DB E1   |         |             | x87
fnclex  | DB E2   |         |             | x87
fninit  | DB E3   |         |             | x87
fnsetpm | DB E4   |         |             | x87
fucomi  | DB E8+i | ST0 STi | w=zpc 0=osa | cmov
fcomi   | DB F0+i | ST0 STi | w=zpc 0=osa | cmov
fadd    | DC /0   | Mq      |             | x87
fmul    | DC /1   | Mq      |             | x87
fcom    | DC /2   | Mq      |             | x87
fcomp   | DC /3   | Mq      |             | x87
fsub    | DC /4   | Mq      |             | x87
fsubr   | DC /5   | Mq      |             | x87
fdiv    | DC /6   | Mq      |             | x87
fdivr   | DC /7   | Mq      |             | x87
fadd    | DC C0+i | STi ST0 |             | x87
fmul    | DC C8+i | STi ST0 |             | x87
fcom    | DC D0+i | ST0 STi |             | x87  | alias
fcomp   | DC D8+i | ST0 STi |             | x87  | alias
fsubr   | DC E0+i | STi ST0 |             | x87
fsub    | DC E8+i | STi ST0 |             | x87
fdivr   | DC F0+i | STi ST0 |             | x87
fdiv    | DC F8+i | STi ST0 |             | x87
fld     | DD /0   | Mq      |             | x87
fisttp  | DD /1   | Mq      |             | sse3
fst     | DD /2   | Mq      |             | x87
fstp    | DD /3   | Mq      |             | x87
frstor  | DD /4   | Mf      |             | x87
fnsave  | DD /6   | Mf      |             | x87
fnstsw  | DD /7   | Mw      |             | x87
ffree   | DD C0+i | STi     |             | x87
fxch    | DD C8+i | ST0 STi |             | x87  | alias
fst     | DD D0+i | STi     |             | x87
fstp    | DD D8+i | STi     |             | x87
fucom   | DD E0+i | ST0 STi |             | x87
fucomp  | DD E8+i | ST0 STi |             | x87
fiadd   | DE /0   | Mw      |             | x87
fimul   | DE /1   | Mw      |             | x87
ficom   | DE /2   | Mw      |             | x87
ficomp  | DE /3   | Mw      |             | x87
fisub   | DE /4   | Mw      |             | x87
fisubr  | DE /5   | Mw      |             | x87
fidiv   | DE /6   | Mw      |             | x87
fidivr  | DE /7   | Mw      |             | x87
faddp   | DE C0+i | STi ST0 |             | x87
fmulp   | DE C8+i | STi ST0 |             | x87
fcomp   | DE D0+i | ST0 STi |             | x87  | alias
fcompp  | DE D9   |         |             | x87
fsubrp  | DE E0+i | STi ST0 |             | x87
fsubp   | DE E8+i | STi ST0 |             | x87
fdivrp  | DE F0+i | STi ST0 |             | x87
fdivp   | DE F8+i | STi ST0 |             | x87
fild    | DF /0   | Mw      |             | x87
fisttp  | DF /1   | Mw      |             | sse3
fist    | DF /2   | Mw      |             | x87
fistp   | DF /3   | Mw      |             | x87
fbld    | DF /4   | Mt      |             | x87
fild    | DF /5   | Mq      |             | x87
fbstp   | DF /6   | Mt      |             | x87
fistp   | DF /7   | Mq      |             | x87
ffreep  | DF C0+i | STi     |             | x87  | alias
fxch    | DF C8+i | ST0 STi |             | x87  | alias
fstp    | DF D0+i | STi     |             | x87  | alias
fstp    | DF D8+i | STi     |             | x87  | alias
fnstsw  | DF E0   | AX      |             | x87
fucomip | DF E8+i | ST0 STi | w=zpc 0=osa | cmov
fcomip  | DF F0+i | ST0 STi | w=zpc 0=osa | cmov
`;
