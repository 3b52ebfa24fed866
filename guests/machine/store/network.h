/* The network card, and of the Internet protocols what a server needs that never speaks first: ARP, ICMP echo, IPv4. */
#pragma once
#include "bytes.h"

enum { MAC_BYTES = 6, ETHERNET_BYTES = 14, IP_BYTES = 20, FRAME_BYTES = 1514 };

/* This machine's address: given before `network_start`. */
extern u32 own_address;

/* 0: there is no card. */
int network_start(u8 vector);
/* Handles what has come, at most a queue of it. */
void network_poll(void);
int network_has_work(void);

/*
 * A frame to be sent: room for an IP packet's payload, behind headers that `ip_send` fills in; 0 when all are under way.
 * Whoever takes one sends it.
 */
u8 *ip_frame(void);
void ip_send(u8 *payload, u32 length, u8 protocol, const u8 *mac, u32 address);
/* Tells the card about what was sent. */
void network_flush(void);

/* The Internet checksum (RFC 1071) of bytes and a sum to begin with; folded, not yet inverted. */
u32 checksum(const u8 *at, u32 length, u32 sum);
/* Of the pseudo header (RFC 9293, 3.1). */
u32 pseudo_sum(u32 from, u32 to, u32 protocol, u32 length);
