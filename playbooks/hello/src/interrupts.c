/* Interrupts: descriptor table, local APIC, IO APIC. They only wake the main loop; the work is done there. */
#include "interrupts.h"

#include "cpu.h"
#include "power.h"
#include "serial.h"

#define IO_APIC 0xfec00000ull

enum { GATES = 48, GATE_STRIDE = 16, CODE_SEGMENT = 8, INTERRUPT_GATE = 0x8e };
enum { APIC_END = 0x0b0, APIC_SPURIOUS = 0x0f0, APIC_ENABLED = 0x100 };
enum { IO_SELECT = 0x00, IO_WINDOW = 0x10, IO_ENTRIES = 0x10, LEVEL_TRIGGERED = 0x8000 };

struct gate {
    u16 low, segment;
    u8 stack, kind;
    u16 middle;
    u32 high, reserved;
};

struct device {
    void (*acknowledge)(void *);
    void *of;
};

extern u8 interrupt_stubs[];
static struct gate gates[GATES];
static struct device devices[DEVICES_LIMIT];
static u32 devices_known;

void interrupts_start(void)
{
    struct __attribute__((packed)) {
        u16 limit;
        u64 base;
    } table = {sizeof gates - 1, (u64)gates};
    for (u32 i = 0; i < GATES; i++) {
        u64 stub = (u64)interrupt_stubs + i * GATE_STRIDE;
        gates[i] = (struct gate){(u16)stub, CODE_SEGMENT, 0, INTERRUPT_GATE, (u16)(stub >> 16), 0, 0};
    }
    __asm__ volatile("lidt %0" : : "m"(table));
    mmio_write(LOCAL_APIC + APIC_SPURIOUS, APIC_ENABLED | VECTOR_SPURIOUS);
}

void interrupts_connect(u32 line, void (*acknowledge)(void *), void *device)
{
    u32 vector = VECTOR_DEVICES + devices_known;
    devices[devices_known++] = (struct device){acknowledge, device};
    mmio_write(IO_APIC + IO_SELECT, IO_ENTRIES + 2 * line + 1);
    mmio_write(IO_APIC + IO_WINDOW, 0); /* to the first processor */
    mmio_write(IO_APIC + IO_SELECT, IO_ENTRIES + 2 * line);
    mmio_write(IO_APIC + IO_WINDOW, LEVEL_TRIGGERED | vector);
}

/* Called by the stubs. `frame` is what the processor pushed: for some exceptions an error code, then the address. */
void interrupt(u64 vector, const u64 *frame);
void interrupt(u64 vector, const u64 *frame)
{
    if (vector < 32) {
        say("exception %U, stack %X %X", vector, frame[0], frame[1]);
        power_crash();
    }
    if (vector == VECTOR_SPURIOUS)
        return;
    if (vector >= VECTOR_DEVICES && vector - VECTOR_DEVICES < devices_known) {
        struct device *device = &devices[vector - VECTOR_DEVICES];
        device->acknowledge(device->of);
    }
    mmio_write(LOCAL_APIC + APIC_END, 0);
}
