/* What programs for the bare machine share: ports, the serial line, the local APIC's timer. */
#pragma once
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;

static inline void out8(u16 port, u8 value) { __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }
static inline u8 in8(u16 port) {
  u8 value;
  __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}

static inline void out32(u16 port, u32 value) { __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port)); }
static inline u32 in32(u16 port) {
  u32 value;
  __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}

/* With interrupts off, so that none can come between a look and the wait. They are off again afterwards. */
static inline void wait_for_interrupt(void) { __asm__ volatile("sti; hlt; cli" : : : "memory"); }

static inline void print(const char *text) {
  for (; *text; text++) {
    while (!(in8(0x3fd) & 0x20)) continue;
    out8(0x3f8, *text);
  }
}

static inline void print_hex(u64 value) {
  char digits[17];
  for (int index = 15; index >= 0; index--, value >>= 4) digits[index] = "0123456789abcdef"[value & 15];
  digits[16] = 0;
  print(digits);
}

/* A gate of the interrupt descriptor table (Intel SDM vol. 3, 6.14.1). */
static inline void set_gate(u64 *table, int vector, void (*handler)(void)) {
  u64 address = (u64)handler;
  table[2 * vector] = (address & 0xffff) | (0x10ul << 16) | (0x8eul << 40) | ((address >> 16 & 0xffff) << 48);
  table[2 * vector + 1] = address >> 32;
}

static inline void load_gates(u64 *table, int count) {
  struct __attribute__((packed)) { u16 limit; u64 base; } pointer = { count * 16 - 1, (u64)table };
  __asm__ volatile("lidt %0" : : "m"(pointer));
}

static inline void apic_write(u32 offset, u32 value) { *(volatile u32 *)(0xfee00000ul + offset) = value; }

/* Interrupts at `vector` every so many nanoseconds; nothing from the PICs. */
static inline void start_timer(int vector, u32 ns) {
  out8(0x21, 0xff);
  out8(0xa1, 0xff);
  apic_write(0xf0, 0x1ff);
  apic_write(0x3e0, 0xb); /* divided by one, of a clock of 1 GHz */
  apic_write(0x320, 0x20000 | vector);
  apic_write(0x380, ns);
}

extern void tick(void);
