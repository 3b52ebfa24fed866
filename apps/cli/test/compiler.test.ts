// gcc in the guest: its driver, compiler proper, assembler and linker; then what it made, in the guest too.
import { describe } from "vitest";
import { cases } from "./harness/cases.ts";

const program = String.raw`#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }
static void *square(void *number) { return (void *)((long)number * (long)number); }

int main(int argc, char **argv) {
  qsort(argv + 1, argc - 1, sizeof *argv, compare);
  for (int i = 1; i < argc; i++) printf("%s %.6f\n", argv[i], sqrt(strlen(argv[i])));
  pthread_t threads[4];
  long sum = 0;
  for (long i = 0; i < 4; i++) pthread_create(&threads[i], 0, square, (void *)i);
  for (int i = 0; i < 4; i++) {
    void *result;
    pthread_join(threads[i], &result);
    sum += (long)result;
  }
  printf("%ld %Lf\n", sum, 1.0L / 3);
  return argc;
}
`;

describe("gcc", () => {
  cases([
    {
      name: "compiles and links a program, which then runs",
      script: `gcc -O2 -g -Wall -o program program.c -lm -pthread && ./program pear fig apple; echo "status $?"
        gcc -static -o still program.c -lm && ./still b a; echo "status $?"
        gcc -c broken.c; echo "status $?"`,
      needs: ["gcc", "/usr/include/stdio.h"],
      files: { "program.c": program, "broken.c": "int main(void) { return undeclared; }\n" },
    },
  ]);
});
