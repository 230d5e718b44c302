/* Virtio devices behind memory-mapped registers (virtio 1.2, section 4.2), and their split queues (section 2.7). */
#include "virtio.h"

#include "cpu.h"
#include "interrupts.h"
#include "memory.h"
#include "power.h"

enum {
    MAGIC = 0x000,
    VERSION = 0x004,
    DEVICE_KIND = 0x008,
    DEVICE_FEATURES = 0x010,
    DEVICE_FEATURES_WORD = 0x014,
    DRIVER_FEATURES = 0x020,
    DRIVER_FEATURES_WORD = 0x024,
    QUEUE_SELECT = 0x030,
    QUEUE_LIMIT = 0x034,
    QUEUE_SIZE = 0x038,
    QUEUE_READY = 0x044,
    QUEUE_NOTIFY = 0x050,
    INTERRUPT_STATUS = 0x060,
    INTERRUPT_DONE = 0x064,
    STATUS = 0x070,
    QUEUE_DESCRIPTORS = 0x080,
    QUEUE_AVAILABLE = 0x090,
    QUEUE_USED = 0x0a0,
    CONFIGURATION = 0x100,
};
enum { ACKNOWLEDGED = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8 };

#define MAGIC_VALUE 0x74726976
#define FEATURE_VERSION_1 (1ull << 32)

static void acknowledge(void *opaque)
{
    u64 base = (u64)opaque;
    mmio_write(base + INTERRUPT_DONE, mmio_read(base + INTERRUPT_STATUS));
}

static u64 offered_features(u64 base)
{
    mmio_write(base + DEVICE_FEATURES_WORD, 1);
    u64 high = mmio_read(base + DEVICE_FEATURES);
    mmio_write(base + DEVICE_FEATURES_WORD, 0);
    return high << 32 | mmio_read(base + DEVICE_FEATURES);
}

static void negotiate(struct virtio_device *device, u64 wanted)
{
    u64 base = device->base;
    mmio_write(base + STATUS, 0);
    mmio_write(base + STATUS, ACKNOWLEDGED | DRIVER);
    device->features = offered_features(base) & (wanted | FEATURE_VERSION_1);
    mmio_write(base + DRIVER_FEATURES_WORD, 1);
    mmio_write(base + DRIVER_FEATURES, (u32)(device->features >> 32));
    mmio_write(base + DRIVER_FEATURES_WORD, 0);
    mmio_write(base + DRIVER_FEATURES, (u32)device->features);
    mmio_write(base + STATUS, ACKNOWLEDGED | DRIVER | FEATURES_OK);
    if (!(mmio_read(base + STATUS) & FEATURES_OK))
        refuse("a virtio device refused its features", "it must be a modern one");
}

bool virtio_open(struct virtio_device *device, u32 kind, u64 features, const struct virtio_place *places, u32 count)
{
    for (u32 i = 0; i < count; i++) {
        u64 base = places[i].base;
        if (mmio_read(base + MAGIC) != MAGIC_VALUE || mmio_read(base + DEVICE_KIND) != kind)
            continue;
        if (mmio_read(base + VERSION) != 2)
            refuse("a virtio device is of the legacy kind", "start with -global virtio-mmio.force-legacy=off");
        device->base = base;
        negotiate(device, features);
        interrupts_connect(places[i].line, acknowledge, (void *)base);
        return true;
    }
    return false;
}

static void tell_address(u64 place, const volatile void *memory)
{
    mmio_write(place, (u32)(u64)memory);
    mmio_write(place + 4, (u32)((u64)memory >> 32));
}

void virtio_queue_open(struct virtio_device *device, struct virtio_queue *queue, u16 index, u16 size)
{
    u64 base = device->base;
    mmio_write(base + QUEUE_SELECT, index);
    size = (u16)least(size, mmio_read(base + QUEUE_LIMIT));
    u8 *memory = memory_take(3 * 4096);
    *queue = (struct virtio_queue){
        .base = base,
        .index = index,
        .size = size,
        .descriptors = (void *)memory,
        .available = (void *)(memory + 4096),
        .used_flags_and_index = (void *)(memory + 8192),
        .used = (void *)(memory + 8192 + 4),
    };
    mmio_write(base + QUEUE_SIZE, size);
    tell_address(base + QUEUE_DESCRIPTORS, queue->descriptors);
    tell_address(base + QUEUE_AVAILABLE, queue->available);
    tell_address(base + QUEUE_USED, queue->used_flags_and_index);
    mmio_write(base + QUEUE_READY, 1);
}

void virtio_begin(struct virtio_device *device)
{
    mmio_write(device->base + STATUS, ACKNOWLEDGED | DRIVER | FEATURES_OK | DRIVER_OK);
}

u32 virtio_configuration(const struct virtio_device *device, u32 offset)
{
    return mmio_read(device->base + CONFIGURATION + offset);
}

void virtio_queue_offer(struct virtio_queue *queue, u16 first)
{
    queue->available[2 + queue->published % queue->size] = first;
    queue->published++;
    compiler_fence();
    queue->available[1] = queue->published;
    queue->notify = true;
}

void virtio_queue_notify(struct virtio_queue *queue)
{
    if (!queue->notify)
        return;
    queue->notify = false;
    cpu_fence();
    if (!(queue->used_flags_and_index[0] & 1))
        mmio_write(queue->base + QUEUE_NOTIFY, queue->index);
}

bool virtio_queue_waiting(const struct virtio_queue *queue)
{
    return queue->used_flags_and_index[1] != queue->taken;
}

bool virtio_queue_take(struct virtio_queue *queue, struct virtio_used *used)
{
    if (!virtio_queue_waiting(queue))
        return false;
    compiler_fence();
    volatile struct virtio_used *entry = &queue->used[queue->taken % queue->size];
    *used = (struct virtio_used){entry->id % queue->size, entry->length};
    queue->taken++;
    return true;
}

void virtio_queue_interrupts(struct virtio_queue *queue, bool wanted)
{
    queue->available[0] = !wanted;
    cpu_fence();
}
