/* The parts of the x86-64 signal ABI that the programs here use (Linux uapi asm/sigcontext.h, asm/ucontext.h). */
#ifndef SIGNAL_H
#define SIGNAL_H
#include "guest.h"

enum { SIGILL = 4, SIGTRAP = 5, SIGBUS = 7, SIGFPE = 8, SIGSEGV = 11, SIGUSR1 = 10, SIGCHLD = 17 };
enum { SA_SIGINFO = 4, SA_ONSTACK = 0x08000000, SA_RESTORER = 0x04000000 };
enum { REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RDI, REG_RSI, REG_RBP, REG_RBX,
       REG_RDX, REG_RAX, REG_RCX, REG_RSP, REG_RIP, REG_EFL, REG_CSGSFS, REG_ERR, REG_TRAPNO, REG_OLDMASK, REG_CR2 };

typedef struct {
    i32 signo, error, code, padding;
    u64 address;
    u64 rest[13];
} SignalInfo;

typedef struct {
    void *base;
    i32 flags;
    usize size;
} SignalStack;

typedef struct {
    u64 flags;
    void *link;
    SignalStack stack;
    u64 registers[23];
    void *floating;
    u64 reserved[8];
    u64 mask;
} UserContext;

typedef void Handler(int signal, SignalInfo *info, UserContext *context);

typedef struct {
    Handler *handler;
    u64 flags;
    void (*restorer)(void);
    u64 mask;
} SignalAction;

void signal_restorer(void);
__asm__("signal_restorer:\n"
        "    mov $15, %eax\n"
        "    syscall\n");

static inline long handle_signal(int signal, Handler *handler, u64 flags) {
    SignalAction action = {handler, flags | SA_SIGINFO | SA_RESTORER, signal_restorer, 0};
    return sys6(SYS_rt_sigaction, signal, (long)&action, 0, 8, 0, 0);
}
#endif
