/*
 * n steps along one cycle through 4 MiB of pointers in random order: every load waits for the one before. More than a
 * second-level cache holds, and less than the share of the third that a virtual machine may count on.
 */
#include "guest.h"

enum { NODES = 1 << 16 };
typedef struct Node {
    struct Node *next;
    u64 value, padding[6];
} Node;

int main(int argc, char **argv, char **envp UNUSED) {
    u64 n = size_argument(argc, argv, 3000000);
    Node *nodes = allocate(NODES * sizeof(Node));
    u32 *order = allocate(NODES * sizeof(u32));
    u64 state = 42;
    for (u32 i = 0; i < NODES; i++) order[i] = i;
    for (u32 i = NODES - 1; i > 0; i--) {
        u32 j = (u32)((random_next(&state) >> 32) % (i + 1)), value = order[i];
        order[i] = order[j];
        order[j] = value;
    }
    for (u32 i = 0; i < NODES; i++) {
        nodes[order[i]].next = &nodes[order[(i + 1) % NODES]];
        nodes[order[i]].value = i * 0x9e3779b9u;
    }
    u64 sum = 0;
    Node *node = nodes;
    for (u64 i = 0; i < n; i++) {
        sum = sum * 3 + node->value;
        node = node->next;
    }
    put_checksum("chase", sum);
    return 0;
}
