/*
 * Code that changes while it runs: written afresh, patched in an operand, changed just ahead of the processor, and
 * written through a second mapping's permissions.
 */
#include "guest.h"

typedef u64 Code(u64 value);

static u8 *emit(u8 *at, const char *bytes, usize count) {
    memcpy(at, bytes, count);
    return at + count;
}

/* mov rax, rdi; then one of add, xor, imul with `operand`; ret */
static void generate(u8 *at, u32 kind, u32 operand) {
    static const char *const operations[] = {"\x48\x05", "\x48\x35", "\x48\x69\xc0"};
    static const u8 lengths[] = {2, 2, 3};
    at = emit(at, "\x48\x89\xf8", 3);
    at = emit(at, operations[kind], lengths[kind]);
    at = emit(at, (const char *)&operand, 4);
    *at = 0xc3;
}

int main(int argc, char **argv, char **envp UNUSED) {
    u64 rounds = size_argument(argc, argv, 3000);
    u8 *page = (u8 *)sys6(SYS_mmap, 0, 8192, 7, 0x22, -1, 0);
    Code *code = (Code *)page;
    u64 value = 1;

    for (u32 i = 0; i < rounds; i++) {
        generate(page, i % 3, i * 2 + 1);
        value = code(value);
    }
    put_checksum("written afresh", value);

    generate(page, 0, 0);
    for (u32 i = 0; i < rounds; i++) {
        memcpy(page + 5, &i, 4);
        value = code(value) ^ code(i);
    }
    put_checksum("operand patched", value);

    /* Across a page's end. */
    Code *straddling = (Code *)(page + 4096 - 6);
    for (u32 i = 0; i < rounds; i++) {
        generate(page + 4096 - 6, i % 3, i + 3);
        value = straddling(value);
    }
    put_checksum("across pages", value);

    /* mov byte [rip+1], dil; mov al, 0 (the operand just written); movzx eax, al; ret */
    emit(page + 256, "\x40\x88\x3d\x01\x00\x00\x00\xb0\x00\x0f\xb6\xc0\xc3", 13);
    Code *ahead = (Code *)(page + 256);
    u64 hash = HASH_START;
    for (u32 i = 0; i < rounds; i++) hash = mix(hash, ahead(i * 7));
    put_checksum("changed ahead", hash);

    for (u32 i = 0; i < rounds / 10; i++) {
        sys3(SYS_mprotect, (long)page, 4096, 3);
        generate(page, i % 3, i * 5);
        sys3(SYS_mprotect, (long)page, 4096, 5);
        value = code(value);
    }
    put_checksum("between mprotects", value);
    return 0;
}
