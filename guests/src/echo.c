/* The arguments, one a line, and behind them the environment. */
#include "guest.h"

int main(int argc, char **argv, char **envp) {
    for (int i = 1; i < argc; i++) {
        put_number((u64)i);
        put_text(": ");
        put_text(argv[i]);
        put_char('\n');
    }
    for (; *envp; envp++) {
        put_text(*envp);
        put_char('\n');
    }
    return 0;
}
