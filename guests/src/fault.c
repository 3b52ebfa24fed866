/*
 * Faults of every kind a program can catch: the handler sees the signal, its code and address, the trap number and
 * error code, and goes on at a place of its choice with a register changed.
 */
#include "signal.h"

static struct {
    int signal, code;
    u64 address, rip, trap, error, on_stack;
} seen;

static u8 stack[16384] __attribute__((aligned(16)));

static void handler(int signal, SignalInfo *info, UserContext *context) {
    u64 *registers = context->registers;
    u64 here = (u64)__builtin_frame_address(0);
    seen.signal = signal;
    seen.code = info->code;
    seen.address = info->address;
    seen.rip = registers[REG_RIP];
    seen.trap = registers[REG_TRAPNO];
    seen.error = registers[REG_ERR];
    seen.on_stack = here >= (u64)stack && here < (u64)stack + sizeof(stack);
    registers[REG_RIP] = registers[REG_RBX];
    registers[REG_RAX] = 0x600d;
}

/* Runs `code`, which faults at the local label 1; RBX tells the handler where to go on. */
#define FAULT(code, ...) FAULT_THEN(code, "", __VA_ARGS__)
/* `after` undoes what `code` did, at the place where the handler goes on. */
#define FAULT_THEN(code, after, ...)                                                                                   \
    ({                                                                                                                 \
        u64 rax, faulting;                                                                                             \
        __asm__ volatile("lea 2f(%%rip), %%rbx\n\tlea 1f(%%rip), %1\n\txor %%eax, %%eax\n" code "\n2: " after        \
                         : "=&a"(rax), "=&r"(faulting)                                                                 \
                         : __VA_ARGS__                                                                                 \
                         : "rbx", "rdx", "memory", "cc");                                                              \
        resumed = rax == 0x600d;                                                                                       \
        faulting;                                                                                                      \
    })

static int failures;

static void expect(const char *name, int signal, int code, u64 address, u64 rip, u64 trap, u64 error, int resumed) {
    int ok = seen.signal == signal && seen.code == code && seen.address == address && seen.rip == rip && seen.trap == trap &&
             seen.error == error && seen.on_stack && resumed;
    put_text(name);
    put_text(ok ? " ok\n" : " wrong:");
    if (!ok) {
        u64 values[] = {(u64)seen.signal, (u64)seen.code, seen.address, seen.rip - rip, seen.trap, seen.error,
                        seen.on_stack, (u64)resumed};
        for (usize i = 0; i < COUNT(values); i++) put_char(' '), put_hex(values[i], 8);
        put_char('\n');
        failures++;
    }
    memset(&seen, 0, sizeof(seen));
}

int main(int argc UNUSED, char **argv UNUSED, char **envp UNUSED) {
    SignalStack alternate = {stack, 0, sizeof(stack)};
    sys3(SYS_sigaltstack, (long)&alternate, 0, 0);
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
    for (usize i = 0; i < COUNT(signals); i++) handle_signal(signals[i], handler, SA_ONSTACK);

    u64 pages = (u64)sys6(SYS_mmap, 0, 3 * 4096, 3, 0x22, -1, 0);
    *(u64 *)(pages + 4096) = 0x1122334455667788;
    sys3(SYS_mprotect, (long)(pages + 4096), 4096, 1);
    sys3(SYS_munmap, (long)(pages + 8192), 4096, 0);
    volatile int resumed = 0;
    u64 rip;

    rip = FAULT("1: mov (%2), %%rdx", "r"(0ull));
    expect("read of null", SIGSEGV, 1, 0, rip, 14, 4, resumed);
    rip = FAULT("1: movb $1, 24(%2)", "r"(0x1000ull));
    expect("write near null", SIGSEGV, 1, 0x1018, rip, 14, 6, resumed);
    rip = FAULT("1: lock xaddl %%edx, (%2)", "r"(8ull));
    expect("modification near null", SIGSEGV, 1, 8, rip, 14, 6, resumed);
    rip = FAULT("1: addl $5, 12(%2)", "r"(pages + 4096));
    expect("write to a read-only page", SIGSEGV, 2, pages + 4096 + 12, rip, 14, 7, resumed);
    rip = FAULT("1: mov (%2), %%rdx", "r"(pages + 8189));
    expect("read across the end of a mapping", SIGSEGV, 1, pages + 8192, rip, 14, 4, resumed);
    rip = FAULT("1: mov %%rdx, (%2)", "r"(pages + 4093));
    expect("write across into a read-only page", SIGSEGV, 2, pages + 4096, rip, 14, 7, resumed);
    rip = FAULT("1: mov (%2), %%rdx", "S"(0x8000000000000000ull));
    expect("read of a non-canonical address", SIGSEGV, 128, 0, rip, 13, 0, resumed);
    rip = FAULT_THEN("xchg %%rbp, %2\n1: mov 8(%%rbp), %%rdx", "xchg %%rbp, %2", "r"(0x8000000000000000ull));
    expect("the same by the frame pointer", SIGBUS, 128, 0, rip, 12, 0, resumed);
    FAULT("1: jmp *%2", "r"(pages));
    rip = pages;
    expect("jump into data", SIGSEGV, 2, pages, rip, 14, 0x15, resumed);
    rip = FAULT("xor %%edx, %%edx\n1: divl %2", "r"(0));
    expect("division by zero", SIGFPE, 1, rip, rip, 0, 0, resumed);
    rip = FAULT("mov $0x80000000, %%eax\n\tcdq\n1: idivl %2", "r"(-1));
    expect("quotient overflow", SIGFPE, 1, rip, rip, 0, 0, resumed);
    rip = FAULT("1: ud2", "r"(0));
    expect("undefined instruction", SIGILL, 2, rip, rip, 6, 0, resumed);
    rip = FAULT("1: int3", "r"(0)) + 1;
    expect("breakpoint", SIGTRAP, 128, 0, rip, 3, 0, resumed);
    rip = FAULT("1: hlt", "r"(0));
    expect("privileged instruction", SIGSEGV, 128, 0, rip, 13, 0, resumed);

    put_text(failures ? "failed\n" : "all faults seen\n");
    return failures != 0;
}
