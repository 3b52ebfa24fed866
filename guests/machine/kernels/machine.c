/* What the kernels' guest.h stands on without an operating system: the first serial port, and memory behind the program. */
#include "guest.h"

static inline void out8(unsigned short port, u8 value) { __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }
static inline u8 in8(unsigned short port) {
    u8 value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static void send(char c) {
    while (!(in8(0x3fd) & 0x20)) continue;
    out8(0x3f8, (u8)c);
}

void put_char(char c) { send(c); }
void flush(void) {}

void put_text(const char *text) {
    while (*text) put_char(*text++);
}

void put_hex(u64 value, int digits) {
    while (digits-- > 0) put_char("0123456789abcdef"[(value >> (4 * digits)) & 15]);
}

void put_checksum(const char *label, u64 value) {
    put_text(label);
    put_char(' ');
    put_hex(value, 16);
    put_char('\n');
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

extern char heap[];
static char *next = heap;

void *allocate(usize bytes) {
    char *result = (char *)(((usize)next + 4095) & ~4095ul);
    next = result + bytes;
    return memset(result, 0, bytes);
}

/* The loader's own name for the kernel may come first; the size is the last word. */
__attribute__((used)) void start(char *line) {
    char *last = line;
    for (char *at = line; *at; at++)
        if (*at == ' ' && at[1] >= '0' && at[1] <= '9') last = at + 1;
    char *argv[] = {"kernel", last, 0};
    put_text("begin\n");
    main(2, argv, argv + 2);
    put_text("end\n");
    out8(0x64, 0xfe);
}
