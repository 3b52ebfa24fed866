/* Copies the files named, or standard input, to standard output. */
#include "guest.h"

static char block[4096];

static int copy(int from) {
    for (;;) {
        long count = sys3(SYS_read, from, (long)block, sizeof(block));
        if (count <= 0) return count < 0;
        for (long done = 0; done < count;) {
            long written = sys3(SYS_write, 1, (long)(block + done), count - done);
            if (written <= 0) return 1;
            done += written;
        }
    }
}

int main(int argc, char **argv, char **envp UNUSED) {
    if (argc < 2) return copy(0);
    int failed = 0;
    for (int i = 1; i < argc; i++) {
        int file = text_equal(argv[i], "-") ? 0 : (int)sys3(SYS_open, (long)argv[i], 0, 0);
        if (file < 0) {
            static const char message[] = "cat: cannot open ";
            sys3(SYS_write, 2, (long)message, sizeof(message) - 1);
            sys3(SYS_write, 2, (long)argv[i], (long)text_length(argv[i]));
            sys3(SYS_write, 2, (long)"\n", 1);
            failed = 1;
        } else {
            failed |= copy(file);
            if (file) sys3(SYS_close, file, 0, 0);
        }
    }
    return failed;
}
