/*
 * Executes single x87, MMX or SSE instructions on the processor, on states read from stdin.
 *
 * Each record carries the instruction's own bytes; a stub around them is made once per distinct instruction:
 *   load flags and the FXSAVE image, load MXCSR, execute, save MXCSR, the image, rax and flags.
 * The instruction's memory operand, if any, must be [rsi].
 *
 * Record (576 bytes, in and out alike):
 *   0   u8[15] instruction, u8 length        16  u64 flags (arithmetic flags)     24  u64 rax
 *   32  FXSAVE area: bytes 0..415 (x87 header, ST0..7, XMM0..15)          448 u8[128] memory operand
 */
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#define FAULTED 0x1000 /* flags of an instruction that raised #MF or #XM; the image is what the handler saw */

struct record {
  uint8_t code[16];
  uint64_t flags;
  uint64_t rax;
  uint8_t image[416];
  uint8_t memory[128];
};

typedef void (*stub)(void *image, void *memory, uint64_t *flags_rax);

static uint8_t *heap, *heap_end;
static struct { uint8_t code[16]; stub run; } table[4096];

static stub stub_for(const uint8_t *code) {
  uint32_t hash = 2166136261u;
  for (int i = 0; i < 16; i++) hash = (hash ^ code[i]) * 16777619u;
  uint32_t slot = hash & 4095;
  while (table[slot].run && memcmp(table[slot].code, code, 16)) slot = (slot + 1) & 4095;
  if (table[slot].run) return table[slot].run;
  static const uint8_t before[] = {
      0x53, 0x48, 0x89, 0xd3,                   /* push rbx; mov rbx, rdx */
      0x48, 0x8b, 0x43, 0x08,                   /* mov rax, [rbx + 8] */
      0x0f, 0xae, 0x0f,                         /* fxrstor [rdi] */
      0xff, 0x33, 0x9d,                         /* push [rbx]; popfq */
  };
  static const uint8_t after[] = {
      0x9c, 0x8f, 0x03,                         /* pushfq; pop [rbx] */
      0x48, 0x89, 0x43, 0x08,                   /* mov [rbx + 8], rax */
      0x0f, 0xae, 0x07,                         /* fxsave [rdi] */
      0x5b, 0xc3,                               /* pop rbx; ret */
  };
  uint8_t *start = heap;
  memcpy(heap, before, sizeof before), heap += sizeof before;
  memcpy(heap, code, code[15]), heap += code[15];
  memcpy(heap, after, sizeof after), heap += sizeof after;
  heap += 64 - ((uintptr_t)heap & 63);
  if (heap + 128 > heap_end) exit(3);
  memcpy(table[slot].code, code, 16);
  return table[slot].run = (stub)(void *)start;
}

static sigjmp_buf recover;
static uint8_t image[512] __attribute__((aligned(16)));

static void on_exception(int signal, siginfo_t *info, void *context) {
  (void)signal, (void)info;
  memcpy(image, ((ucontext_t *)context)->uc_mcontext.fpregs, sizeof image);
  siglongjmp(recover, 1);
}

int main(void) {
  struct sigaction action = {.sa_sigaction = on_exception, .sa_flags = SA_SIGINFO | SA_NODEFER};
  sigaction(SIGFPE, &action, 0);
  size_t size = 1 << 20;
  heap = mmap(0, size, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (heap == MAP_FAILED) return 2;
  heap_end = heap + size;
  static struct record r;
  static uint8_t initial[512] __attribute__((aligned(16)));
  static uint8_t memory[512] __attribute__((aligned(64)));
  __asm__ volatile("fninit; fxsave (%0)" ::"r"(initial) : "memory");
  while (fread(&r, sizeof r, 1, stdin) == 1) {
    static uint64_t flags_rax[2];
    static int faulted;
    flags_rax[0] = (r.flags & 0x8d5) | 0x202;
    flags_rax[1] = r.rax;
    memcpy(image, initial, sizeof image);
    memcpy(image, r.image, sizeof r.image);
    memcpy(image + 28, initial + 28, 4); /* MXCSR_MASK */
    memcpy(memory, r.memory, sizeof r.memory);
    static stub run;
    run = stub_for(r.code);
    faulted = sigsetjmp(recover, 0);
    if (!faulted) run(image, memory, flags_rax);
    __asm__ volatile("fxrstor (%0)" ::"r"(initial) : "memory");
    memcpy(r.image, image, sizeof r.image);
    memcpy(r.memory, memory, sizeof r.memory);
    r.flags = faulted ? FAULTED : flags_rax[0] & 0x8d5;
    r.rax = flags_rax[1];
    if (fwrite(&r, sizeof r, 1, stdout) != 1) return 4;
  }
  return 0;
}
