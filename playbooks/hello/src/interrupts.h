/* Interrupts: they only wake the main loop; the work is done there. */
#pragma once

#include "types.h"

#define LOCAL_APIC 0xfee00000ull

enum { VECTOR_TIMER = 32, VECTOR_DEVICES = 33, VECTOR_SPURIOUS = 47, DEVICES_LIMIT = 8 };

void interrupts_start(void);
/* Lets a device's line arrive; `acknowledge(device)` must make the device lower it. */
void interrupts_connect(u32 line, void (*acknowledge)(void *), void *device);
