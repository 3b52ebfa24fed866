#include "guest.h"

#ifdef __x86_64__
__asm__(".globl _start\n"
        "_start:\n"
        "    xor %ebp, %ebp\n"
        "    mov %rsp, %rdi\n"
        "    and $-16, %rsp\n"
        "    call guest_start\n"
        "    hlt\n");
#else
__asm__(".globl _start\n"
        "_start:\n"
        "    xor %ebp, %ebp\n"
        "    mov %esp, %eax\n"
        "    and $-16, %esp\n"
        "    sub $12, %esp\n"
        "    push %eax\n"
        "    call guest_start\n"
        "    hlt\n");
#endif

/* `stack` is what the kernel left at the stack pointer: argc, argv, 0, envp, 0. */
__attribute__((noreturn, used)) void guest_start(long *stack) {
    int argc = (int)stack[0];
    char **argv = (char **)(stack + 1);
    quit(main(argc, argv, argv + argc + 1));
}

static char buffer[1024];
static unsigned used;

void flush(void) {
    unsigned done = 0;
    while (done < used) {
        long count = sys3(SYS_write, 1, (long)(buffer + done), used - done);
        if (count <= 0) break;
        done += (unsigned)count;
    }
    used = 0;
}

void quit(int status) {
    flush();
    for (;;) sys3(SYS_exit_group, status, 0, 0);
}

void put_char(char c) {
    if (used == sizeof(buffer)) flush();
    buffer[used++] = c;
}

void put_text(const char *text) {
    while (*text) put_char(*text++);
}

void put_hex(u64 value, int digits) {
    while (digits-- > 0) put_char("0123456789abcdef"[(value >> (4 * digits)) & 15]);
}

void put_number(u64 value) {
#ifdef __x86_64__
    char text[20];
    int length = 0;
    do {
        text[length++] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
#else /* 64-bit division would need the compiler's library. */
    char text[10];
    int length = 0;
    u32 low = (u32)value;
    do {
        text[length++] = (char)('0' + low % 10);
        low /= 10;
    } while (low);
#endif
    while (length) put_char(text[--length]);
}

void put_signed(i64 value) {
    if (value < 0) put_char('-');
    put_number(value < 0 ? 0 - (u64)value : (u64)value);
}

void put_checksum(const char *label, u64 value) {
    put_text(label);
    put_char(' ');
    put_hex(value, 16);
    put_char('\n');
}

usize text_length(const char *text) {
    usize length = 0;
    while (text[length]) length++;
    return length;
}

int text_equal(const char *a, const char *b) {
    while (*a && *a == *b) a++, b++;
    return *a == *b;
}

u64 size_argument(int argc, char **argv, u64 otherwise) {
    if (argc < 2) return otherwise;
    u64 value = 0;
    for (const char *text = argv[1]; *text >= '0' && *text <= '9'; text++) value = value * 10 + (u64)(*text - '0');
    return value ? value : otherwise;
}

void *memcpy(void *to, const void *from, usize bytes) {
    void *result = to;
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
    return result;
}

void *memset(void *to, int value, usize bytes) {
    void *result = to;
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(value) : "memory");
    return result;
}

int memcmp(const void *a, const void *b, usize bytes) {
    const u8 *left = a, *right = b;
    for (usize i = 0; i < bytes; i++) {
        if (left[i] != right[i]) return left[i] < right[i] ? -1 : 1;
    }
    return 0;
}

#ifdef __x86_64__
void *allocate(usize bytes) {
    long result = sys6(SYS_mmap, 0, (long)bytes, 3, 0x22, -1, 0);
    if (result < 0 && result > -4096) {
        put_text("out of memory\n");
        quit(1);
    }
    return (void *)result;
}
#endif
