/* The disk (virtio 1.2, section 5.2): one request at a time, a write followed by a flush. */
#include "disk.h"

#include "cpu.h"
#include "memory.h"
#include "text.h"

enum { READ = 0, WRITE = 1, FLUSH = 4 };
enum { SECTORS_PER_BLOCK = DISK_BLOCK / 512, STATUS_RIGHT = 0, STATUS_UNSET = 255 };

#define FEATURE_FLUSH (1ull << 9)

static struct {
    u32 kind, reserved;
    u64 sector;
} request;

static bool present;
static struct virtio_device device;
static struct virtio_queue queue;
static u8 *block;
static volatile u8 status;
static bool flushing;
static void (*when_done)(bool right);

bool disk_start(const struct virtio_place *places, u32 count)
{
    if (!virtio_open(&device, VIRTIO_BLOCK, FEATURE_FLUSH, places, count))
        return false;
    virtio_queue_open(&device, &queue, 0, 4);
    block = memory_take(DISK_BLOCK);
    virtio_begin(&device);
    present = true;
    return true;
}

u64 disk_blocks(void)
{
    u64 sectors = (u64)virtio_configuration(&device, 4) << 32 | virtio_configuration(&device, 0);
    return sectors / SECTORS_PER_BLOCK;
}

static void describe(u16 index, const volatile void *memory, u32 length, u16 flags)
{
    queue.descriptors[index] = (struct virtio_descriptor){(u64)memory, length, flags, (u16)(index + 1)};
}

static void submit(u32 kind, u64 at)
{
    u16 data = 1;
    request.kind = kind;
    request.sector = at * SECTORS_PER_BLOCK;
    status = STATUS_UNSET;
    describe(0, &request, sizeof request, DESCRIPTOR_NEXT);
    if (kind != FLUSH)
        describe(data++, block, DISK_BLOCK, DESCRIPTOR_NEXT | (kind == READ ? DESCRIPTOR_DEVICE_WRITES : 0));
    describe(data, &status, 1, DESCRIPTOR_DEVICE_WRITES);
    virtio_queue_offer(&queue, 0);
    virtio_queue_notify(&queue);
}

bool disk_read(u64 at, u8 *bytes)
{
    struct virtio_used used;
    submit(READ, at);
    while (!virtio_queue_take(&queue, &used))
        cpu_relax();
    memcpy(bytes, block, DISK_BLOCK);
    return status == STATUS_RIGHT;
}

void disk_write(u64 at, const u8 *bytes, void (*done)(bool right))
{
    memcpy(block, bytes, DISK_BLOCK);
    when_done = done;
    flushing = false;
    submit(WRITE, at);
}

void disk_poll(void)
{
    struct virtio_used used;
    if (!present || !virtio_queue_take(&queue, &used))
        return;
    bool right = status == STATUS_RIGHT;
    if (right && !flushing && device.features & FEATURE_FLUSH) {
        flushing = true;
        submit(FLUSH, 0);
    } else {
        when_done(right);
    }
}

bool disk_waiting(void)
{
    return present && virtio_queue_waiting(&queue);
}
