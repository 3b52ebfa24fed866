#include "virtio.h"

/* Offsets in the common configuration (virtio 1.2, 4.1.4.3). */
enum {
  DEVICE_FEATURE_SELECT = 0x00,
  DEVICE_FEATURE = 0x04,
  DRIVER_FEATURE_SELECT = 0x08,
  DRIVER_FEATURE = 0x0c,
  CONFIGURATION_VECTOR = 0x10,
  DEVICE_STATUS = 0x14,
  QUEUE_SELECT = 0x16,
  QUEUE_SIZE = 0x18,
  QUEUE_VECTOR = 0x1a,
  QUEUE_ENABLE = 0x1c,
  QUEUE_NOTIFY_OFFSET = 0x1e,
  QUEUE_DESCRIPTORS = 0x20,
  QUEUE_DRIVER = 0x28,
  QUEUE_DEVICE = 0x30,
};
enum { ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8 };
enum { FEATURE_VERSION_1 = 32 };
/* cfg_type of virtio's capabilities (4.1.4), and the identifiers of capabilities (PCI 3.0, appendix H). */
enum { AREA_COMMON = 1, AREA_NOTIFY = 2, AREA_DEVICE = 4, CAPABILITY_VENDOR = 0x09, CAPABILITY_MSIX = 0x11 };

#define REGISTER(width, base, offset) (*(volatile width *)((base) + (offset)))

/* PCI's first configuration mechanism (PCI 3.0, 3.2.2.3.2). */
static u32 pci_read(u32 place, u32 offset) {
  out32(0xcf8, 0x80000000u | place | (offset & 0xfc));
  return in32(0xcfc) >> 8 * (offset & 3);
}
static void pci_write(u32 place, u32 offset, u32 value) {
  out32(0xcf8, 0x80000000u | place | (offset & 0xfc));
  out32(0xcfc, value);
}

/* Where firmware has put a base address register; memory is mapped one to one up to 4 GiB. */
static volatile u8 *bar_address(u32 place, u32 bar) {
  u32 low = pci_read(place, 0x10 + 4 * bar);
  u32 high = (low & 6) == 4 ? pci_read(place, 0x14 + 4 * bar) : 0;
  return (low & 1) || high ? 0 : (volatile u8 *)(u64)(low & ~15u);
}

static int read_capabilities(struct device *device) {
  u32 place = device->place;
  u32 at = pci_read(place, 0x34) & 0xfc;
  for (int left = 48; at && left; left--, at = pci_read(place, at + 1) & 0xfc) {
    u32 identifier = pci_read(place, at) & 0xff;
    if (identifier == CAPABILITY_MSIX) {
      u32 table = pci_read(place, at + 4);
      volatile u8 *base = bar_address(place, table & 7);
      if (!base) continue;
      device->vectors = base + (table & ~7u);
      pci_write(place, at, pci_read(place, at) | 0x80000000u);
    }
    if (identifier != CAPABILITY_VENDOR) continue;
    volatile u8 *base = bar_address(place, pci_read(place, at + 4) & 0xff);
    if (!base) continue;
    base += pci_read(place, at + 8);
    switch (pci_read(place, at + 3) & 0xff) {
      case AREA_COMMON: device->common = base; break;
      case AREA_DEVICE: device->configuration = base; break;
      case AREA_NOTIFY:
        device->notify = base;
        device->notify_multiplier = pci_read(place, at + 16);
        break;
    }
  }
  return device->common && device->notify && device->configuration;
}

int device_find(struct device *device, int type, u64 wanted) {
  u32 modern = 0x1af4 | (0x1040 + type) << 16;
  u32 transitional = 0x1af4 | (0x1000 + type - 1) << 16;
  for (device->place = 0; device->place < 32 << 11; device->place += 1 << 11) {
    u32 id = pci_read(device->place, 0);
    if (id == modern || id == transitional) break;
  }
  if (device->place == 32 << 11) return 0;
  pci_write(device->place, 4, (pci_read(device->place, 4) & 0xffff) | 6); /* memory, bus master */
  if (!read_capabilities(device)) return 0;

  volatile u8 *common = device->common;
  REGISTER(u8, common, DEVICE_STATUS) = 0;
  while (REGISTER(u8, common, DEVICE_STATUS) != 0) continue;
  REGISTER(u8, common, DEVICE_STATUS) = ACKNOWLEDGE | DRIVER;
  device->features = 0;
  for (u32 half = 0; half < 2; half++) {
    REGISTER(u32, common, DEVICE_FEATURE_SELECT) = half;
    device->features |= (u64)REGISTER(u32, common, DEVICE_FEATURE) << 32 * half;
  }
  device->features &= wanted | 1ul << FEATURE_VERSION_1;
  for (u32 half = 0; half < 2; half++) {
    REGISTER(u32, common, DRIVER_FEATURE_SELECT) = half;
    REGISTER(u32, common, DRIVER_FEATURE) = (u32)(device->features >> 32 * half);
  }
  REGISTER(u8, common, DEVICE_STATUS) = ACKNOWLEDGE | DRIVER | FEATURES_OK;
  REGISTER(u16, common, CONFIGURATION_VECTOR) = NO_VECTOR;
  return (REGISTER(u8, common, DEVICE_STATUS) & FEATURES_OK) != 0;
}

/* An entry of the MSI-X table (PCI 3.0, 6.8.2): the message that raises a vector of the first processor. */
static int set_vector(struct device *device, u16 entry, u8 vector) {
  if (!device->vectors) return 0;
  volatile u32 *message = (volatile u32 *)(device->vectors + 16 * entry);
  message[0] = 0xfee00000;
  message[1] = 0;
  message[2] = vector;
  message[3] = 0;
  return 1;
}

static void write_address(volatile u8 *common, u32 offset, const void *address) {
  REGISTER(u32, common, offset) = (u32)(u64)address;
  REGISTER(u32, common, offset + 4) = 0;
}

void queue_start(struct device *device, struct queue *queue, u16 number, u8 vector) {
  volatile u8 *common = device->common;
  REGISTER(u16, common, QUEUE_SELECT) = number;
  u16 size = REGISTER(u16, common, QUEUE_SIZE);
  queue->size = size > QUEUE_MAXIMUM ? QUEUE_MAXIMUM : size;
  queue->number = number;
  queue->seen = 0;
  REGISTER(u16, common, QUEUE_SIZE) = queue->size;
  int interrupts = vector && set_vector(device, number, vector);
  REGISTER(u16, common, QUEUE_VECTOR) = interrupts ? number : NO_VECTOR;
  queue->available.flags = !interrupts;
  write_address(common, QUEUE_DESCRIPTORS, queue->descriptors);
  write_address(common, QUEUE_DRIVER, &queue->available);
  write_address(common, QUEUE_DEVICE, &queue->used);
  u32 offset = REGISTER(u16, common, QUEUE_NOTIFY_OFFSET);
  queue->doorbell = (volatile u16 *)(device->notify + offset * device->notify_multiplier);
  REGISTER(u16, common, QUEUE_ENABLE) = 1;
}

void device_ready(struct device *device) {
  REGISTER(u8, device->common, DEVICE_STATUS) = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK;
}

void queue_give(struct queue *queue, u16 head) {
  queue->available.ring[queue->available.index % queue->size] = head;
  __asm__ volatile("" ::: "memory");
  queue->available.index++;
}

void queue_notify(struct queue *queue) {
  /* The device's wish not to be notified is read after the index was written (2.7.13.4.1). */
  __asm__ volatile("mfence" ::: "memory");
  if (!(queue->used.flags & 1)) *queue->doorbell = queue->number;
}

int queue_take(struct queue *queue, u32 *head, u32 *length) {
  if (!queue_has_used(queue)) return 0;
  __asm__ volatile("" ::: "memory");
  *head = queue->used.ring[queue->seen % queue->size].id % QUEUE_MAXIMUM;
  *length = queue->used.ring[queue->seen % queue->size].length;
  queue->seen++;
  return 1;
}
