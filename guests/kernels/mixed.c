/*
 * What embedded benchmarks are made of, n rounds: a linked list is reversed, sorted by merging and searched; small
 * integer matrices are multiplied; a state machine tells numbers from words in a text.
 */
#include "guest.h"

enum { NODES = 64, SIDE = 12, TEXT = 256 };

struct node {
    struct node *next;
    u32 key, value;
};

static struct node nodes[NODES];

static struct node *build(u64 *seed) {
    for (int i = 0; i < NODES; i++) {
        u64 random = random_next(seed);
        nodes[i].next = i + 1 < NODES ? &nodes[i + 1] : 0;
        nodes[i].key = (u32)random & 1023;
        nodes[i].value = (u32)(random >> 32);
    }
    return nodes;
}

static struct node *reverse(struct node *list) {
    struct node *result = 0;
    while (list) {
        struct node *next = list->next;
        list->next = result;
        result = list;
        list = next;
    }
    return result;
}

static struct node *merge(struct node *a, struct node *b) {
    struct node *result = 0, **end = &result;
    while (a && b) {
        struct node **first = a->key <= b->key ? &a : &b;
        *end = *first;
        end = &(*first)->next;
        *first = *end;
    }
    *end = a ? a : b;
    return result;
}

static struct node *sort(struct node *list, int length) {
    if (length < 2) return list;
    struct node *half = list;
    for (int i = 1; i < length / 2; i++) half = half->next;
    struct node *rest = half->next;
    half->next = 0;
    return merge(sort(list, length / 2), sort(rest, length - length / 2));
}

static u64 lists(u64 *seed) {
    struct node *list = sort(reverse(build(seed)), NODES);
    u64 sum = 0;
    for (u32 wanted = 0; wanted < 1024; wanted += 128) {
        const struct node *at = list;
        while (at && at->key < wanted) at = at->next;
        sum = sum * 31 + (at ? at->value : wanted);
    }
    return sum;
}

static u64 matrices(u64 *seed) {
    static i32 a[SIDE][SIDE], product[SIDE][SIDE];
    static signed char b[SIDE][SIDE];
    for (int i = 0; i < SIDE; i++) {
        for (int j = 0; j < SIDE; j++) {
            u64 random = random_next(seed);
            a[i][j] = (i32)(random & 0xffff) - 0x8000;
            b[i][j] = (signed char)(random >> 32);
        }
    }
    u64 sum = 0;
    for (int i = 0; i < SIDE; i++) {
        for (int j = 0; j < SIDE; j++) {
            i32 cell = 0;
            for (int k = 0; k < SIDE; k++) cell += a[i][k] * b[k][j];
            product[i][j] = cell;
            sum += (u64)(u32)(cell >> (i & 3)) * (u64)(j + 1);
        }
    }
    for (int i = 0; i < SIDE; i++) sum ^= (u64)(u32)product[i][SIDE - 1 - i] << (i & 31);
    return sum;
}

enum state { BETWEEN, SIGN, INTEGER, FRACTION, WORD, INVALID, STATES };

static enum state step(enum state state, char c) {
    int digit = c >= '0' && c <= '9';
    int letter = c >= 'a' && c <= 'z';
    if (c == ' ') return BETWEEN;
    switch (state) {
    case BETWEEN: return digit ? INTEGER : letter ? WORD : c == '-' ? SIGN : INVALID;
    case SIGN: return digit ? INTEGER : INVALID;
    case INTEGER: return digit ? INTEGER : c == '.' ? FRACTION : INVALID;
    case FRACTION: return digit ? FRACTION : INVALID;
    case WORD: return letter || digit ? WORD : INVALID;
    default: return INVALID;
    }
}

static u64 states(u64 *seed) {
    static const char alphabet[32] = "0123456789-.. abcxyz 0123 456789";
    static char text[TEXT];
    u32 counts[STATES] = {0};
    for (int i = 0; i < TEXT; i += 8) {
        u64 random = random_next(seed);
        for (int j = 0; j < 8; j++) text[i + j] = alphabet[random >> (8 * j) & 31];
    }
    enum state state = BETWEEN;
    for (int i = 0; i < TEXT; i++) counts[state = step(state, text[i])]++;
    u64 sum = 0;
    for (int i = 0; i < STATES; i++) sum = sum * 257 + counts[i];
    return sum;
}

int main(int argc, char **argv, char **envp UNUSED) {
    u64 rounds = size_argument(argc, argv, 10000), seed = 42, hash = HASH_START;
    for (u64 i = 0; i < rounds; i++) {
        hash = mix(hash, lists(&seed));
        hash = mix(hash, matrices(&seed));
        hash = mix(hash, states(&seed));
    }
    put_checksum("mixed", hash);
    return 0;
}
