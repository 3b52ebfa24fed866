/*
 * The processor of this machine as the oracle: runs instruction bytes on given states, by the batch, and reports the
 * state they leave or the fault they raise. Freestanding, so that FS and GS belong to the cases.
 *
 * stdin is a sequence of cases, stdout one of results, little-endian, each starting with its own size; what follows a
 * case's or a result's fixed part is variable. ../format.ts is the other end of both and describes the memory layout.
 *
 *   case     0 u32 size            4 u8 mode (64, 32)   5 u8 code bytes   6 u8 patches   8 u64 code address
 *           16 u64 gpr[16]       144 u64 flags        152 padding       160 u8 image[416] (FXSAVE64)
 *          576 u8 code[32]       608 patches: u64 address, u64 bytes, the bytes padded to 8
 *   result   0 u32 size            4 u8 kind (0 end, 1 fault, 2 timeout)   5 u8 vector   6 u8 signal   8 u64 rip
 *           16 u64 gpr[16]       144 u64 flags        152 u32 error code, i32 si_code   160 u8 image[416]
 *          576 u64 fault address 584 u64 si_addr      592 u64 changed words              600 each: u64 address, u64 value
 *
 * A case's code is followed by a jump to the exit and surrounded by INT3; a case ends where the first address outside
 * its bytes is reached, which is its final RIP. A patch is memory that differs from the pattern every case starts with;
 * a changed word is memory that the case left different from what it started with.
 */
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long u64;
typedef int i32;

enum { PAGE = 4096, CODE_BYTES = 64 * PAGE, MAX_CODE = 32, IMAGE = 416 };
#define CODE 0x10000000ul
#define DATA 0x11000000ul /* two pages to read and write, with nothing mapped around them, */
#define READ_ONLY 0x11004000ul /* a page to read, */
#define HIGH 0x123456789000ul /* and one to read and write, out of reach of 32 bits. */
#define FS_BASE 0x11000400ul
#define GS_BASE 0x11001000ul
#define FS_SELECTOR 0x63u
#define GS_SELECTOR 0x6bu
#define FLAGS 0x240cd5ul /* CF PF AF ZF SF DF OF AC ID */

struct case_header {
    u32 size;
    u8 mode, code_bytes, patches, unused;
    u64 address, gpr[16], flags, padding;
    u8 image[IMAGE], code[MAX_CODE];
};
struct result_header {
    u32 size;
    u8 kind, vector, signal, unused;
    u64 rip, gpr[16], flags;
    u32 error;
    i32 signal_code;
    u8 image[IMAGE];
    u64 fault_address, signal_address, words;
};
_Static_assert(sizeof(struct case_header) == 608, "cases are laid out as format.ts has them");
_Static_assert(sizeof(struct result_header) == 600, "results are laid out as format.ts has them");

/* What the entry stub loads and the exit stub stores; their offsets are in the assembly below. */
__attribute__((used, aligned(64))) static struct {
    u8 image[512];
    u64 gpr[16], flags, rip;
    u32 far_offset;
    u32 far_selector;
} in, out;
__attribute__((used)) static u64 host_stack;

void enter64(void), enter32(void), leave(void), recover(void);

#define LOAD(register, index) "    mov in+512+8*" #index ", %" #register "\n"
#define STORE(register, index) "    mov %" #register ", out+512+8*" #index "\n"
#define ALL_BUT_RSP(M)                                                                                                 \
    M(rax, 0) M(rcx, 1) M(rdx, 2) M(rbx, 3) M(rbp, 5) M(rsi, 6) M(rdi, 7) M(r8, 8) M(r9, 9) M(r10, 10) M(r11, 11)     \
        M(r12, 12) M(r13, 13) M(r14, 14) M(r15, 15)
#define ENTER                                                                                                          \
    "    push %rbx\n    push %rbp\n    push %r12\n    push %r13\n    push %r14\n    push %r15\n"                      \
    "    mov %rsp, host_stack\n"                                                                                       \
    "    fxrstor64 in\n"                                                                                               \
    "    pushq in+640\n    popfq\n" ALL_BUT_RSP(LOAD) LOAD(rsp, 4)

__asm__("enter64:\n" ENTER "    jmp *in+648\n"
        "enter32:\n" ENTER "    ljmp *in+656\n"
        "leave:\n" ALL_BUT_RSP(STORE) STORE(rsp, 4) "    mov host_stack, %rsp\n"
        "    pushfq\n    popq out+640\n"
        "    fxsave64 out\n"
        "recover:\n"
        "    mov host_stack, %rsp\n"
        "    pushq $0x202\n    popfq\n"
        "    fninit\n    ldmxcsr default_mxcsr\n"
        "    mov $0x2b, %eax\n    mov %eax, %ds\n    mov %eax, %es\n    mov %eax, %ss\n"
        "    pop %r15\n    pop %r14\n    pop %r13\n    pop %r12\n    pop %rbp\n    pop %rbx\n"
        "    ret\n"
        "default_mxcsr: .long 0x1f80\n"
        ".globl _start\n_start:\n    xor %ebp, %ebp\n    and $-16, %rsp\n    call run\n    hlt\n"
        "restorer:\n    mov $15, %eax\n    syscall\n");
void restorer(void);

static long system_call(long number, long a, long b, long c, long d, long e, long f) {
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}
enum { READ = 0, WRITE = 1, MMAP = 9, MPROTECT = 10, SIGACTION = 13, SETITIMER = 38, EXIT = 231, SIGALTSTACK = 131 };

static void copy(void *to, const void *from, u64 bytes) {
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
}
static void fill(void *to, u8 value, u64 bytes) {
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(value) : "memory");
}
static void quit(int status) {
    for (;;) system_call(EXIT, status, 0, 0, 0, 0, 0);
}

/* Signals: what the kernel tells of a fault becomes the result, and the case is left. */

struct signal_info {
    i32 signal, error, code, padding;
    u64 address;
};
struct user_context {
    u64 flags, link, stack[3];
    u64 registers[23]; /* r8 .. r15 rdi rsi rbp rbx rdx rax rcx rsp rip flags segments error trap mask cr2 */
    const u8 *floating;
};
enum { SIGILL = 4, SIGTRAP = 5, SIGBUS = 7, SIGFPE = 8, SIGSEGV = 11, SIGALRM = 14 };

static struct result_header *result;
static volatile u32 running, case_number, alarmed_at;

__attribute__((used)) static void on_signal(i32 signal, struct signal_info *info, struct user_context *context) {
    static const u8 from_context[16] = {13, 14, 12, 11, 15, 10, 9, 8, 0, 1, 2, 3, 4, 5, 6, 7};
    const u64 *registers = context->registers;
    if (!running && signal == SIGALRM) return;
    if (!running) quit(10 + signal);
    if (signal == SIGALRM) {
        if (alarmed_at != case_number) {
            alarmed_at = case_number;
            return;
        }
    }
    result->kind = signal == SIGALRM ? 2 : 1;
    for (int i = 0; i < 16; i++) out.gpr[i] = registers[from_context[i]];
    out.rip = registers[16];
    out.flags = registers[17];
    result->signal = (u8)signal;
    result->signal_code = info->code;
    result->signal_address = info->address;
    result->error = (u32)registers[19];
    result->vector = signal == SIGALRM ? 0 : (u8)registers[20];
    result->fault_address = result->vector == 14 ? registers[22] : 0;
    copy(out.image, context->floating, IMAGE);
    __asm__ volatile("jmp recover");
}

static void handle(int signal) {
    struct {
        void (*handler)(i32, struct signal_info *, struct user_context *);
        u64 flags;
        void (*restorer)(void);
        u64 mask;
    } action = {on_signal, 0x4c000004 /* SIGINFO ONSTACK RESTORER NODEFER */, restorer, 0};
    system_call(SIGACTION, signal, (long)&action, 0, 8, 0, 0);
}

/* Memory. */

static const struct {
    u64 address, bytes;
} windows[] = {{DATA, 2 * PAGE}, {HIGH, PAGE}};
static u64 pristine[3 * PAGE / 8];

static void *map(u64 address, u64 bytes, int protection) {
    long flags = address ? 0x100022 /* FIXED_NOREPLACE PRIVATE ANONYMOUS */ : 0x4022 /* NORESERVE */;
    long got = system_call(MMAP, (long)address, (long)bytes, protection, flags, -1, 0);
    if (got < 0 && got > -4096) quit(2);
    if (address && (u64)got != address) quit(2);
    return (void *)got;
}

/* The pattern, as format.ts computes it too: splitmix64 of the address. */
static u64 pattern(u64 address) {
    u64 z = address * 0x9e3779b97f4a7c15ul;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ul;
    z = (z ^ z >> 27) * 0x94d049bb133111ebul;
    return z ^ z >> 31;
}

static u64 *before(u64 address) {
    return address >= HIGH ? pristine + 2 * PAGE / 8 + (address - HIGH) / 8 : pristine + (address - DATA) / 8;
}

static u32 thread_segment(u64 base) {
    static struct {
        u32 entry, base, limit, flags;
    } descriptor;
    descriptor.entry = ~0u;
    descriptor.base = (u32)base;
    descriptor.limit = 0xfffff;
    descriptor.flags = 0x51; /* 32-bit, limit in pages, usable */
    long result = 243;       /* set_thread_area, which only i386 has; it preserves no R8 to R11. */
    __asm__ volatile("int $0x80" : "+a"(result) : "b"(&descriptor) : "r8", "r9", "r10", "r11", "memory");
    if (result != 0) quit(2);
    return descriptor.entry << 3 | 3;
}

static void set_up(void) {
    map(CODE, CODE_BYTES, 7);
    fill((void *)CODE, 0xcc, CODE_BYTES);
    for (unsigned w = 0; w < 2; w++) {
        map(windows[w].address, windows[w].bytes, 3);
        for (u64 at = windows[w].address; at < windows[w].address + windows[w].bytes; at += 8) {
            *(u64 *)at = *before(at) = pattern(at);
        }
    }
    map(READ_ONLY, PAGE, 3);
    for (u64 at = READ_ONLY; at < READ_ONLY + PAGE; at += 8) *(u64 *)at = pattern(at);
    system_call(MPROTECT, READ_ONLY, PAGE, 1, 0, 0, 0);

    struct {
        void *base;
        i32 flags;
        u64 bytes;
    } stack = {map(0, 64 * PAGE, 3), 0, 64 * PAGE};
    system_call(SIGALTSTACK, (long)&stack, 0, 0, 0, 0, 0);
    handle(SIGILL), handle(SIGTRAP), handle(SIGBUS), handle(SIGFPE), handle(SIGSEGV), handle(SIGALRM);
    long interval[4] = {1, 0, 1, 0};
    system_call(SETITIMER, 0, (long)interval, 0, 0, 0, 0);
    /* Segments with a descriptor serve both modes. */
    u32 fs = thread_segment(FS_BASE), gs = thread_segment(GS_BASE);
    if (fs != FS_SELECTOR || gs != GS_SELECTOR) quit(2);
    __asm__ volatile("mov %0, %%fs\n\tmov %1, %%gs\n\tmov %2, %%ds\n\tmov %2, %%es" : : "r"(fs), "r"(gs), "r"(0x2b));
}

/* Cases. */

static void place_code(const struct case_header *c) {
    u8 *code = (u8 *)c->address;
    u8 *low = code - 16 < (u8 *)CODE ? (u8 *)CODE : code - 16;
    u8 *high = code + MAX_CODE + 16 > (u8 *)(CODE + CODE_BYTES) ? (u8 *)(CODE + CODE_BYTES) : code + MAX_CODE + 16;
    fill(low, 0xcc, (u64)(high - low));
    u64 room = CODE + CODE_BYTES - c->address;
    copy(code, c->code, c->code_bytes < room ? c->code_bytes : room);
    u8 *end = code + c->code_bytes;
    if (end + 16 > high) return; /* At the very end of the code: INT3, or nothing at all, ends it. */
    if (c->mode == 64) {
        *end = 0xe9;
        *(i32 *)(end + 1) = (i32)((u64)leave - (u64)(end + 5));
    } else {
        *end = 0xea;
        *(u32 *)(end + 1) = (u32)(u64)leave;
        *(unsigned short *)(end + 5) = 0x33;
    }
}

static void apply_patches(const struct case_header *c) {
    const u8 *at = (const u8 *)(c + 1);
    for (int i = 0; i < c->patches; i++) {
        u64 address = *(const u64 *)at, bytes = *(const u64 *)(at + 8);
        copy((void *)address, at + 16, bytes);
        at += 16 + ((bytes + 7) & ~7ul);
    }
}

/* Appends the words that differ from what the case started with; afterwards memory is as the pattern has it. */
static u64 *collect_changes(const struct case_header *c, u64 *words) {
    const u8 *at = (const u8 *)(c + 1);
    /* The patches become part of what the case started with, */
    for (int i = 0; i < c->patches; i++) {
        u64 address = *(const u64 *)at, bytes = *(const u64 *)(at + 8);
        copy((u8 *)before(address & ~7ul) + (address & 7), at + 16, bytes);
        at += 16 + ((bytes + 7) & ~7ul);
    }
    for (unsigned w = 0; w < 2; w++) {
        u64 *now = (u64 *)windows[w].address, *was = before(windows[w].address);
        for (u64 i = 0; i < windows[w].bytes / 8; i += 4) {
            if (!((now[i] ^ was[i]) | (now[i + 1] ^ was[i + 1]) | (now[i + 2] ^ was[i + 2]) | (now[i + 3] ^ was[i + 3]))) {
                continue;
            }
            for (u64 j = i; j < i + 4; j++) {
                if (now[j] == was[j]) continue;
                *words++ = (u64)(now + j);
                *words++ = now[j];
                now[j] = was[j];
            }
        }
    }
    /* and are undone in the end. */
    at = (const u8 *)(c + 1);
    for (int i = 0; i < c->patches; i++) {
        u64 address = *(const u64 *)at, bytes = *(const u64 *)(at + 8);
        for (u64 w = address & ~7ul; w < address + bytes; w += 8) *before(w) = *(u64 *)w = pattern(w);
        at += 16 + ((bytes + 7) & ~7ul);
    }
    return words;
}

static void run_case(const struct case_header *c) {
    place_code(c);
    apply_patches(c);
    copy(in.image, c->image, IMAGE);
    copy(in.gpr, c->gpr, sizeof(in.gpr));
    in.flags = (c->flags & FLAGS) | 0x202;
    in.rip = c->address;
    in.far_offset = (u32)c->address;
    in.far_selector = 0x23;
    fill(result, 0, sizeof(*result));
    out.rip = c->address + c->code_bytes;
    case_number++;
    running = 1;
    if (c->mode == 64) enter64();
    else enter32();
    running = 0;
    result->rip = out.rip;
    if (result->vector == 3 && (out.rip - 1 < c->address || out.rip - 1 >= c->address + c->code_bytes)) {
        result->kind = result->vector = result->signal = 0;
        result->signal_code = 0;
        result->rip = out.rip - 1;
    }
    for (int i = 0; i < 16; i++) result->gpr[i] = c->mode == 64 ? out.gpr[i] : i < 8 ? (u32)out.gpr[i] : 0;
    result->flags = out.flags & FLAGS;
    copy(result->image, out.image, IMAGE);
    u64 *words = (u64 *)(result + 1), *end = collect_changes(c, words);
    result->words = (u64)(end - words) / 2;
    result->size = (u32)((u8 *)end - (u8 *)result);
}

__attribute__((used)) void run(void) {
    u64 limit = 1ul << 30, length = 0, flushed = 0;
    set_up();
    u8 *input = map(0, limit, 3), *output = map(0, limit, 3), *end = output;
    for (;;) {
        long count = system_call(READ, 0, (long)(input + length), (long)(limit - length), 0, 0, 0);
        if (count == -4) continue;
        if (count < 0 || length == limit) quit(3);
        if (count == 0) break;
        length += (u64)count;
    }
    for (u64 at = 0; at < length;) {
        const struct case_header *c = (const struct case_header *)(input + at);
        if (c->size < sizeof(*c) || at + c->size > length || (c->mode != 64 && c->mode != 32)) quit(4);
        result = (struct result_header *)end;
        run_case(c);
        end += result->size;
        at += c->size;
        if ((u64)(end - output) + (1 << 16) > limit) quit(5);
    }
    while (flushed < (u64)(end - output)) {
        long count = system_call(WRITE, 1, (long)(output + flushed), (long)((u64)(end - output) - flushed), 0, 0, 0);
        if (count == -4) continue;
        if (count <= 0) quit(6);
        flushed += (u64)count;
    }
    quit(0);
}
