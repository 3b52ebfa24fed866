/* Four threads made by clone, each with its own thread pointer, adding to a counter under a futex lock. */
#include "guest.h"

enum { THREADS = 4, STACK = 16384 };
enum { FUTEX_WAIT = 0, FUTEX_WAKE = 1, ARCH_SET_FS = 0x1002 };

typedef struct {
    void *self;
    u64 index, rounds, own;
    volatile u32 running;
} Thread;

static Thread threads[THREADS];
static u8 stacks[THREADS][STACK] __attribute__((aligned(16)));
static volatile u32 lock_word;
static u64 counter;

/* Lock words: 0 free, 1 held, 2 held and somebody waits (Drepper, "Futexes Are Tricky", mutex 2). */
static void lock(void) {
    u32 free = 0;
    if (__atomic_compare_exchange_n(&lock_word, &free, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) return;
    while (__atomic_exchange_n(&lock_word, 2, __ATOMIC_ACQUIRE) != 0) {
        sys6(SYS_futex, (long)&lock_word, FUTEX_WAIT, 2, 0, 0, 0);
    }
}

static void unlock(void) {
    if (__atomic_exchange_n(&lock_word, 0, __ATOMIC_RELEASE) == 2) {
        sys6(SYS_futex, (long)&lock_word, FUTEX_WAKE, 1, 0, 0, 0);
    }
}

static Thread *current(void) {
    Thread *thread;
    __asm__ volatile("mov %%fs:0, %0" : "=r"(thread));
    return thread;
}

__attribute__((used)) static void work(void) {
    for (u64 i = 0; i < current()->rounds; i++) {
        lock();
        u64 value = counter;
        if (i % 64 == 0) sys3(SYS_sched_yield, 0, 0, 0);
        counter = value + current()->index + 1;
        unlock();
        current()->own += i ^ current()->index;
    }
    sys3(SYS_exit, 0, 0, 0);
}

/* CLONE_VM FS FILES SIGHAND THREAD SYSVSEM SETTLS PARENT_SETTID CHILD_CLEARTID, as pthread_create does it. */
long start_thread(u64 flags, void *stack, volatile u32 *parent, volatile u32 *child, Thread *tls);
__asm__("start_thread:\n"
        "    mov %rcx, %r10\n"
        "    mov $56, %eax\n"
        "    syscall\n"
        "    test %rax, %rax\n"
        "    jnz 1f\n"
        "    xor %ebp, %ebp\n"
        "    call work\n"
        "    hlt\n"
        "1:  ret\n");

int main(int argc, char **argv, char **envp UNUSED) {
    u64 rounds = size_argument(argc, argv, 1000);
    for (u64 i = 0; i < THREADS; i++) {
        Thread *thread = &threads[i];
        *thread = (Thread){thread, i, rounds, 0, 1};
        if (start_thread(0x3d0f00, stacks[i] + STACK, &thread->running, &thread->running, thread) < 0) return 1;
    }
    u64 own = 0;
    for (u64 i = 0; i < THREADS; i++) {
        u32 running;
        while ((running = threads[i].running) != 0) {
            sys6(SYS_futex, (long)&threads[i].running, FUTEX_WAIT, running, 0, 0, 0);
        }
        own += threads[i].own;
    }
    put_text("the counter is ");
    put_number(counter);
    put_text(counter == rounds * (THREADS * (THREADS + 1) / 2) ? ", as it should be\n" : ", wrong\n");
    put_checksum("threads", own);
    return 0;
}
