/*
 * A cache in purgeable memory: answers are looked up there, computed when they are missing, and checked all the same. On a
 * machine that fails over it finds its cache empty now and then, and rebuilds it; its output is the same.
 */
#include "../include/doppel-purgeable.h"
#include "guest.h"

enum { ENTRIES = 4096, PAGE = 4096 };

static u32 cache[ENTRIES] __attribute__((aligned(PAGE)));
static struct doppel_descriptor descriptor __attribute__((aligned(16)));
static u32 computed, rebuilt;

static u32 collatz_steps(u32 n) {
    u32 steps = 0;
    for (u64 value = n; value > 1; steps++) value = value & 1 ? 3 * value + 1 : value / 2;
    return steps;
}

static u32 look_up(long region, u32 n) {
    u32 found = cache[n];
    if (!doppel_purgeable_intact(&descriptor)) {
        doppel_purgeable_set_nonvolatile(region);
        rebuilt++;
        doppel_purgeable_set_volatile(region);
        found = 0;
    }
    if (found) return found - 1;
    computed++;
    found = collatz_steps(n);
    cache[n] = found + 1;
    return found;
}

int main(int argc, char **argv, char **envp UNUSED) {
    u64 rounds = size_argument(argc, argv, 1000);
    long region = doppel_purgeable_designate(cache, sizeof cache, &descriptor);
    doppel_purgeable_set_volatile(region);
    u64 sum = 0, expected = 0;
    for (u64 round = 0; round < rounds; round++) {
        for (u32 n = 1; n < ENTRIES; n++) sum += look_up(region, n);
    }
    for (u32 n = 1; n < ENTRIES; n++) expected += collatz_steps(n);
    put_text(region >= 0 ? "the cache is purgeable" : "the cache is memory like any other");
    put_text("; answers looked up: ");
    put_number(rounds * (ENTRIES - 1));
    put_text(", computed: ");
    put_number(computed);
    put_text(", times that the cache was found empty: ");
    put_number(rebuilt);
    put_text(sum == expected * rounds ? "\nall are right\n" : "\nSOME ARE WRONG\n");
    return sum != expected * rounds;
}
