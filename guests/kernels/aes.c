/* AES-128 encryption with four round tables, n blocks chained; checks itself on the example of FIPS 197, appendix C.1. */
#include "guest.h"

static u8 sbox[256];
static u32 tables[4][256];
static u32 keys[44];

static u8 twice(u8 value) { return (u8)(value << 1 ^ (value & 0x80 ? 0x1b : 0)); }
static u32 turn(u32 value, int by) { return value >> by | value << (32 - by); }

/* The S-box from multiplicative inverses: 3 generates the field, p runs through its powers, q through the inverses. */
static void make_tables(void) {
    u8 p = 1, q = 1;
    do {
        p = (u8)(p ^ twice(p));
        q = (u8)(q ^ q << 1);
        q = (u8)(q ^ q << 2);
        q = (u8)(q ^ q << 4);
        if (q & 0x80) q ^= 0x09;
        u32 x = q;
        sbox[p] = (u8)(x ^ (x << 1 | x >> 7) ^ (x << 2 | x >> 6) ^ (x << 3 | x >> 5) ^ (x << 4 | x >> 4) ^ 0x63);
    } while (p != 1);
    sbox[0] = 0x63;
    for (int i = 0; i < 256; i++) {
        u32 s = sbox[i], d = twice(sbox[i]);
        u32 word = d << 24 | s << 16 | s << 8 | (d ^ s);
        for (int t = 0; t < 4; t++) tables[t][i] = t ? turn(word, 8 * t) : word;
    }
}

static u32 substitute(u32 word) {
    return (u32)sbox[word >> 24] << 24 | (u32)sbox[word >> 16 & 255] << 16 | (u32)sbox[word >> 8 & 255] << 8 |
           sbox[word & 255];
}

static void expand(const u32 key[4]) {
    u32 round = 0x01000000;
    for (int i = 0; i < 4; i++) keys[i] = key[i];
    for (int i = 4; i < 44; i++) {
        u32 word = keys[i - 1];
        if (i % 4 == 0) {
            word = substitute(turn(word, 24)) ^ round;
            round = (u32)twice((u8)(round >> 24)) << 24;
        }
        keys[i] = keys[i - 4] ^ word;
    }
}

static void encrypt(u32 s[4]) {
    u32 t[4];
    for (int i = 0; i < 4; i++) s[i] ^= keys[i];
    for (int round = 1; round < 10; round++) {
        for (int i = 0; i < 4; i++) {
            t[i] = tables[0][s[i] >> 24] ^ tables[1][s[(i + 1) & 3] >> 16 & 255] ^ tables[2][s[(i + 2) & 3] >> 8 & 255] ^
                   tables[3][s[(i + 3) & 3] & 255] ^ keys[4 * round + i];
        }
        for (int i = 0; i < 4; i++) s[i] = t[i];
    }
    for (int i = 0; i < 4; i++) {
        t[i] = ((u32)sbox[s[i] >> 24] << 24 | (u32)sbox[s[(i + 1) & 3] >> 16 & 255] << 16 |
                (u32)sbox[s[(i + 2) & 3] >> 8 & 255] << 8 | sbox[s[(i + 3) & 3] & 255]) ^ keys[40 + i];
    }
    for (int i = 0; i < 4; i++) s[i] = t[i];
}

int main(int argc, char **argv, char **envp UNUSED) {
    u64 n = size_argument(argc, argv, 300000);
    static const u32 key[4] = {0x00010203, 0x04050607, 0x08090a0b, 0x0c0d0e0f};
    u32 block[4] = {0x00112233, 0x44556677, 0x8899aabb, 0xccddeeff};
    make_tables();
    expand(key);
    encrypt(block);
    if (block[0] != 0x69c4e0d8 || block[3] != 0x70b4c55a) {
        put_text("aes: wrong\n");
        return 1;
    }
    for (u64 i = 0; i < n; i++) {
        block[0] ^= (u32)i;
        encrypt(block);
    }
    put_checksum("aes", (u64)(block[0] ^ block[2]) << 32 | (block[1] ^ block[3]));
    return 0;
}
