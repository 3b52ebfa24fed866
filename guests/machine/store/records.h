/*
 * Entries on a disk: each has two sectors, which it is written to in turn, so that a write that does not end leaves the
 * content before. Changes are written together, and are durable when the flush that follows is.
 *
 *   record: magic u32 | CRC-32C of the rest u32 | sequence u64 | key bytes u16 | value bytes u16 | key | value
 */
#pragma once
#include "bytes.h"

enum { ENTRIES = 4096, SECTOR_BYTES = 512, KEY_BYTES = 64, VALUE_BYTES = 400, BATCH = 64 };

struct record {
  u32 magic, crc;
  u64 sequence;
  u16 key_length, value_length;
  char key[KEY_BYTES], value[SECTOR_BYTES - 20 - KEY_BYTES];
};

/* As last changed; entries are taken in order, and none is given back. */
extern struct record records[ENTRIES];
extern u32 record_count, record_capacity;

/* Reads what the disk has. 0: there is no disk, or it cannot be read. */
int records_start(u8 vector);
/* The record was changed. Only while `records_have_room`. */
void record_changed(u32 entry);
int records_have_room(void);
/* Everything is durable. */
int records_are_durable(void);
/* Handles what the disk has done; `durable` is called when what the last `records_write` began is. */
void records_poll(void (*durable)(void));
/* Begins to write what was changed, or what could not be written before. 1: all that was changed by now. */
int records_write(void);
int records_have_work(void);
/* Time has passed: tries again what failed. */
void records_tick(void);
