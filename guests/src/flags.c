/* Integer instructions on operands at the edges of their range; the defined flags of each go into the checksum. */
#include "guest.h"

enum { CF = 1, PF = 4, AF = 16, ZF = 64, SF = 128, OF = 2048, ALL = CF | PF | AF | ZF | SF | OF };

static const u64 edges[] = {0, 1, 2, 7, 8, 0xf, 0x10, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x7fffffff,
                            0x80000000, 0xffffffff, 0x100000000, 0x7fffffffffffffff, 0x8000000000000000,
                            0xfffffffffffffffe, 0xffffffffffffffff, 0x0123456789abcdef};

static u64 hash = HASH_START;

static void record(const char *name UNUSED, u64 result, u64 flags, u64 defined) {
    hash = mix(hash, result);
    hash = mix(hash, flags & defined);
}

/* `instruction` on `a` and `b` in registers of the width `w` selects, with CF set to `carry` before. */
#define TWO(instruction, w, defined)                                                                                   \
    do {                                                                                                               \
        u64 result = a, flags;                                                                                         \
        __asm__ volatile("bt $0, %k3\n\t" instruction " %" w "2, %" w "0\n\tpushfq\n\tpopq %1"                        \
                         : "+r"(result), "=&r"(flags)                                                                  \
                         : "r"(b), "r"(carry)                                                                          \
                         : "cc");                                                                                      \
        record(instruction, result, flags, defined);                                                                   \
    } while (0)
#define ONE(instruction, w, defined)                                                                                   \
    do {                                                                                                               \
        u64 result = a, flags;                                                                                         \
        __asm__ volatile("bt $0, %k2\n\t" instruction " %" w "0\n\tpushfq\n\tpopq %1"                                 \
                         : "+r"(result), "=&r"(flags)                                                                  \
                         : "r"(carry)                                                                                  \
                         : "cc");                                                                                      \
        record(instruction, result, flags, defined);                                                                   \
    } while (0)
#define SHIFT(instruction, w, defined)                                                                                 \
    do {                                                                                                               \
        u64 result = a, flags;                                                                                         \
        __asm__ volatile("bt $0, %k3\n\t" instruction " %%cl, %" w "0\n\tpushfq\n\tpopq %1"                           \
                         : "+r"(result), "=&r"(flags)                                                                  \
                         : "c"(count), "r"(carry)                                                                      \
                         : "cc");                                                                                      \
        record(instruction, result, flags, defined);                                                                   \
    } while (0)
#define WIDTHS(form, instruction, defined)                                                                             \
    do {                                                                                                               \
        form(instruction "b", "b", defined);                                                                           \
        form(instruction "w", "w", defined);                                                                           \
        form(instruction "l", "k", defined);                                                                           \
        form(instruction "q", "q", defined);                                                                           \
    } while (0)

static void pair(u64 a, u64 b, u64 carry) {
    WIDTHS(TWO, "add", ALL);
    WIDTHS(TWO, "adc", ALL);
    WIDTHS(TWO, "sub", ALL);
    WIDTHS(TWO, "sbb", ALL);
    WIDTHS(TWO, "cmp", ALL);
    WIDTHS(TWO, "and", ALL & ~AF);
    WIDTHS(TWO, "or", ALL & ~AF);
    WIDTHS(TWO, "xor", ALL & ~AF);
    WIDTHS(TWO, "test", ALL & ~AF);
    TWO("imulw", "w", CF | OF);
    TWO("imull", "k", CF | OF);
    TWO("imulq", "q", CF | OF);
    TWO("btl", "k", CF);
    TWO("btsq", "q", CF);
    TWO("btrw", "w", CF);
    TWO("btcq", "q", CF);
}

static void single(u64 a, u64 carry) {
    WIDTHS(ONE, "inc", ALL);
    WIDTHS(ONE, "dec", ALL);
    WIDTHS(ONE, "neg", ALL);
    for (u64 count = 0; count < 70; count += count < 9 ? 1 : 7) {
        u64 once = (count & 63) == 1 ? OF : 0;
        u64 narrow = (count & 31) == 1 ? OF : 0;
        u64 logic = count & 31 ? CF | PF | ZF | SF : ALL & ~OF;
        u64 wide = count & 63 ? CF | PF | ZF | SF : ALL & ~OF;
        SHIFT("shlq", "q", wide | once);
        SHIFT("shrq", "q", wide | once);
        SHIFT("sarq", "q", wide | once);
        SHIFT("shll", "k", logic | narrow);
        SHIFT("shrl", "k", logic | narrow);
        SHIFT("sarl", "k", logic | narrow);
        SHIFT("rolq", "q", CF | once);
        SHIFT("rorl", "k", CF | narrow);
        SHIFT("rclq", "q", CF | once);
        SHIFT("rcrl", "k", CF | narrow);
    }
}

int main(int argc UNUSED, char **argv UNUSED, char **envp UNUSED) {
    for (u64 carry = 0; carry < 2; carry++) {
        for (usize i = 0; i < COUNT(edges); i++) {
            single(edges[i], carry);
            for (usize j = 0; j < COUNT(edges); j++) pair(edges[i], edges[j], carry);
        }
    }
    put_checksum("flags", hash);
    return 0;
}
