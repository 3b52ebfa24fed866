/* One line from 32-bit protected mode, by int 0x80. */
#include "guest.h"

static u32 collatz(u32 n) {
    u32 steps = 0;
    for (; n != 1; steps++) n = n & 1 ? 3 * n + 1 : n / 2;
    return steps;
}

int main(int argc UNUSED, char **argv UNUSED, char **envp UNUSED) {
    put_text("Hello from an i386 program\ncollatz(97) takes ");
    put_number(collatz(97));
    put_text(" steps\n");
    return 0;
}
