/*
 * One function of the C library or of zlib, many times: `library-loop FUNCTION CALLS BYTES`. Prints a checksum. Time per
 * call is the difference between two runs that differ in CALLS: start-up and translation are in both.
 *
 *   cc -O2 -o library-loop library-loop.c -lz
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static int compare(const void *a, const void *b) {
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    if (argc < 4) return 2;
    const char *what = argv[1];
    size_t calls = strtoul(argv[2], 0, 10), size = strtoul(argv[3], 0, 10);
    char *a = malloc(size + 1), *b = malloc(size + 1);
    int *numbers = malloc((size + 1) * sizeof *numbers);
    unsigned long sum = 0;
    unsigned seed = 1;
    for (size_t i = 0; i < size; i++) a[i] = 'a' + ((seed = seed * 1103515245 + 12345) >> 16) % 20;
    a[size] = 0;
    memcpy(b, a, size + 1);
    uLongf packed = compressBound(size);
    Bytef *z = malloc(packed);
    compress(z, &packed, (Bytef *)a, size);
    /* Which one is said once: a comparison of names for each call would be measured, too. */
    static const char *const names[] = {"memcpy", "memset",  "strlen",  "memchr", "strcmp",
                                        "crc32",  "adler32", "inflate", "qsort"};
    int which = 0;
    while (which < 9 && strcmp(what, names[which])) which++;
    if (which == 9) return 2;
    for (size_t i = 0; i < calls; i++) {
        uLongf length = size;
        switch (which) {
        case 0: memcpy(b, a, size), sum += b[i % size]; break;
        case 1: memset(b, (int)i, size), sum += b[i % size]; break;
        case 2: sum += strlen(a); break;
        case 3: sum += memchr(a, '~', size) != 0; break;
        case 4: sum += strcmp(a, b) == 0; break;
        case 5: sum += crc32(0, (Bytef *)a, size); break;
        case 6: sum += adler32(1, (Bytef *)a, size); break;
        case 7: uncompress((Bytef *)b, &length, z, packed), sum += b[i % size] + length; break;
        default:
            for (size_t k = 0; k < size; k++) numbers[k] = (seed = seed * 1103515245 + 12345) >> 8;
            qsort(numbers, size, sizeof *numbers, compare);
            sum += numbers[size / 2];
        }
        __asm__ volatile("" ::: "memory");
    }
    printf("%lu\n", sum);
    return 0;
}
