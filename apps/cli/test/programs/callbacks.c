#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static int numbers[64];
static unsigned seed = 7;
static void scramble(void) { for (int i = 0; i < 64; i++) numbers[i] = (seed = seed * 1103515245 + 12345) >> 16 & 1023; }
static int sorted(void) { for (int i = 1; i < 64; i++) if (numbers[i - 1] > numbers[i]) return 0; return 1; }
static int less(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

/* A comparator that sorts, and searches with a comparator, before it answers. */
static int depth;
static int nested(const void *a, const void *b) {
  if (depth < 2) {
    int inner[5] = {5, 3, 4, 1, 2};
    depth++;
    qsort(inner, 5, sizeof *inner, nested);
    depth--;
    if (memcmp(inner, (int[]){1, 2, 3, 4, 5}, sizeof inner) != 0) abort();
  }
  return less(a, b);
}

/* Registers that a callee must keep, and an aligned stack, are checked in the middle of the sort. */
static int careful(const void *a, const void *b) {
  __attribute__((aligned(16))) volatile char place[16];
  if ((unsigned long)place % 16 != 0 || (unsigned long)__builtin_frame_address(0) % 16 != 0) abort();
  return less(a, b);
}

static jmp_buf out;
static int calls;
static int escaping(const void *a, const void *b) { if (++calls == 20) longjmp(out, 1); return less(a, b); }

static volatile sig_atomic_t caught;
static sigjmp_buf recovered;
static void on_fault(int signal, siginfo_t *info, void *context) { (void)signal, (void)info, (void)context; caught++; siglongjmp(recovered, 1); }
static void on_user(int signal) { (void)signal; caught++; qsort((int[]){3, 1, 2}, 3, sizeof(int), less); }
static int faulting(const void *a, const void *b) { if (++calls == 30) *(volatile int *)((long)a & 7) = 1; return less(a, b); }
static int raising(const void *a, const void *b) { if (++calls % 16 == 0) raise(SIGUSR1); return less(a, b); }

static int forking(const void *a, const void *b) {
  if (++calls == 25) {
    pid_t child = fork();
    if (child > 0) { int status; waitpid(child, &status, 0); printf("child's status %d\n", WEXITSTATUS(status)); }
  }
  return less(a, b);
}

static void *sorter(void *argument) {
  int own[200], sum = 0;
  unsigned state = (unsigned)(long)argument;
  for (int round = 0; round < 20; round++) {
    for (int i = 0; i < 200; i++) own[i] = (state = state * 1103515245 + 12345) >> 16;
    qsort(own, 200, sizeof *own, less);
    for (int i = 1; i < 200; i++) sum += own[i - 1] <= own[i];
  }
  return (void *)(long)sum;
}

static void cleaned(void *text) { printf("unwound %s\n", (char *)text); }
static int leaving(const void *a, const void *b) { if (++calls == 10) pthread_exit("through the sort"); return less(a, b); }
static void *unwinder(void *argument) {
  pthread_cleanup_push(cleaned, argument);
  qsort(numbers, 64, sizeof *numbers, leaving);
  pthread_cleanup_pop(0);
  return "not";
}

int main(void) {
  setvbuf(stdout, 0, _IOLBF, 0);
  struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
  sigaction(SIGSEGV, &action, 0);
  signal(SIGUSR1, on_user);

  scramble(), qsort(numbers, 64, sizeof *numbers, nested), printf("nested %d\n", sorted());
  scramble(), qsort(numbers, 64, sizeof *numbers, careful), printf("aligned %d\n", sorted());
  for (int i = 0; i < 1000; i++) { calls = 0; scramble(); if (setjmp(out) == 0) { qsort(numbers, 64, sizeof *numbers, escaping); abort(); } }
  scramble(), qsort(numbers, 64, sizeof *numbers, less), printf("escaped %d\n", sorted());
  calls = 0, scramble();
  if (sigsetjmp(recovered, 1) == 0) qsort(numbers, 64, sizeof *numbers, faulting);
  printf("faulted in the comparator %d after %d calls\n", (int)caught, calls);
  char *page = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  munmap(page + 4096, 4096);
  if (sigsetjmp(recovered, 1) == 0) qsort(page, 1100, sizeof(int), less);
  printf("faulted in the array %d\n", (int)caught);
  calls = caught = 0, scramble(), qsort(numbers, 64, sizeof *numbers, raising), printf("signals %d %d\n", (int)caught, sorted());
  calls = 0, scramble(), qsort(numbers, 64, sizeof *numbers, forking);
  printf("forked %d\n", sorted());
  if (calls < 0) return 1;
  fflush(stdout);
  static pid_t self;
  if (self == 0) self = getpid();
  pthread_t threads[4];
  for (long i = 0; i < 4; i++) pthread_create(&threads[i], 0, sorter, (void *)(i + 1));
  for (int i = 0; i < 4; i++) { void *sum; pthread_join(threads[i], &sum); printf("thread %d: %ld\n", i, (long)sum); }
  calls = 0, scramble();
  pthread_t thread;
  void *how;
  pthread_create(&thread, 0, unwinder, "the caller"), pthread_join(thread, &how), printf("left %s\n", (char *)how);
  return 42;
}
