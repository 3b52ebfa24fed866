/* Quicksort of n elements of any size through a comparison callback: indirect calls and data-dependent branches. */
#include "guest.h"

typedef int Compare(const void *a, const void *b);

typedef struct {
    u64 key;
    u32 tie, order;
} Record;

static int by_key(const void *a, const void *b) {
    const Record *left = a, *right = b;
    if (left->key != right->key) return left->key < right->key ? -1 : 1;
    return left->tie < right->tie ? -1 : left->tie > right->tie;
}

static void swap(u64 *a, u64 *b, usize words) {
    while (words--) {
        u64 value = *a;
        *a++ = *b;
        *b++ = value;
    }
}

__attribute__((noinline)) static void sort(void *base, u64 count, usize size, Compare *compare) {
    u8 *first = base;
    while (count > 1) {
        u8 *last = first + (count - 1) * size;
        swap((u64 *)first, (u64 *)(first + count / 2 * size), size / 8);
        u8 *low = first, *high = last + size;
        for (;;) {
            do low += size; while (low <= last && compare(low, first) < 0);
            do high -= size; while (compare(high, first) > 0);
            if (low > high) break;
            swap((u64 *)low, (u64 *)high, size / 8);
        }
        swap((u64 *)first, (u64 *)high, size / 8);
        u64 left = (u64)(high - first) / size;
        u64 right = count - left - 1;
        if (left < right) {
            sort(first, left, size, compare);
            first = high + size;
            count = right;
        } else {
            sort(high + size, right, size, compare);
            count = left;
        }
    }
}

static Compare *volatile chosen = by_key;

int main(int argc, char **argv, char **envp UNUSED) {
    u64 n = size_argument(argc, argv, 200000);
    Record *records = allocate(n * sizeof(Record));
    u64 state = 12345;
    for (u64 i = 0; i < n; i++) records[i] = (Record){random_next(&state) >> 44, (u32)random_next(&state), (u32)i};
    sort(records, n, sizeof(Record), chosen);
    u64 hash = HASH_START;
    for (u64 i = 0; i < n; i++) {
        if (i && by_key(&records[i - 1], &records[i]) > 0) {
            put_text("qsort: wrong\n");
            return 1;
        }
        hash = (hash ^ records[i].key ^ records[i].order) * 0x100000001b3ull;
    }
    put_checksum("qsort", hash);
    return 0;
}
