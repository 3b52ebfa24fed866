/* Loops, direct and indirect calls, a table of functions; prints a checksum. */
#include "guest.h"

typedef u64 Step(u64 value, u64 index);

__attribute__((noinline)) static u64 add(u64 value, u64 index) { return value + index; }
__attribute__((noinline)) static u64 twist(u64 value, u64 index) { return (value ^ index) * 0x9e3779b97f4a7c15ull; }
__attribute__((noinline)) static u64 turn(u64 value, u64 index) {
    unsigned by = index & 63;
    return by ? value << by | value >> (64 - by) : value;
}
__attribute__((noinline)) static u64 divide(u64 value, u64 index) { return value / (index % 97 + 1) + value % 1009; }

static Step *const volatile steps[] = {add, twist, turn, divide};

int main(int argc, char **argv, char **envp UNUSED) {
    u64 rounds = size_argument(argc, argv, 20000);
    u64 value = 1;
    for (u64 i = 0; i < rounds; i++) {
        value = steps[(value ^ i) & 3](value, i);
        value = add(value, twist(i, value));
    }
    put_checksum("sum", value);
    return 0;
}
