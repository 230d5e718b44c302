/* Virtio devices behind memory-mapped registers (version 2, "modern"), and their queues. */
#pragma once

#include "types.h"

enum { VIRTIO_NET = 1, VIRTIO_BLOCK = 2 };

/* Where a transport is, as the command line tells it. */
struct virtio_place {
    u64 base;
    u32 line;
};

struct virtio_device {
    u64 base, features;
};

struct virtio_descriptor {
    u64 address;
    u32 length;
    u16 flags, next;
};
enum { DESCRIPTOR_NEXT = 1, DESCRIPTOR_DEVICE_WRITES = 2 };

struct virtio_used {
    u32 id, length;
};

struct virtio_queue {
    u64 base;
    u16 index, size;
    u16 published, taken; /* entries we offered, entries we took back; both wrap */
    bool notify;
    struct virtio_descriptor *descriptors;
    volatile u16 *available;            /* flags, index, ring */
    volatile u16 *used_flags_and_index; /* flags, index */
    volatile struct virtio_used *used;
};

/* Finds the first device of a kind among the places and negotiates `features` (those it has of them); false if absent. */
bool virtio_open(struct virtio_device *device, u32 kind, u64 features, const struct virtio_place *places, u32 count);
void virtio_queue_open(struct virtio_device *device, struct virtio_queue *queue, u16 index, u16 size);
void virtio_begin(struct virtio_device *device);
u32 virtio_configuration(const struct virtio_device *device, u32 offset);

/* Offers a chain that begins at a descriptor; the device hears of it by virtio_queue_notify. */
void virtio_queue_offer(struct virtio_queue *queue, u16 first);
void virtio_queue_notify(struct virtio_queue *queue);
/* Takes back one chain the device is done with. */
bool virtio_queue_take(struct virtio_queue *queue, struct virtio_used *used);
bool virtio_queue_waiting(const struct virtio_queue *queue);
void virtio_queue_interrupts(struct virtio_queue *queue, bool wanted);
