/* Read-modify-write of a table of counters at random places: n updates of a megabyte. */
#include "guest.h"

enum { ENTRIES = 1 << 18 };
static u32 table[ENTRIES];

int main(int argc, char **argv, char **envp UNUSED) {
    u64 n = size_argument(argc, argv, 5000000);
    u64 state = 88172645463325252ull;
    for (u64 i = 0; i < n; i++) {
        u64 value = random_next(&state);
        table[value & (ENTRIES - 1)] += (u32)(value >> 32);
        table[(value >> 20) & (ENTRIES - 1)] ^= (u32)i;
    }
    u64 hash = HASH_START;
    for (u64 i = 0; i < ENTRIES; i++) hash = (hash ^ table[i]) * 0x100000001b3ull;
    put_checksum("table", hash);
    return 0;
}
