/*
 * A key-value service for the bare machine: over TCP, a line asks and a line answers. A change is answered when it is on the
 * disk. The command line may say `address=A.B.C.D` and `port=N`.
 *
 *   SET key value    OK
 *   GET key          the value; an empty line when there is none
 *   INCR key         the number that it is now
 *   PING             PONG
 *   STATS            keys, changes made durable, how often the index was built
 *
 * The index of keys can be built from the entries at any time, and so lies in purgeable memory: where there is such a thing it
 * is in no checkpoint, and empty on the host that goes on.
 */
#include "../../include/doppel-purgeable.h"
#include "network.h"
#include "records.h"
#include "tcp.h"

enum { VECTOR_TICK = 0x40, VECTOR_DEVICE = 0x41, TICK_NS = 50 * 1000 * 1000 };
enum { LINE_BYTES = 512, REPLY_BYTES = 512, PLACES = 4 * ENTRIES, NO_ENTRY = ~0u };

volatile u64 ticks;
static u64 gates[2 * 256] __attribute__((aligned(16)));

__attribute__((interrupt, target("general-regs-only"))) static void device_interrupt(void *frame) {
  (void)frame;
  apic_write(0xb0, 0);
}

// The index: by hash, the entry plus one; a key is in the first free place from its own on.

static u16 index_of_keys[PLACES] __attribute__((aligned(4096)));
static struct doppel_descriptor descriptor __attribute__((aligned(16)));
static long region;
static u32 times_built, times_durable;

static u32 hash(const char *key, u32 length) {
  u32 sum = 0x811c9dc5;
  for (; length; length--) sum = (sum ^ (u8)*key++) * 0x01000193;
  return sum;
}

static void index_add(u32 entry) {
  u32 place = hash(records[entry].key, records[entry].key_length);
  while (index_of_keys[place % PLACES]) place++;
  index_of_keys[place % PLACES] = (u16)(entry + 1);
}

static void build_index(void) {
  memset(index_of_keys, 0, sizeof index_of_keys);
  for (u32 entry = 0; entry < record_count; entry++) {
    if (records[entry].key_length) index_add(entry);
  }
  times_built++;
}

static u32 index_find(const char *key, u32 length) {
  u32 place = hash(key, length);
  for (u32 left = PLACES; left && index_of_keys[place % PLACES]; left--, place++) {
    u32 entry = index_of_keys[place % PLACES] - 1u;
    if (entry >= record_count) break;
    const struct record *record = &records[entry];
    if (record->key_length == length && memcmp(record->key, key, length) == 0) return entry;
  }
  return NO_ENTRY;
}

/* Memory that was emptied is built anew, and what was read from it meanwhile does not count. */
static int index_was_lost(void) {
  if (doppel_purgeable_intact(&descriptor)) return 0;
  doppel_purgeable_set_nonvolatile(region);
  build_index();
  doppel_purgeable_set_volatile(region);
  print("store: the index was lost, and built again\n");
  return 1;
}

static u32 find_entry(const char *key, u32 length) {
  u32 entry = index_find(key, length);
  return entry == NO_ENTRY && index_was_lost() ? index_find(key, length) : entry;
}

/* NO_ENTRY: all are taken. */
static u32 make_entry(const char *key, u32 length) {
  u32 entry = find_entry(key, length);
  if (entry != NO_ENTRY || record_count == record_capacity) return entry;
  entry = record_count++;
  records[entry].key_length = (u16)length;
  memcpy(records[entry].key, key, length);
  index_add(entry);
  return entry;
}

// Lines.

struct text {
  const char *at;
  u32 length;
};

static struct text text_of(const char *at) {
  u32 length = 0;
  while (at[length]) length++;
  return (struct text){ at, length };
}

static struct text next_word(struct text *line) {
  struct text word = { line->at, 0 };
  while (word.length < line->length && word.at[word.length] != ' ') word.length++;
  u32 taken = word.length < line->length ? word.length + 1 : word.length;
  line->at += taken;
  line->length -= taken;
  return word;
}

static int is_word(struct text word, const char *upper) {
  struct text wanted = text_of(upper);
  if (word.length != wanted.length) return 0;
  for (u32 at = 0; at < word.length; at++) {
    char c = word.at[at];
    if ((c >= 'a' && c <= 'z' ? c - 32 : c) != upper[at]) return 0;
  }
  return 1;
}

static void answer(struct connection *to, struct text text) {
  output_append(to, text.at, text.length);
  output_append(to, "\n", 1);
}
static void answer_text(struct connection *to, const char *text) { answer(to, text_of(text)); }

static void change(u32 entry, struct text value) {
  records[entry].value_length = (u16)value.length;
  memcpy(records[entry].value, value.at, value.length);
  record_changed(entry);
}

static void set(struct connection *to, struct text key, struct text value) {
  if (value.length == 0 || value.length > VALUE_BYTES) return answer_text(to, "ERR values have 1 to 400 bytes");
  u32 entry = make_entry(key.at, key.length);
  if (entry == NO_ENTRY) return answer_text(to, "ERR all entries are taken");
  change(entry, value);
  answer_text(to, "OK");
}

static void increment(struct connection *to, struct text key) {
  u32 entry = find_entry(key.at, key.length);
  long number = 0;
  if (entry != NO_ENTRY && !parse_number(records[entry].value, records[entry].value_length, &number)) {
    return answer_text(to, "ERR the value is no number");
  }
  if (entry == NO_ENTRY) entry = make_entry(key.at, key.length);
  if (entry == NO_ENTRY) return answer_text(to, "ERR all entries are taken");
  char digits[20];
  struct text value = { digits, format_number(digits, number + 1) };
  change(entry, value);
  answer(to, value);
}

static void answer_statistics(struct connection *to) {
  static const char *const names[] = { "keys ", " durable ", " index-built " };
  long numbers[] = { record_count, times_durable, times_built };
  for (int at = 0; at < 3; at++) {
    char digits[20];
    output_append(to, names[at], text_of(names[at]).length);
    output_append(to, digits, format_number(digits, numbers[at]));
  }
  answer_text(to, "");
}

static void serve(struct connection *to, struct text line) {
  if (line.length && line.at[line.length - 1] == '\r') line.length--;
  struct text verb = next_word(&line);
  if (is_word(verb, "PING")) return answer_text(to, "PONG");
  if (is_word(verb, "STATS")) return answer_statistics(to);
  struct text key = next_word(&line);
  if (key.length == 0 || key.length > KEY_BYTES) return answer_text(to, "ERR VERB KEY: keys have 1 to 64 bytes");
  if (is_word(verb, "SET")) return set(to, key, line);
  if (is_word(verb, "INCR")) return increment(to, key);
  if (!is_word(verb, "GET")) return answer_text(to, "ERR no such verb");
  u32 entry = find_entry(key.at, key.length);
  if (entry == NO_ENTRY) answer_text(to, "");
  else answer(to, (struct text){ records[entry].value, records[entry].value_length });
}

static int has_line(const struct connection *connection) {
  for (u32 at = 0; at < connection->input_length; at++) {
    if (connection->input[at] == '\n') return 1;
  }
  return 0;
}

/* Answers the lines that are there, as far as answers and changes have room. */
static void serve_lines(struct connection *from) {
  while (from->input_length && output_room(from) >= REPLY_BYTES && records_have_room()) {
    u32 length = 0;
    while (length < from->input_length && from->input[length] != '\n') length++;
    if (length == from->input_length && length < LINE_BYTES) break;
    int is_line = length < LINE_BYTES && !from->skips_line;
    if (is_line) serve(from, (struct text){ (const char *)from->input, length });
    else if (!from->skips_line) answer_text(from, "ERR the line is too long");
    from->skips_line = length == from->input_length;
    input_consume(from, from->skips_line ? length : length + 1);
  }
  if (from->peer_ended && !has_line(from)) from->fin_queued = 1;
}

// What is durable is released.

static void batch_is_durable(void) {
  times_durable++;
  for (struct connection *each = connections; each < connections + CONNECTIONS; each++) {
    if (connection_is_open(each)) each->released = each->held;
  }
}

/* Answers wait for the changes before them, whoever made those: what one client has seen, no other loses. */
static void commit(void) {
  int all = records_are_durable();
  if (!all && !records_write()) return;
  for (struct connection *each = connections; each < connections + CONNECTIONS; each++) {
    if (!connection_is_open(each)) continue;
    each->held = each->end;
    if (all) each->released = each->end;
  }
}

// Settings and start.

static u32 parse_address(const char *text) {
  u32 address = 0, part = 0;
  for (; *text == '.' || (*text >= '0' && *text <= '9'); text++) {
    if (*text != '.') part = part * 10 + (u32)(*text - '0');
    else address = address << 8 | part, part = 0;
  }
  return address << 8 | part;
}

static void read_settings(const char *line) {
  own_address = 10 << 24 | 2 << 8 | 15;
  own_port = 7000;
  while (line && *line) {
    if (memcmp(line, "address=", 8) == 0) own_address = parse_address(line + 8);
    if (memcmp(line, "port=", 5) == 0) {
      own_port = 0;
      for (line += 5; *line >= '0' && *line <= '9'; line++) own_port = (u16)(own_port * 10 + *line - '0');
    }
    while (*line && *line != ' ') line++;
    while (*line == ' ') line++;
  }
}

static void print_address(void) {
  for (int shift = 24; shift >= 0; shift -= 8) {
    print_number(own_address >> shift & 255);
    print(shift ? "." : ":");
  }
  print_number(own_port);
}

int main(u64 unused, const char *command_line) {
  (void)unused;
  set_gate(gates, VECTOR_TICK, tick);
  set_gate(gates, VECTOR_DEVICE, (void (*)(void))device_interrupt);
  load_gates(gates, 256);
  start_timer(VECTOR_TICK, TICK_NS);
  read_settings(command_line);
  if (!records_start(VECTOR_DEVICE)) {
    print("store: there is no disk that can be read\n");
    return 1;
  }
  region = doppel_purgeable_designate(index_of_keys, sizeof index_of_keys, &descriptor);
  build_index();
  doppel_purgeable_set_volatile(region);
  if (!network_start(VECTOR_DEVICE)) {
    print("store: there is no network card\n");
    return 1;
  }
  print("store: serves ");
  print_address();
  print(", keys ");
  print_number(record_count);
  print(region >= 0 ? ", index purgeable\n" : "\n");

  for (u64 ticks_seen = ticks;;) {
    if (!network_has_work() && !records_have_work() && ticks == ticks_seen) wait_for_interrupt();
    network_poll();
    records_poll(batch_is_durable);
    for (int at = 0; at < CONNECTIONS; at++) {
      if (connection_is_open(&connections[at])) serve_lines(&connections[at]);
    }
    commit();
    if (ticks != ticks_seen) {
      ticks_seen = ticks;
      tcp_tick();
      records_tick();
    }
    tcp_send();
  }
}
