/* 64-bit multiplications, rotations and exclusive ors in registers: n rounds on four lanes. */
#include "guest.h"

static u64 turn(u64 value, int by) { return value << by | value >> (64 - by); }

int main(int argc, char **argv, char **envp UNUSED) {
    u64 n = size_argument(argc, argv, 10000000);
    u64 a = 0x60ea27eeadc0b5d6ull, b = 0xc2b2ae3d27d4eb4full, c = 0, d = 0x61c8864e7a143579ull;
    for (u64 i = 0; i < n; i++) {
        a = turn(a + i * 0xc2b2ae3d27d4eb4full, 31) * 0x9e3779b185ebca87ull;
        b = turn(b ^ a, 27) * 5 + 0x52dce729;
        c = turn(c + (b ^ i), 33) * 0xff51afd7ed558ccdull;
        d ^= (c >> 29) + (a ^ b);
    }
    put_checksum("hash64", a ^ b ^ c ^ d);
    return 0;
}
