/* Virtio devices on PCI, as their drivers see them: one memory window of registers, split queues (virtio 1.2, 2.7 and 4.1). */
#pragma once
#include "../machine.h"

enum { QUEUE_MAXIMUM = 256, NO_VECTOR = 0xffff };
enum { CHAIN_NEXT = 1, CHAIN_WRITE = 2 };

struct descriptor {
  u64 address;
  u32 length;
  u16 flags, next;
};
struct available {
  u16 flags, index, ring[QUEUE_MAXIMUM];
};
struct used {
  volatile u16 flags, index;
  struct {
    volatile u32 id, length;
  } ring[QUEUE_MAXIMUM];
};

struct queue {
  struct descriptor descriptors[QUEUE_MAXIMUM] __attribute__((aligned(4096)));
  struct available available __attribute__((aligned(4096)));
  struct used used __attribute__((aligned(4096)));
  u16 size, seen;
  volatile u16 *doorbell;
  u16 number;
};

struct device {
  u32 place; /* bus, device and function, as configuration addresses have them */
  volatile u8 *common, *notify, *configuration, *vectors;
  u32 notify_multiplier;
  u64 features;
};

/* Finds the device of a virtio type; resets it; agrees on those of `wanted` that it has. 0 when there is none. */
int device_find(struct device *device, int type, u64 wanted);
/* Sets a queue up. Its interrupts come at `vector` of the processor; 0: none. */
void queue_start(struct device *device, struct queue *queue, u16 number, u8 vector);
/* All queues are there. */
void device_ready(struct device *device);

/* Gives the device the chain that begins with this descriptor. */
void queue_give(struct queue *queue, u16 head);
void queue_notify(struct queue *queue);
/* The next chain that the device is done with, and the bytes it wrote; 0: there is none. */
int queue_take(struct queue *queue, u32 *head, u32 *length);
static inline int queue_has_used(const struct queue *queue) { return queue->seen != queue->used.index; }
