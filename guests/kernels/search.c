/* Boyer-Moore-Horspool search for several words in a generated text of n bytes, and a plain search to agree with. */
#include "guest.h"

static u64 find_all(const u8 *text, u64 length, const u8 *word, u64 size) {
    u32 skip[256];
    for (int i = 0; i < 256; i++) skip[i] = (u32)size;
    for (u64 i = 0; i + 1 < size; i++) skip[word[i]] = (u32)(size - 1 - i);
    u64 hash = 0;
    for (u64 at = 0; at + size <= length; at += skip[text[at + size - 1]]) {
        u64 i = size;
        while (i > 0 && text[at + i - 1] == word[i - 1]) i--;
        if (i == 0) hash = hash * 31 + at + 1;
    }
    return hash;
}

static u64 find_plainly(const u8 *text, u64 length, const u8 *word, u64 size) {
    u64 hash = 0;
    for (u64 at = 0; at + size <= length; at++) {
        if (text[at] == word[0] && memcmp(text + at, word, size) == 0) hash = hash * 31 + at + 1;
    }
    return hash;
}

int main(int argc, char **argv, char **envp UNUSED) {
    u64 n = size_argument(argc, argv, 2000000);
    static const char *const words[] = {"ea", "the", "abcab", "acedfa", "fffe"};
    u8 *text = allocate(n);
    u64 state = 7;
    for (u64 i = 0; i < n; i++) {
        u64 value = random_next(&state) >> 33;
        text[i] = value % 97 == 0 ? ' ' : "abcdeft he"[value % 10];
    }
    u64 hash = HASH_START;
    for (usize i = 0; i < COUNT(words); i++) {
        const u8 *word = (const u8 *)words[i];
        u64 found = find_all(text, n, word, text_length(words[i]));
        if (found != find_plainly(text, n, word, text_length(words[i]))) {
            put_text("search: wrong\n");
            return 1;
        }
        hash = mix(hash, found);
    }
    put_checksum("search", hash);
    return 0;
}
