#include "bytes.h"

void *memcpy(void *to, const void *from, u64 length) {
  void *at = to;
  __asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(length) : : "memory");
  return to;
}

void *memmove(void *to, const void *from, u64 length) {
  if (to <= from || (u8 *)to >= (const u8 *)from + length) return memcpy(to, from, length);
  for (u8 *a = (u8 *)to + length, *end = to, *b = (u8 *)from + length; a != end;) *--a = *--b;
  return to;
}

void *memset(void *at, int value, u64 length) {
  void *to = at;
  __asm__ volatile("rep stosb" : "+D"(to), "+c"(length) : "a"(value) : "memory");
  return at;
}

int memcmp(const void *a, const void *b, u64 length) {
  const u8 *left = a, *right = b;
  for (; length && *left == *right; length--) left++, right++;
  return length ? *left - *right : 0;
}

u32 format_number(char *at, long value) {
  char digits[20];
  u32 count = 0, length = 0;
  u64 left = value < 0 ? -(u64)value : (u64)value;
  do digits[count++] = (char)('0' + left % 10);
  while (left /= 10);
  if (value < 0) at[length++] = '-';
  while (count) at[length++] = digits[--count];
  return length;
}

int parse_number(const char *text, u32 length, long *value) {
  int negative = length && *text == '-';
  if (negative) text++, length--;
  if (length == 0 || length > 18) return 0;
  long sum = 0;
  for (; length; length--, text++) {
    if (*text < '0' || *text > '9') return 0;
    sum = sum * 10 + (*text - '0');
  }
  *value = negative ? -sum : sum;
  return 1;
}

void print_number(long value) {
  char text[21];
  text[format_number(text, value)] = 0;
  print(text);
}
