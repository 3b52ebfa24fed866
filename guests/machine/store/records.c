#include "records.h"
#include "virtio.h"

enum { TYPE_BLOCK = 2, FEATURE_FLUSH = 9, MAGIC = 0x31726b64 };
enum { REQUEST_READ = 0, REQUEST_WRITE = 1, REQUEST_FLUSH = 4 };
enum { SECTORS_READ = 128 };

_Static_assert(sizeof(struct record) == SECTOR_BYTES, "a record is a sector");

/* A request: header, data and status, each a descriptor of its chain (virtio 1.2, 5.2.6). */
struct request {
  u32 type, reserved;
  u64 sector;
  volatile u8 status;
};

struct record records[ENTRIES];
u32 record_count, record_capacity;
static struct device disk;
static struct queue queue;
static u8 data[SECTORS_READ * SECTOR_BYTES] __attribute__((aligned(4096)));
/* Which of its two sectors an entry was written to last, and whether it has changed since. */
static u8 side[ENTRIES], is_changed[ENTRIES];
static u32 changed[BATCH], changed_count;
static struct request requests[BATCH + 1];
static u64 last_sequence;

static enum { IDLE, WRITING, FLUSHING, FAILED } phase;
static u32 batch_count, under_way;

/* CRC-32C (Castagnoli), eight bits at a time. */
static u32 crc_table[256];
static u32 crc32c(const u8 *at, u32 length) {
  u32 crc = ~0u;
  for (; length; length--) crc = crc >> 8 ^ crc_table[(crc ^ *at++) & 0xff];
  return ~crc;
}
static void make_crc_table(void) {
  for (u32 byte = 0; byte < 256; byte++) {
    u32 crc = byte;
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
    crc_table[byte] = crc;
  }
}
static u32 record_crc(const struct record *record) { return crc32c((const u8 *)&record->sequence, SECTOR_BYTES - 8); }

static void ask(u32 index, u32 type, u64 sector, void *at, u32 length) {
  struct request *request = &requests[index];
  *request = (struct request){ .type = type, .sector = sector, .status = 0xff };
  u16 head = (u16)(3 * index);
  struct descriptor *chain = &queue.descriptors[head];
  chain[0] = (struct descriptor){ (u64)request, 16, CHAIN_NEXT, (u16)(length ? head + 1 : head + 2) };
  chain[1] = (struct descriptor){ (u64)at, length, (u16)(CHAIN_NEXT | (type == REQUEST_READ ? CHAIN_WRITE : 0)), head + 2 };
  chain[2] = (struct descriptor){ (u64)&request->status, 1, CHAIN_WRITE, 0 };
  queue_give(&queue, head);
  under_way++;
}

static void take_record(u32 entry, u32 at_side, const struct record *found) {
  int is_record = found->magic == MAGIC && found->crc == record_crc(found) && found->key_length <= KEY_BYTES &&
                  found->key_length > 0 && found->value_length <= VALUE_BYTES;
  if (!is_record || found->sequence <= records[entry].sequence) return;
  records[entry] = *found;
  side[entry] = (u8)at_side;
  if (entry >= record_count) record_count = entry + 1;
  if (found->sequence > last_sequence) last_sequence = found->sequence;
}

int records_start(u8 vector) {
  make_crc_table();
  if (!device_find(&disk, TYPE_BLOCK, 1ul << FEATURE_FLUSH)) return 0;
  queue_start(&disk, &queue, 0, vector);
  device_ready(&disk);
  u64 sectors = *(volatile u32 *)disk.configuration | (u64) * (volatile u32 *)(disk.configuration + 4) << 32;
  record_capacity = sectors / 2 < ENTRIES ? (u32)(sectors / 2) : ENTRIES;
  for (u32 first = 0; first < 2 * record_capacity; first += SECTORS_READ) {
    u32 count = 2 * record_capacity - first < SECTORS_READ ? 2 * record_capacity - first : SECTORS_READ, head, length;
    ask(0, REQUEST_READ, first, data, count * SECTOR_BYTES);
    queue_notify(&queue);
    while (!queue_take(&queue, &head, &length)) wait_for_interrupt();
    under_way = 0;
    if (requests[0].status != 0) return 0;
    for (u32 at = 0; at < count; at++) {
      u32 sector = first + at;
      take_record(sector / 2, sector & 1, (const struct record *)(data + at * SECTOR_BYTES));
    }
  }
  return 1;
}

void record_changed(u32 entry) {
  if (is_changed[entry]) return;
  is_changed[entry] = 1;
  changed[changed_count++] = entry;
}

int records_have_room(void) { return changed_count < BATCH; }
int records_are_durable(void) { return changed_count == 0 && phase == IDLE; }
int records_have_work(void) { return queue_has_used(&queue); }

static u32 batch[BATCH];

static void begin_writing(void) {
  phase = WRITING;
  struct record *copies = (struct record *)data;
  for (u32 at = 0; at < batch_count; at++) {
    ask(at, REQUEST_WRITE, 2 * (u64)batch[at] + side[batch[at]], &copies[at], SECTOR_BYTES);
  }
  queue_notify(&queue);
}

int records_write(void) {
  if (phase != IDLE || changed_count == 0) return 0;
  struct record *copies = (struct record *)data;
  batch_count = changed_count;
  changed_count = 0;
  for (u32 at = 0; at < batch_count; at++) {
    u32 entry = batch[at] = changed[at];
    struct record *record = &records[entry];
    is_changed[entry] = 0;
    side[entry] ^= 1;
    record->magic = MAGIC;
    record->sequence = ++last_sequence;
    record->crc = record_crc(record);
    copies[at] = *record;
  }
  begin_writing();
  return 1;
}

void records_tick(void) {
  if (phase == FAILED && under_way == 0) begin_writing();
}

void records_poll(void (*durable)(void)) {
  u32 head, length;
  while (queue_take(&queue, &head, &length)) {
    under_way--;
    if (requests[head / 3 % (BATCH + 1)].status != 0 && phase != FAILED) {
      phase = FAILED;
      print("store: the disk reports an error; it is asked again\n");
    }
  }
  if (under_way) return;
  if (phase == WRITING) {
    phase = FLUSHING;
    ask(BATCH, REQUEST_FLUSH, 0, 0, 0);
    queue_notify(&queue);
  } else if (phase == FLUSHING) {
    phase = IDLE;
    durable();
  }
}
