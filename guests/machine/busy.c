/*
 * Computes for a second or two, with integers, floating point and memory, while a timer interrupts it a thousand times a
 * second. What it prints does not depend on when the interrupts come, or on the machine being saved and resumed meanwhile.
 */
#include "machine.h"

enum { steps = 60 * 1000 * 1000, words = 1 << 16 };

volatile u64 ticks;
static u64 gates[2 * 256] __attribute__((aligned(16)));
static u32 table[words];

int main(void) {
  set_gate(gates, 0x40, tick);
  load_gates(gates, 256);
  start_timer(0x40, 1000000);
  __asm__ volatile("sti");
  u64 hash = 0x9e3779b97f4a7c15;
  double average = 0;
  for (u32 step = 0; step < steps; step++) {
    hash ^= hash << 13;
    hash ^= hash >> 7;
    hash ^= hash << 17;
    u32 *word = &table[hash % words];
    *word = *word * 31 + (u32)(hash >> 32);
    average += ((double)(hash & 0xffff) - average) * 0.0009765625;
  }
  __asm__ volatile("cli");
  for (int index = 0; index < words; index++) hash = (hash ^ table[index]) * 0x100000001b3;
  print("hash ");
  print_hex(hash);
  print(" average ");
  print_hex((u64)(average * 1048576));
  print(ticks > 10 ? " interrupted\n" : " undisturbed\n");
  return 0;
}
