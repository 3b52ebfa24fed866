/*
 * Starts children and kills them wherever they are: `killed-children COUNT SEED PROGRAM ARGUMENT …`, of programs with an argument
 * each. Some children run a program, the others code that they write themselves. Prints how many there were.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ALIVE = 4, FUNCTIONS = 8 };
static unsigned seed;
static unsigned below(unsigned limit) { return ((seed = seed * 1103515245 + 12345) >> 16) % limit; }

static int order(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

/* Without end: memory of its own, code of its own, a child of its own, and what the library has. */
static void work(void) {
  static int numbers[FUNCTIONS];
  for (int round = 0;; round++) {
    unsigned char *page = mmap(0, 8192, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < FUNCTIONS; i++) {
      /* mov eax, i; ret */
      unsigned char code[] = {0xb8, i, round, 0, 0, 0xc3};
      memcpy(page + 16 * i, code, sizeof code);
      numbers[i] = ((int (*)(void))(page + 16 * i))();
    }
    qsort(numbers, FUNCTIONS, sizeof *numbers, order);
    if (round % 4 == 1) {
      pid_t child = fork();
      if (child == 0) _exit(numbers[0] & 1);
      waitpid(child, 0, 0);
    }
    if (round % 3) munmap(page, 8192);
  }
}

static pid_t start(int programs, char **program) {
  pid_t child = fork();
  if (child != 0) return child;
  int null = open("/dev/null", O_RDWR);
  dup2(null, 0), dup2(null, 1), dup2(null, 2), close(null);
  unsigned chosen = below(programs + 2);
  if (chosen >= (unsigned)programs) work();
  execl(program[2 * chosen], program[2 * chosen], program[2 * chosen + 1], (char *)0);
  _exit(127);
}

int main(int argc, char **argv) {
  int count = atoi(argv[1]), alive = 0, ended = 0, killed = 0, dead = 0;
  pid_t children[ALIVE];
  seed = atoi(argv[2]);
  for (int started = 0; ended < count;) {
    if (started < count && alive < ALIVE && (alive == 0 || below(2))) {
      children[alive++] = start((argc - 3) / 2, argv + 3);
      started++;
    } else if (alive > 0) {
      unsigned which = below(alive);
      kill(children[which], SIGKILL);
      children[which] = children[--alive];
      dead++;
    }
    /* Some of them are zombies for a while. */
    for (int status; dead > 8 || (dead > 0 && started == count && alive == 0); dead--, ended++) {
      if (waitpid(-1, &status, 0) < 0) return 1;
      killed += WIFSIGNALED(status);
    }
    if (below(3) == 0) sched_yield();
  }
  printf("%d children, %s killed\n", ended, killed > count / 2 ? "most" : "few");
  return 0;
}
