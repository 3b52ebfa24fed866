/* Functions that a test binds twins of its own to; each says what the guest's own function computes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define OWN __attribute__((noinline, noclone, noipa))

struct pair { short first; double second; long long third; };

OWN double mixed(signed char a, unsigned short b, int c, long d, unsigned long long e, float f, double g, struct pair *pair,
                 unsigned char on_stack, double h) {
  pair->first += 1;
  pair->third = -pair->third;
  return a + b + c + d + (double)e + f + g + pair->second + on_stack + h;
}
OWN long total(int count, ...) {
  va_list list;
  va_start(list, count);
  double sum = 0;
  for (int i = 0; i < count; i++) sum += i % 2 == 0 ? (double)va_arg(list, long) : va_arg(list, double);
  va_end(list);
  return (long)sum;
}
OWN int scale(int value) { return 100 * value; }
OWN int apply(int value) { return scale(value) + 1; }
OWN int each(const int *values, int count, int (*visit)(int)) {
  int sum = 0;
  for (int i = 0; i < count; i++) sum += visit(values[i]);
  return sum;
}
OWN int answer(void) { return 41; }
OWN int text_length(const char *text) { return (int)strlen(text); }

static jmp_buf out;
static int calls;
static int visit(int value) { return 2 * value; }
static int leave(int value) { if (++calls % 3 == 0) longjmp(out, 1); return value; }

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  if (strcmp(what, "mixed") == 0) {
    struct pair pair = {7, 0.25, 1ll << 40};
    double result = mixed(-3, 65535, -70000, -5000000000, 18446744073709551615ull, 0.5f, 1e-3, &pair, 255, 2.0);
    printf("%.17g %d %lld\n", result, pair.first, pair.third);
    printf("%ld %ld\n", total(3, 10l, 0.5, -4l), total(11, 1l, 1., 1l, 1., 1l, 1., 1l, 1., 1l, 1., 1l));
  }
  if (strcmp(what, "apply") == 0) printf("%d\n", apply(3));
  if (strcmp(what, "each") == 0) printf("%d\n", each((int[]){1, 2, 3, 4}, 4, visit));
  if (strcmp(what, "leave") == 0) {
    for (volatile int i = 0; i < 5000; i++) {
      char below[64 + i % 100 * 16] __attribute__((aligned(16)));
      memset(below, 0, sizeof below);
      if (setjmp(out) == 0) each((int[]){1, 2, 3, 4, below[0]}, 5, leave);
    }
    printf("%d\n", each((int[]){1, 2}, 2, visit));
  }
  if (strcmp(what, "patch") == 0) {
    printf("%d\n", answer());
    unsigned char *code = (unsigned char *)answer;
    char *page = (char *)((unsigned long)code & -4096ul);
    mprotect(page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC);
    /* mov eax, 7; ret */
    memcpy(code, "\xb8\x07\0\0\0\xc3", 6);
    printf("%d\n", answer());
  }
  if (strcmp(what, "wrong") == 0) printf("%d\n", text_length("twelve bytes"));
  return 0;
}
