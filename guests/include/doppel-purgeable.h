/*
 * Memory that this program can rebuild: a checkpointed machine does not carry it to its standby, which saves what it
 * costs to send it at every checkpoint, and finds it empty after a failover. For any program, with any libc or none.
 *
 *     static struct doppel_descriptor descriptor __attribute__((aligned(16)));    // in ordinary memory
 *
 *     long id = doppel_purgeable_designate(cache, bytes, &descriptor);    // not shared with children: MADV_DONTFORK
 *     doppel_purgeable_set_volatile(id);
 *     ...
 *     copy = cache[i];                             // read in place, then ask whether it was there
 *     if (!doppel_purgeable_intact(&descriptor)) {
 *         doppel_purgeable_set_nonvolatile(id);
 *         rebuild(cache);
 *         doppel_purgeable_set_volatile(id);
 *     }
 *
 * Results below 0 are Linux's errors, negated; -38 (ENOSYS): this is no machine of doppel's, and memory never empties. Only
 * whole pages of a range are designated. What the kernel moves, swaps or copies stays tracked from then on.
 */
#ifndef DOPPEL_PURGEABLE_H
#define DOPPEL_PURGEABLE_H

enum { DOPPEL_NONVOLATILE = 0, DOPPEL_VOLATILE = 1, DOPPEL_EMPTY = 2 };

/* Lies in a page of its own program that is not designated. The machine writes state and generation. */
struct doppel_descriptor {
    unsigned long nonce;
    volatile unsigned int state;
    volatile unsigned int generation;
};

struct doppel_results {
    unsigned long first, second, third;
};

/* CPUID with a leaf of those that processors leave to hypervisors. */
static inline long doppel_purgeable_call(unsigned operation, unsigned long a, unsigned long b, unsigned long c,
                                         struct doppel_results *results) {
    unsigned long result = 0x4f505500, second = operation, third = c, first;
    __asm__ volatile("cpuid"
                     : "+a"(result), "=b"(first), "+c"(second), "+d"(third)
                     : "D"(a), "S"(b)
                     : "memory");
    results->first = first;
    results->second = second;
    results->third = third;
    return (int)result;
}

static inline int doppel_purgeable_present(void) {
    struct doppel_results results;
    unsigned eax = 1, ebx, ecx, edx;
    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
    if (!(ecx >> 31)) return 0; /* on a real processor */
    return doppel_purgeable_call(0, 0, 0, 0, &results) == 0 && results.first == 1 && results.second == 0x676c7070;
}

/* The region, which is non-volatile at first; or an error. */
static inline long doppel_purgeable_designate(void *memory, unsigned long bytes, struct doppel_descriptor *descriptor) {
    struct doppel_results results;
    descriptor->nonce = 0;
    descriptor->state = DOPPEL_NONVOLATILE;
    descriptor->generation = 0;
    if (!doppel_purgeable_present()) return -38;
    long error = doppel_purgeable_call(1, (unsigned long)memory, bytes, (unsigned long)descriptor, &results);
    if (error) return error;
    descriptor->nonce = results.second;
    return (long)results.first;
}

static inline long doppel_purgeable_change(unsigned operation, long id) {
    struct doppel_results results;
    if (id < 0) return id;
    long error = doppel_purgeable_call(operation, (unsigned long)id, 0, 0, &results);
    return error ? error : (long)results.first;
}

/* Each returns the state before. What is left by the second was there till then (DOPPEL_VOLATILE) or is lost. */
static inline long doppel_purgeable_set_volatile(long id) { return doppel_purgeable_change(2, id); }
static inline long doppel_purgeable_set_nonvolatile(long id) { return doppel_purgeable_change(3, id); }
/* Takes the designation back. */
static inline long doppel_purgeable_remove(long id) { return doppel_purgeable_change(4, id); }

/* Whether what was read from the region before this call was its content. */
static inline int doppel_purgeable_intact(const struct doppel_descriptor *descriptor) {
    __asm__ volatile("" ::: "memory");
    return descriptor->state != DOPPEL_EMPTY;
}

#endif
