/* The disk: blocks of 4 KiB. */
#pragma once

#include "virtio.h"

enum { DISK_BLOCK = 4096 };

/* False when the guest has no disk. */
bool disk_start(const struct virtio_place *places, u32 count);
u64 disk_blocks(void);
/* Waits for the disk: only for the time before there is anything else to do. */
bool disk_read(u64 block, u8 *bytes);
/* Writes and flushes, then calls `done`; one at a time. */
void disk_write(u64 block, const u8 *bytes, void (*done)(bool right));
void disk_poll(void);
bool disk_waiting(void);
