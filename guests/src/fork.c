/* fork, pipes both ways, copy-on-write memory, exit statuses and a child killed by a signal. */
#include "signal.h"

static u64 shared_before = 7;

static int child(int from, int to) {
    u64 values[3];
    if (sys3(SYS_read, from, (long)values, sizeof(values)) != sizeof(values)) return 99;
    shared_before += 100;
    u64 answer[2] = {values[0] * values[1] + values[2], shared_before};
    sys3(SYS_write, to, (long)answer, sizeof(answer));
    return 42;
}

int main(int argc UNUSED, char **argv UNUSED, char **envp UNUSED) {
    int down[2], up[2];
    if (sys3(SYS_pipe, (long)down, 0, 0) || sys3(SYS_pipe, (long)up, 0, 0)) return 1;
    long pid = sys3(SYS_fork, 0, 0, 0);
    if (pid == 0) quit(child(down[0], up[1]));
    u64 question[3] = {6, 7, 58}, answer[2] = {0, 0};
    sys3(SYS_write, down[1], (long)question, sizeof(question));
    sys3(SYS_read, up[0], (long)answer, sizeof(answer));
    int status = 0;
    long waited = sys6(SYS_wait4, pid, (long)&status, 0, 0, 0, 0);
    put_text("the child answered ");
    put_number(answer[0]);
    put_text(" and saw ");
    put_number(answer[1]);
    put_text("; here it is ");
    put_number(shared_before);
    put_text(waited == pid && status == 42 << 8 ? "\nit exited with 42\n" : "\nwrong status\n");

    pid = sys3(SYS_fork, 0, 0, 0);
    if (pid == 0) {
        *(volatile int *)0 = 1;
        quit(1);
    }
    sys6(SYS_wait4, pid, (long)&status, 0, 0, 0, 0);
    put_text((status & 127) == SIGSEGV ? "a child died of SIGSEGV\n" : "a child should have died\n");

    pid = sys3(SYS_fork, 0, 0, 0);
    if (pid == 0) {
        for (;;) sys3(SYS_sched_yield, 0, 0, 0);
    }
    sys3(SYS_kill, pid, SIGUSR1, 0);
    sys6(SYS_wait4, pid, (long)&status, 0, 0, 0, 0);
    put_text(status == SIGUSR1 ? "a child was killed by SIGUSR1\n" : "a child should have been killed\n");
    return 0;
}
