/* fib(n) by its definition: calls and returns. */
#include "guest.h"

/* The barrier keeps the compiler from unrolling the recursion into a loop. */
__attribute__((noinline)) static u64 fib(u64 n) {
    if (n < 2) return n;
    u64 left = fib(n - 1);
    __asm__ volatile("");
    return left + fib(n - 2);
}

int main(int argc, char **argv, char **envp UNUSED) {
    put_checksum("fib", fib(size_argument(argc, argv, 30)));
    return 0;
}
