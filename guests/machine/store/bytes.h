/* Bytes: what compilers expect of a C library, numbers in network order, text. */
#pragma once
#include "../machine.h"

void *memcpy(void *to, const void *from, u64 length);
void *memmove(void *to, const void *from, u64 length);
void *memset(void *at, int value, u64 length);
int memcmp(const void *a, const void *b, u64 length);

static inline u16 get16(const u8 *at) { return (u16)(at[0] << 8 | at[1]); }
static inline u32 get32(const u8 *at) { return (u32)get16(at) << 16 | get16(at + 2); }
static inline void put16(u8 *at, u32 value) {
  at[0] = (u8)(value >> 8);
  at[1] = (u8)value;
}
static inline void put32(u8 *at, u32 value) {
  put16(at, value >> 16);
  put16(at + 2, value);
}

/* Writes a number in decimal; returns its length, at most 20. */
u32 format_number(char *at, long value);
/* Reads a number that takes all of the text; 0 when it is none, or too large. */
int parse_number(const char *text, u32 length, long *value);
void print_number(long value);
