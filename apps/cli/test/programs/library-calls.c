/* Functions that have native twins, on data where they matter; prints checksums. With an argument, goes wrong on purpose. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

static unsigned seed = 1;
static unsigned next(void) { return (seed = seed * 1103515245 + 12345) >> 16; }
static unsigned long hash(const void *bytes, size_t length) {
  unsigned long sum = 5381;
  for (size_t i = 0; i < length; i++) sum = sum * 33 + ((const unsigned char *)bytes)[i];
  return sum;
}
struct record { char pad[36]; int key, serial; };
static int by_key(const void *a, const void *b) { return ((const struct record *)a)->key - ((const struct record *)b)->key; }
static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }
static int by_number(const void *a, const void *b) { return (*(const int *)a > *(const int *)b) - (*(const int *)a < *(const int *)b); }

enum { SIZE = 300000 };
static char *end;

static void fault(int signal, siginfo_t *info, void *context) {
  (void)signal, (void)context;
  char text[64];
  int written = 0;
  while (end[-1 - written] == 'x') written++;
  int length = snprintf(text, sizeof text, "fault %ld bytes behind the end, %d are written\n", (long)((char *)info->si_addr - end), written);
  _exit(write(1, text, length) == length ? 3 : 4);
}

/* Volatile, so that the compiler knows nothing of them. */
static void *(*volatile copy)(void *, const void *, size_t) = memcpy;
static void *(*volatile move)(void *, const void *, size_t) = memmove;

int main(int argc, char **argv) {
  char *a = malloc(SIZE + 1), *b = malloc(SIZE + 1);
  if (argc > 1) {
    /* `end` is where nothing is mapped any more. */
    size_t pages = 16 * 4096;
    end = (char *)mmap(0, pages + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) + pages;
    munmap(end, 4096);
    struct sigaction action = {.sa_sigaction = fault, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, 0);
    memset(a, 'x', SIZE);
    if (strcmp(argv[1], "copy") == 0) copy(end - 50000, a, 50000 + atoi(argv[2]));
    if (strcmp(argv[1], "inflate") == 0) {
      z_stream stream = {0};
      uLongf length = compressBound(SIZE);
      compress((Bytef *)b, &length, (Bytef *)a, SIZE);
      inflateInit(&stream);
      stream.next_in = (Bytef *)b, stream.avail_in = length;
      stream.next_out = (Bytef *)end - 40000, stream.avail_out = 40000 + atoi(argv[2]);
      printf("%d %u\n", inflate(&stream, Z_FINISH), stream.avail_out);
    }
    printf("no fault\n");
    return 0;
  }
  for (int i = 0; i < SIZE; i++) a[i] = " etaoinshrdlu\n"[next() % 14];
  a[SIZE] = 0;
  for (int i = 0; i < 200; i++) {
    size_t from = next() % 100000, to = next() % 100000, length = next() % 150000;
    if (i % 3 == 0) copy(b + to, a + from, length);
    if (i % 3 == 1) move(a + to, a + from, length);
    if (i % 3 == 2) memset(b + to, i, length / 4);
  }
  printf("moved %lx %lx %zu\n", hash(a, SIZE), hash(b, SIZE), strlen(a));
  printf("found %ld %ld %ld %d %d\n", (long)((char *)memchr(a, '\n', SIZE) - a), (long)(strchr(a, 'u') - a),
         (long)(strrchr(a, 'h') - a), memcmp(a, a + 1000, 5000) > 0, strncmp(a, a + 1, 9000) > 0);
  char *copied = strdup(a);
  printf("strings %lx %d %zu\n", hash(copied, SIZE + 1), strcmp(a, copied), strnlen(copied + 5, 77777));
  printf("sums %lx %lx\n", crc32(0, (Bytef *)a, SIZE), adler32(1, (Bytef *)a + 1, SIZE - 2));
  uLongf length = compressBound(SIZE), back = SIZE;
  Bytef *packed = malloc(length);
  compress2(packed, &length, (Bytef *)a, SIZE, 6);
  memset(b, 0, SIZE);
  printf("inflated %d %lu %lx\n", uncompress((Bytef *)b, &back, packed, length), back, hash(b, SIZE));
  packed[length / 2] ^= 0x55;
  int status = uncompress((Bytef *)b, &back, packed, length);
  printf("damaged %s\n", status == Z_OK ? "but good" : "and noticed");
  enum { COUNT = 3000 };
  int *numbers = malloc(COUNT * sizeof *numbers);
  struct record *records = calloc(COUNT, sizeof *records);
  char **names = malloc(COUNT * sizeof *names);
  for (int i = 0; i < COUNT; i++) {
    numbers[i] = next();
    records[i] = (struct record){.key = next() % 40, .serial = i};
    names[i] = a + next() % 200000;
  }
  qsort(numbers, COUNT, sizeof *numbers, by_number);
  qsort(records, COUNT, sizeof *records, by_key);
  qsort(names, COUNT, sizeof *names, by_name);
  unsigned long names_hash = 0;
  for (int i = 0; i < COUNT; i++) names_hash = names_hash * 31 + (names[i] - a);
  int wanted = numbers[COUNT / 3], absent = -1;
  int *(*volatile search)(const void *, const void *, size_t, size_t, int (*)(const void *, const void *)) = (void *)bsearch;
  printf("sorted %lx %lx %lx %d %d\n", hash(numbers, COUNT * 4), hash(records, COUNT * sizeof *records), names_hash,
         *search(&wanted, numbers, COUNT, 4, by_number) == wanted, search(&absent, numbers, COUNT, 4, by_number) == 0);
  return 0;
}
