/* Primes below n, one byte each: stores at a stride, then a scan. */
#include "guest.h"

int main(int argc, char **argv, char **envp UNUSED) {
    u64 n = size_argument(argc, argv, 5000000);
    u8 *composite = allocate(n + 1);
    for (u64 i = 2; i * i <= n; i++) {
        if (composite[i]) continue;
        for (u64 j = i * i; j <= n; j += i) composite[j] = 1;
    }
    u64 count = 0, hash = HASH_START;
    for (u64 i = 2; i <= n; i++) {
        if (!composite[i]) count++, hash = (hash ^ i) * 0x100000001b3ull;
    }
    put_checksum("sieve", hash ^ count);
    return 0;
}
