#include "tcp.h"
#include "network.h"

enum { CLOSED = 0, OPENING = 1, OPEN = 2 };
enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };
enum { TCP_BYTES = 20, SEGMENT_DEFAULT = 536, SEGMENT_MAXIMUM = 1460, OPTION_SEGMENT = 2 };
/* In ticks: first and longest wait for an acknowledgement, and when a peer is given up; silence until it is asked. */
enum { PATIENCE_FIRST = 6, PATIENCE_LONGEST = 40, GIVE_UP = 2400, KEEP_ALIVE = 1200, KEEP_ALIVE_REPEAT = 200 };

struct connection connections[CONNECTIONS];
u16 own_port;
static u32 opened;

struct segment {
  u16 from_port;
  u32 sequence, acknowledged, window, flags, length;
  const u8 *data;
};

static int before(u32 a, u32 b) { return (int)(a - b) < 0; }

// Sending.

static u32 window_of(const struct connection *connection) { return INPUT_BYTES - connection->input_length; }

/* Fills in the header of a segment whose data is there, and sends it. */
static void emit(u8 *segment, u32 header_bytes, u32 data_bytes, u16 port, u32 sequence, u32 acknowledged, u32 flags, u32 window,
                 const u8 *mac, u32 address) {
  put16(segment, own_port);
  put16(segment + 2, port);
  put32(segment + 4, sequence);
  put32(segment + 8, acknowledged);
  segment[12] = (u8)(header_bytes << 2);
  segment[13] = (u8)flags;
  put16(segment + 14, window);
  put32(segment + 16, 0);
  u32 length = header_bytes + data_bytes;
  put16(segment + 16, ~checksum(segment, length, pseudo_sum(own_address, address, PROTOCOL_TCP, length)));
  ip_send(segment, length, PROTOCOL_TCP, mac, address);
}

/* 0: no frame was free. */
static int send_segment(struct connection *connection, u32 sequence, u32 length, u32 flags) {
  u8 *segment = ip_frame();
  if (!segment) return 0;
  u32 header_bytes = TCP_BYTES;
  if (flags & SYN) {
    segment[TCP_BYTES] = OPTION_SEGMENT;
    segment[TCP_BYTES + 1] = 4;
    put16(segment + TCP_BYTES + 2, SEGMENT_MAXIMUM);
    header_bytes += 4;
  }
  for (u32 at = 0; at < length;) {
    u32 place = (sequence + at) % OUTPUT_BYTES;
    u32 part = length - at < OUTPUT_BYTES - place ? length - at : OUTPUT_BYTES - place;
    memcpy(segment + header_bytes + at, connection->output + place, part);
    at += part;
  }
  connection->announced = window_of(connection);
  connection->owes_acknowledgement = 0;
  emit(segment, header_bytes, length, connection->port, sequence, connection->received, flags | ACK, connection->announced,
       connection->mac, connection->address);
  return 1;
}

/* Sends what may be sent of a connection: data that is released and has room at the peer, the end, or what is owed. */
static void send_connection(struct connection *connection) {
  if (connection->state != OPEN) return;
  while (before(connection->next, connection->released)) {
    u32 room = connection->peer_window - (connection->next - connection->oldest);
    u32 length = connection->released - connection->next;
    if ((int)room <= 0) break;
    if (length > room) length = room;
    if (length > connection->segment_bytes) length = connection->segment_bytes;
    if (!send_segment(connection, connection->next, length, PSH)) return;
    connection->next += length;
  }
  if (connection->fin_queued && connection->next == connection->end) {
    if (!send_segment(connection, connection->end, 0, FIN)) return;
    connection->next = connection->end + 1;
  }
  /* A peer that found no room is told when there is some again. */
  u32 window = window_of(connection);
  int opens = window - connection->announced >= INPUT_BYTES / 2 && window > connection->announced;
  if (connection->owes_acknowledgement || opens) send_segment(connection, connection->next, 0, 0);
}

void tcp_send(void) {
  for (int at = 0; at < CONNECTIONS; at++) send_connection(&connections[at]);
  network_flush();
}

/* There is nobody here that this is for (RFC 9293, 3.10.7.1). */
static void reset(const struct segment *segment, const u8 *mac, u32 address) {
  if (segment->flags & RST) return;
  u8 *reply = ip_frame();
  if (!reply) return;
  u32 acknowledged = segment->sequence + segment->length + !!(segment->flags & SYN) + !!(segment->flags & FIN);
  if (segment->flags & ACK) emit(reply, TCP_BYTES, 0, segment->from_port, segment->acknowledged, 0, RST, 0, mac, address);
  else emit(reply, TCP_BYTES, 0, segment->from_port, 0, acknowledged, RST | ACK, 0, mac, address);
}

void output_append(struct connection *connection, const char *text, u32 length) {
  for (; length; length--) connection->output[connection->end++ % OUTPUT_BYTES] = (u8)*text++;
}

void input_consume(struct connection *connection, u32 length) {
  connection->input_length -= length;
  memmove(connection->input, connection->input + length, connection->input_length);
}

// Receiving.

static struct connection *find(u32 address, u16 port) {
  for (int at = 0; at < CONNECTIONS; at++) {
    struct connection *connection = &connections[at];
    if (connection->state != CLOSED && connection->address == address && connection->port == port) return connection;
  }
  return 0;
}

static struct connection *find_closed(void) {
  for (int at = 0; at < CONNECTIONS; at++) {
    if (connections[at].state == CLOSED) return &connections[at];
  }
  return 0;
}

/* The largest segment that the peer takes, from the options of its SYN (RFC 9293, 3.2). */
static u32 segment_option(const u8 *options, u32 length) {
  for (u32 at = 0; at + 1 < length && options[at] != 0;) {
    if (options[at] == 1) {
      at++;
      continue;
    }
    if (options[at] == OPTION_SEGMENT && options[at + 1] == 4 && at + 4 <= length) {
      u32 bytes = get16(options + at + 2);
      return bytes < 64 ? 64 : bytes > SEGMENT_MAXIMUM ? SEGMENT_MAXIMUM : bytes;
    }
    if (options[at + 1] < 2) break;
    at += options[at + 1];
  }
  return SEGMENT_DEFAULT;
}

/* A number that is hard to guess is no aim here: connections of the past are not to be taken for this one. */
static u32 first_number(void) {
  u32 low, high;
  __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
  return (high << 22 | low >> 10) + 0x3d09 * opened++;
}

static void open_connection(const struct segment *segment, u32 segment_bytes, const u8 *mac, u32 from) {
  struct connection *connection = find_closed();
  if (!connection) return reset(segment, mac, from);
  u32 first = first_number();
  memset(connection, 0, (u64)connection->input - (u64)connection);
  connection->state = OPENING;
  memcpy(connection->mac, mac, MAC_BYTES);
  connection->address = from;
  connection->port = segment->from_port;
  connection->oldest = connection->next = connection->released = connection->end = connection->held = first + 1;
  connection->received = segment->sequence + 1;
  connection->segment_bytes = segment_bytes;
  connection->peer_window = segment->window;
  connection->patience = PATIENCE_FIRST;
  send_segment(connection, first, 0, SYN);
}

/* Whether the connection goes on. */
static int take_acknowledgement(struct connection *connection, const struct segment *segment) {
  u32 acknowledged = segment->acknowledged;
  u32 last = connection->end + connection->fin_queued;
  if (before(last, acknowledged)) {
    connection->owes_acknowledgement = 1;
    return 1;
  }
  if (before(acknowledged, connection->oldest)) return 1;
  connection->peer_window = segment->window;
  connection->waited = 0;
  connection->patience = PATIENCE_FIRST;
  if (acknowledged == connection->oldest) return 1;
  if (before(connection->next, acknowledged)) connection->next = acknowledged;
  connection->oldest = acknowledged;
  if (connection->fin_queued && acknowledged == last) {
    connection->state = CLOSED;
    return 0;
  }
  return 1;
}

static void take_data(struct connection *connection, const struct segment *segment) {
  if (segment->length == 0 && !(segment->flags & FIN)) return;
  connection->owes_acknowledgement = 1;
  u32 known = connection->received - segment->sequence;
  /* What begins later than expected comes again. */
  if ((int)known < 0 || connection->peer_ended) return;
  if (known < segment->length) {
    u32 length = segment->length - known, room = INPUT_BYTES - connection->input_length;
    if (length > room) length = room;
    memcpy(connection->input + connection->input_length, segment->data + known, length);
    connection->input_length += length;
    connection->received += length;
  }
  if ((segment->flags & FIN) && connection->received == segment->sequence + segment->length) {
    connection->received++;
    connection->peer_ended = 1;
  }
}

void tcp_receive(const u8 *header, u32 length, const u8 *mac, u32 from) {
  u32 header_bytes = length < TCP_BYTES ? 0 : header[12] >> 4 << 2;
  if (header_bytes < TCP_BYTES || header_bytes > length) return;
  if (checksum(header, length, pseudo_sum(from, own_address, PROTOCOL_TCP, length)) != 0xffff) return;
  struct segment segment = {
    .from_port = get16(header),
    .sequence = get32(header + 4),
    .acknowledged = get32(header + 8),
    .flags = header[13],
    .window = get16(header + 14),
    .data = header + header_bytes,
    .length = length - header_bytes,
  };
  struct connection *connection = get16(header + 2) == own_port ? find(from, segment.from_port) : 0;
  if (!connection) {
    int opens = get16(header + 2) == own_port && (segment.flags & (SYN | ACK | RST | FIN)) == SYN;
    if (opens) open_connection(&segment, segment_option(header + TCP_BYTES, header_bytes - TCP_BYTES), mac, from);
    else reset(&segment, mac, from);
    return;
  }
  connection->silent = 0;
  if (segment.flags & RST) {
    /* Only at exactly this place (RFC 5961, 3.2). */
    if (segment.sequence == connection->received) connection->state = CLOSED;
    return;
  }
  if (segment.flags & SYN) {
    if (connection->state == OPENING && segment.sequence + 1 == connection->received) {
      send_segment(connection, connection->oldest - 1, 0, SYN);
    } else {
      connection->owes_acknowledgement = 1;
    }
    return;
  }
  if (!(segment.flags & ACK)) return;
  if (connection->state == OPENING) {
    if (segment.acknowledged != connection->oldest) return reset(&segment, mac, from);
    connection->state = OPEN;
  }
  if (take_acknowledgement(connection, &segment)) take_data(connection, &segment);
}

// Time.

static void tick_connection(struct connection *connection) {
  connection->silent++;
  int waits = connection->state == OPENING || connection->next != connection->oldest || connection->released != connection->oldest;
  if (!waits) {
    /* A byte that the peer has already makes it speak up (RFC 9293, 3.8.4). */
    u32 beyond = connection->silent - KEEP_ALIVE;
    if (connection->silent >= KEEP_ALIVE && beyond % KEEP_ALIVE_REPEAT == 0) send_segment(connection, connection->next - 1, 0, 0);
    if (connection->silent > KEEP_ALIVE + GIVE_UP) connection->state = CLOSED;
    return;
  }
  if (connection->silent > GIVE_UP) {
    connection->state = CLOSED;
    return;
  }
  if (++connection->waited < connection->patience) return;
  connection->waited = 0;
  if (connection->patience < PATIENCE_LONGEST) connection->patience *= 2;
  if (connection->state == OPENING) {
    send_segment(connection, connection->oldest - 1, 0, SYN);
  } else if (connection->peer_window == 0 && connection->released != connection->oldest) {
    /* A byte for which there may be no room: the answer says so, or that there is (3.8.6.1). */
    send_segment(connection, connection->oldest, 1, 0);
    if (connection->next == connection->oldest) connection->next++;
  } else {
    connection->next = connection->oldest;
  }
}

void tcp_tick(void) {
  for (int at = 0; at < CONNECTIONS; at++) {
    if (connections[at].state != CLOSED) tick_connection(&connections[at]);
  }
}
