/*
 * TCP (RFC 9293) for a server: connections that others open, each with a buffer of input, which somebody reads by lines, and
 * one of output. Output is released in order, when what it speaks of is durable.
 *
 *   output:   acknowledged | sent, not acknowledged | released, not sent | not released | free
 *                      oldest                     next                released         end
 */
#pragma once
#include "bytes.h"

enum { PROTOCOL_TCP = 6, CONNECTIONS = 64, INPUT_BYTES = 4096, OUTPUT_BYTES = 16384 };

struct connection {
  u8 state, mac[6];
  u16 port;
  u32 address;
  /* Sequence numbers of output: see above. */
  u32 oldest, next, released, end;
  /* Of output that was there when the disk was last told to keep what there is. */
  u32 held;
  /* The next byte of input, and the window that the peer was told. */
  u32 received, announced;
  u32 peer_window, segment_bytes;
  u8 peer_ended, fin_queued, owes_acknowledgement, skips_line;
  /* Ticks: since something was acknowledged, until that is too long, since the peer was heard. */
  u32 waited, patience, silent;
  u32 input_length;
  u8 input[INPUT_BYTES];
  u8 output[OUTPUT_BYTES];
};

extern struct connection connections[CONNECTIONS];
/* The port that is listened on. */
extern u16 own_port;

void tcp_receive(const u8 *segment, u32 length, const u8 *mac, u32 from);
/* Time has passed: a tick of 50 ms. */
void tcp_tick(void);
/* Sends what may be sent. */
void tcp_send(void);

static inline int connection_is_open(const struct connection *connection) { return connection->state != 0; }
static inline u32 output_room(const struct connection *connection) {
  return OUTPUT_BYTES - (connection->end - connection->oldest);
}
/* There has to be room. */
void output_append(struct connection *connection, const char *text, u32 length);
/* Takes bytes from the front of the input. */
void input_consume(struct connection *connection, u32 length);
