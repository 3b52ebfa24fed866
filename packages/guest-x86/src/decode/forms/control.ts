// Control transfer: jumps, calls, returns, and the traps a program raises itself. Columns and letters: ./legend.ts
import type { Table } from "./legend.ts";

export const control: Table = `
jcc      | 70+cc         | Jb    | cc                |     | f64 branch
jcc      | 0F 80+cc      | Jz    | cc                |     | f64 branch
callf    | 9A            | Ap    |                   |     | i64 system
ret      | C2            | Iw    |                   |     | f64 return
ret      | C3            |       |                   |     | f64 return
retf     | CA            | Iw    |                   |     | system
retf     | CB            |       |                   |     | system
int3     | CC            |       |                   |     | system
int      | CD            | Ib    |                   |     | system
into     | CE            |       | r=o               |     | i64 system
iret     | CF            |       | w=oszapcdi        |     | osz16 system
iret     | CF            |       | w=*               |     | osz32 osz64 system
loopne   | E0            | Jb    | r=z               |     | f64 branch
loope    | E1            | Jb    | r=z               |     | f64 branch
loop     | E2            | Jb    |                   |     | f64 branch
jcxz     | E3            | Jb    |                   |     | f64 branch
call     | E8            | Jz    |                   |     | f64 call
jmp      | E9            | Jz    |                   |     | f64 jump
jmpf     | EA            | Ap    |                   |     | i64 system
jmp      | EB            | Jb    |                   |     | f64 jump
int1     | F1            |       |                   |     | system
call     | FF /2         | Ev    |                   |     | f64 icall
callf    | FF /3         | Mp    |                   |     | system
jmp      | FF /4         | Ev    |                   |     | f64 ijump
jmpf     | FF /5         | Mp    |                   |     | system
syscall  | 0F 05         |       | r=* w=*           | syscall | o64 system
ud2      | 0F 0B         |       |                   |     | undefined
endbr64  | F3 0F 1E FA   |
endbr32  | F3 0F 1E FB   |
ud1      | 0F B9 /r      | Gv Ev |                   |     | undefined
ud0      | 0F FF /r      | Gv Ev |                   |     | undefined
`;
