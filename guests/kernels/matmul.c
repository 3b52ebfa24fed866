/* The product of two n by n matrices of doubles. */
#include "guest.h"

int main(int argc, char **argv, char **envp UNUSED) {
    u64 n = size_argument(argc, argv, 200);
    double *a = allocate(n * n * sizeof(double));
    double *b = allocate(n * n * sizeof(double));
    double *c = allocate(n * n * sizeof(double));
    for (u64 i = 0; i < n * n; i++) {
        a[i] = (double)(i % 17) / 3 - 2;
        b[i] = (double)(i % 29) / 7 - 1;
    }
    for (u64 i = 0; i < n; i++) {
        for (u64 k = 0; k < n; k++) {
            double scale = a[i * n + k];
            for (u64 j = 0; j < n; j++) c[i * n + j] += scale * b[k * n + j];
        }
    }
    u64 hash = HASH_START;
    for (u64 i = 0; i < n * n; i++) hash = (hash ^ double_bits(c[i])) * 0x100000001b3ull;
    put_checksum("matmul", hash);
    return 0;
}
