/* Single instructions of the processor, given names. */
#pragma once

#include "types.h"

static inline void port_write8(u16 port, u8 value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}
static inline void port_write32(u16 port, u32 value)
{
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}
static inline u8 port_read8(u16 port)
{
    u8 value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline u32 mmio_read(u64 address)
{
    return *(volatile u32 *)address;
}
static inline void mmio_write(u64 address, u32 value)
{
    *(volatile u32 *)address = value;
}

static inline u64 cpu_ticks(void)
{
    u32 low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (u64)high << 32 | low;
}
static inline void cpu_relax(void)
{
    __asm__ volatile("pause");
}
/* A full fence without mfence, which some interpreters of guest code lack. */
static inline void cpu_fence(void)
{
    __asm__ volatile("lock; addl $0, (%%rsp)" : : : "memory", "cc");
}
static inline void compiler_fence(void)
{
    __asm__ volatile("" : : : "memory");
}
/* Interrupts are open only here; an interrupt that is already due is taken at once, and none can slip in before hlt. */
static inline void cpu_sleep(void)
{
    __asm__ volatile("sti; hlt; cli" : : : "memory");
}
