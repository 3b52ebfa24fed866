#include "network.h"
#include "tcp.h"
#include "virtio.h"

enum { TYPE_NETWORK = 1, FEATURE_MAC = 5 };
enum { RECEIVE = 0, TRANSMIT = 1 };
/* Before each frame; no offloads are agreed on, so that it is zeros (virtio 1.2, 5.1.6). */
enum { HEADER_BYTES = 12, BUFFER_BYTES = 2048, BUFFERS = 64 };
enum { ETHERTYPE_IP = 0x0800, ETHERTYPE_ARP = 0x0806, PROTOCOL_ICMP = 1 };

u32 own_address;
static u8 own_mac[MAC_BYTES];
static struct device card;
static struct queue receive, transmit;
static u8 receive_buffers[BUFFERS][BUFFER_BYTES] __attribute__((aligned(4096)));
static u8 transmit_buffers[BUFFERS][BUFFER_BYTES] __attribute__((aligned(4096)));
static u8 is_under_way[BUFFERS];
static u16 packet_count;

int network_start(u8 vector) {
  if (!device_find(&card, TYPE_NETWORK, 1ul << FEATURE_MAC)) return 0;
  for (int at = 0; at < MAC_BYTES; at++) own_mac[at] = card.configuration[at];
  queue_start(&card, &receive, RECEIVE, vector);
  queue_start(&card, &transmit, TRANSMIT, 0);
  for (u16 at = 0; at < BUFFERS; at++) {
    receive.descriptors[at] = (struct descriptor){ (u64)receive_buffers[at], BUFFER_BYTES, CHAIN_WRITE, 0 };
    queue_give(&receive, at);
  }
  device_ready(&card);
  queue_notify(&receive);
  return 1;
}

u32 checksum(const u8 *at, u32 length, u32 sum) {
  for (; length > 1; length -= 2, at += 2) sum += get16(at);
  if (length) sum += (u32)*at << 8;
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

u32 pseudo_sum(u32 from, u32 to, u32 protocol, u32 length) {
  return (from >> 16) + (from & 0xffff) + (to >> 16) + (to & 0xffff) + protocol + length;
}

// Sending.

static u8 *free_frame(void) {
  u32 head, length;
  while (queue_take(&transmit, &head, &length)) is_under_way[head % BUFFERS] = 0;
  for (int at = 0; at < BUFFERS; at++) {
    if (!is_under_way[at]) return transmit_buffers[at] + HEADER_BYTES;
  }
  return 0;
}

static void send_frame(u8 *frame, u32 length, const u8 *to, u16 type) {
  u16 index = (u16)((frame - transmit_buffers[0]) / BUFFER_BYTES);
  memcpy(frame, to, MAC_BYTES);
  memcpy(frame + MAC_BYTES, own_mac, MAC_BYTES);
  put16(frame + 12, type);
  is_under_way[index] = 1;
  transmit.descriptors[index] = (struct descriptor){ (u64)transmit_buffers[index], HEADER_BYTES + length, 0, 0 };
  queue_give(&transmit, index);
}

static u16 notified;

void network_flush(void) {
  if (notified == transmit.available.index) return;
  notified = transmit.available.index;
  queue_notify(&transmit);
}

u8 *ip_frame(void) {
  u8 *frame = free_frame();
  return frame ? frame + ETHERNET_BYTES + IP_BYTES : 0;
}

void ip_send(u8 *payload, u32 length, u8 protocol, const u8 *mac, u32 address) {
  u8 *header = payload - IP_BYTES;
  memset(header, 0, IP_BYTES);
  header[0] = 0x45;
  put16(header + 2, IP_BYTES + length);
  put16(header + 4, packet_count++);
  header[6] = 0x40; /* not to be fragmented */
  header[8] = 64;
  header[9] = protocol;
  put32(header + 12, own_address);
  put32(header + 16, address);
  put16(header + 10, ~checksum(header, IP_BYTES, 0));
  send_frame(header - ETHERNET_BYTES, ETHERNET_BYTES + IP_BYTES + length, mac, ETHERTYPE_IP);
}

// Receiving.

/* ARP (RFC 826): says who has the address. */
static void receive_arp(const u8 *frame, u32 length) {
  if (length < ETHERNET_BYTES + 28) return;
  const u8 *request = frame + ETHERNET_BYTES;
  int is_request = get32(request) == 0x00010800 && get16(request + 4) == 0x0604 && get16(request + 6) == 1;
  if (!is_request || get32(request + 24) != own_address) return;
  u8 *reply = free_frame();
  if (!reply) return;
  u8 *body = reply + ETHERNET_BYTES;
  memcpy(body, request, 8);
  put16(body + 6, 2);
  memcpy(body + 8, own_mac, MAC_BYTES);
  put32(body + 14, own_address);
  memcpy(body + 18, request + 8, 10);
  send_frame(reply, ETHERNET_BYTES + 28, request + 8, ETHERTYPE_ARP);
}

/* ICMP (RFC 792): answers an echo request. */
static void receive_icmp(const u8 *message, u32 length, const u8 *mac, u32 from) {
  if (length < 8 || message[0] != 8 || checksum(message, length, 0) != 0xffff) return;
  u8 *reply = ip_frame();
  if (!reply) return;
  memcpy(reply, message, length);
  reply[0] = 0;
  put16(reply + 2, 0);
  put16(reply + 2, ~checksum(reply, length, 0));
  ip_send(reply, length, PROTOCOL_ICMP, mac, from);
}

static void receive_ip(const u8 *frame, u32 length) {
  const u8 *header = frame + ETHERNET_BYTES;
  if (length < ETHERNET_BYTES + IP_BYTES) return;
  u32 header_bytes = (header[0] & 15) * 4, total = get16(header + 2);
  if (header[0] >> 4 != 4 || header_bytes < IP_BYTES || total < header_bytes || total > length - ETHERNET_BYTES) return;
  int is_fragment = (get16(header + 6) & 0x3fff) != 0;
  if (is_fragment || get32(header + 16) != own_address || checksum(header, header_bytes, 0) != 0xffff) return;
  const u8 *payload = header + header_bytes, *mac = frame + MAC_BYTES;
  u32 from = get32(header + 12);
  if (header[9] == PROTOCOL_ICMP) receive_icmp(payload, total - header_bytes, mac, from);
  if (header[9] == PROTOCOL_TCP) tcp_receive(payload, total - header_bytes, mac, from);
}

int network_has_work(void) { return queue_has_used(&receive); }

void network_poll(void) {
  u32 head, length;
  int returned = 0;
  for (int left = BUFFERS; left && queue_take(&receive, &head, &length); left--) {
    const u8 *frame = receive_buffers[head % BUFFERS] + HEADER_BYTES;
    if (length >= HEADER_BYTES + ETHERNET_BYTES && length <= BUFFER_BYTES) {
      u16 type = get16(frame + 12);
      if (type == ETHERTYPE_ARP) receive_arp(frame, length - HEADER_BYTES);
      if (type == ETHERTYPE_IP) receive_ip(frame, length - HEADER_BYTES);
    }
    queue_give(&receive, (u16)head);
    returned = 1;
  }
  if (returned) queue_notify(&receive);
}
