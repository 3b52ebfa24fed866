/*
 * What a freestanding guest program stands on: system calls, a few lines of printing, and the two memory functions that
 * a compiler may call on its own. No libc, so that a program's bytes depend on this folder and the compiler alone.
 */
#ifndef GUEST_H
#define GUEST_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed int i32;
typedef signed long long i64;
typedef unsigned long usize;

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define UNUSED __attribute__((unused))

int main(int argc, char **argv, char **envp);

#ifdef __x86_64__
enum {
    SYS_read = 0, SYS_write = 1, SYS_open = 2, SYS_close = 3, SYS_mmap = 9, SYS_mprotect = 10, SYS_munmap = 11,
    SYS_rt_sigaction = 13, SYS_rt_sigreturn = 15, SYS_pipe = 22, SYS_sched_yield = 24, SYS_getpid = 39, SYS_clone = 56,
    SYS_fork = 57, SYS_exit = 60, SYS_wait4 = 61, SYS_kill = 62, SYS_sigaltstack = 131, SYS_arch_prctl = 158,
    SYS_futex = 202, SYS_exit_group = 231,
};

static inline long sys6(long number, long a, long b, long c, long d, long e, long f) {
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}
static inline long sys3(long number, long a, long b, long c) {
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
}
#else
enum { SYS_exit = 1, SYS_read = 3, SYS_write = 4, SYS_exit_group = 252 };

static inline long sys3(long number, long a, long b, long c) {
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory");
    return result;
}
#endif

/* Output goes to a buffer that is written when it is full, by flush(), and at the end of the program. */
void put_char(char c);
void put_text(const char *text);
void put_number(u64 value);
void put_signed(i64 value);
void put_hex(u64 value, int digits);
/* `label` and a 64-bit checksum on a line of its own. */
void put_checksum(const char *label, u64 value);
void flush(void);
__attribute__((noreturn)) void quit(int status);

usize text_length(const char *text);
int text_equal(const char *a, const char *b);
/* The program's first argument as a decimal number, or `otherwise`. */
u64 size_argument(int argc, char **argv, u64 otherwise);

/* Fresh zeroed pages; ends the program when there are none. */
void *allocate(usize bytes);
#ifdef __SSE2__
static inline double square_root(double value) {
    __asm__("sqrtsd %0, %0" : "+x"(value));
    return value;
}
static inline u64 double_bits(double value) {
#ifdef __x86_64__
    u64 bits;
    __asm__("movq %1, %0" : "=r"(bits) : "x"(value));
    return bits;
#else
    return (union { double value; u64 bits; }){ value }.bits;
#endif
}
#endif

void *memcpy(void *to, const void *from, usize bytes);
void *memset(void *to, int value, usize bytes);
int memcmp(const void *a, const void *b, usize bytes);

/* xorshift64*: the same numbers everywhere. `state` is not 0. */
static inline u64 random_next(u64 *state) {
    u64 x = *state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * 0x2545f4914f6cdd1dull;
}

/* One step of FNV-1a over the 8 bytes of `value`. */
static inline u64 mix(u64 hash, u64 value) {
    for (int i = 0; i < 8; i++) {
        hash = (hash ^ (value & 0xff)) * 0x100000001b3ull;
        value >>= 8;
    }
    return hash;
}
#define HASH_START 0xcbf29ce484222325ull

#endif
