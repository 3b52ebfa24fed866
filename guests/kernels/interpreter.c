/* A bytecode interpreter: a loop around a switch, which the compiler makes an indirect jump. n rounds of the program. */
#include "guest.h"

enum { PUSH, LOAD, STORE, ADD, SUB, MUL, XOR, SHIFT, LESS, JUMP_IF, JUMP, ARRAY, ARRAY_SET, HALT };

/* s = 0; for (i = 0; i < rounds; i++) { a[i & 63] = a[(i + 7) & 63] * 3 + i; s = (s ^ a[i & 63]) + (s >> 5); } */
static const u8 program[] = {
    PUSH, 0, STORE, 0, PUSH, 0, STORE, 1,
    /* 8 */ LOAD, 1, LOAD, 2, LESS, JUMP_IF, 17, JUMP, 56,
    /* 17 */ LOAD, 1, PUSH, 7, ADD, ARRAY, PUSH, 3, MUL, LOAD, 1, ADD, LOAD, 1, ARRAY_SET,
    /* 32 */ LOAD, 0, LOAD, 1, ARRAY, XOR, LOAD, 0, PUSH, 5, SHIFT, ADD, STORE, 0,
    /* 46 */ LOAD, 1, PUSH, 1, ADD, STORE, 1, JUMP, 8, HALT,
    /* 56 */ HALT};

static u64 run(u64 rounds) {
    u64 stack[16], variables[3] = {0, 0, rounds}, array[64];
    u64 *top = stack;
    for (int i = 0; i < 64; i++) array[i] = (u64)i * 17;
    for (const u8 *at = program;;) {
        switch (*at++) {
        case PUSH: *++top = *at++; break;
        case LOAD: *++top = variables[*at++]; break;
        case STORE: variables[*at++] = *top--; break;
        case ADD: top--; *top += top[1]; break;
        case SUB: top--; *top -= top[1]; break;
        case MUL: top--; *top *= top[1]; break;
        case XOR: top--; *top ^= top[1]; break;
        case SHIFT: top--; *top >>= top[1]; break;
        case LESS: top--; *top = *top < top[1]; break;
        case JUMP_IF: at = *top-- ? program + *at : at + 1; break;
        case JUMP: at = program + *at; break;
        case ARRAY: *top = array[*top & 63]; break;
        case ARRAY_SET: top -= 2; array[top[2] & 63] = top[1]; break;
        default: return variables[0];
        }
    }
}

int main(int argc, char **argv, char **envp UNUSED) {
    put_checksum("interpreter", run(size_argument(argc, argv, 500000)));
    return 0;
}
