/* The network card (virtio 1.2, section 5.1), without offloads: one descriptor holds header and frame. */
#include "nic.h"

#include "clock.h"
#include "cpu.h"
#include "memory.h"
#include "text.h"

enum { RECEIVE, TRANSMIT };
enum { BUFFER = 2048, HEADER = 12, BUFFERS = 128 };

#define FEATURE_MAC (1ull << 5)
#define PATIENCE MILLISECONDS(5)

static bool present;
static struct virtio_queue receiver, transmitter;
static u8 address[6];
static u8 *sending[BUFFERS];
static u16 unused[BUFFERS], unused_count;

static void read_address(const struct virtio_device *device)
{
    u32 low = virtio_configuration(device, 0), high = virtio_configuration(device, 4);
    memcpy(address, &low, 4);
    memcpy(address + 4, &high, 2);
}

static void prepare_receiver(void)
{
    u8 *memory = memory_take((u64)receiver.size * BUFFER);
    for (u16 i = 0; i < receiver.size; i++) {
        receiver.descriptors[i] =
            (struct virtio_descriptor){(u64)memory + i * BUFFER, BUFFER, DESCRIPTOR_DEVICE_WRITES, 0};
        virtio_queue_offer(&receiver, i);
    }
}

static void prepare_transmitter(void)
{
    u8 *memory = memory_take((u64)transmitter.size * BUFFER);
    for (u16 i = 0; i < transmitter.size; i++) {
        sending[i] = memory + i * BUFFER;
        transmitter.descriptors[i] = (struct virtio_descriptor){.address = (u64)sending[i]};
        unused[unused_count++] = i;
    }
    virtio_queue_interrupts(&transmitter, false);
}

bool nic_start(const struct virtio_place *places, u32 count)
{
    struct virtio_device device;
    if (!virtio_open(&device, VIRTIO_NET, FEATURE_MAC, places, count))
        return false;
    read_address(&device);
    virtio_queue_open(&device, &receiver, RECEIVE, BUFFERS);
    virtio_queue_open(&device, &transmitter, TRANSMIT, BUFFERS);
    prepare_receiver();
    prepare_transmitter();
    virtio_begin(&device);
    virtio_queue_notify(&receiver);
    present = true;
    return true;
}

const u8 *nic_address(void)
{
    return address;
}

void nic_poll(void (*receive)(const u8 *frame, u32 length))
{
    struct virtio_used used;
    for (u32 i = 0; present && i < receiver.size && virtio_queue_take(&receiver, &used); i++) {
        const u8 *buffer = (const u8 *)receiver.descriptors[used.id].address;
        if (used.length >= HEADER + ETHERNET_HEADER && used.length <= BUFFER)
            receive(buffer + HEADER, used.length - HEADER);
        virtio_queue_offer(&receiver, (u16)used.id);
    }
}

static void reclaim(void)
{
    struct virtio_used used;
    while (virtio_queue_take(&transmitter, &used))
        unused[unused_count++] = (u16)used.id;
}

u8 *nic_frame(const u8 to[6], u16 kind)
{
    if (!present)
        return NULL;
    if (!unused_count) {
        nic_flush();
        u64 until = clock_read() + PATIENCE;
        for (reclaim(); !unused_count && clock_read() < until; reclaim())
            cpu_relax();
        if (!unused_count)
            return NULL;
    }
    u8 *buffer = sending[unused[unused_count - 1]], *frame = buffer + HEADER;
    memset(buffer, 0, HEADER);
    memcpy(frame, to, 6);
    memcpy(frame + 6, address, 6);
    store16(frame + 12, kind);
    return frame;
}

void nic_send(u32 length)
{
    u16 i = unused[--unused_count];
    transmitter.descriptors[i].length = HEADER + length;
    virtio_queue_offer(&transmitter, i);
    reclaim();
}

void nic_flush(void)
{
    if (!present)
        return;
    virtio_queue_notify(&transmitter);
    virtio_queue_notify(&receiver);
}

bool nic_waiting(void)
{
    return present && virtio_queue_waiting(&receiver);
}

void nic_interrupts(bool wanted)
{
    if (present)
        virtio_queue_interrupts(&receiver, wanted);
}
