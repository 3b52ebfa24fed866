/* One line, one system call. */
#include "guest.h"

int main(int argc UNUSED, char **argv UNUSED, char **envp UNUSED) {
    put_text("Hello from an x86-64 program\n");
    return 0;
}
