/* The memory behind the image, given out once and for ever. */
#include "memory.h"

#include "power.h"

enum { PAGE = 4096 };

extern u8 image_end[];
static u64 next, limit;

void memory_start(u64 end)
{
    next = ((u64)image_end + PAGE - 1) & ~(u64)(PAGE - 1);
    limit = end;
}

u64 memory_left(void)
{
    return limit > next ? limit - next : 0;
}

void *memory_take(u64 bytes)
{
    u64 start = next;
    bytes = (bytes + PAGE - 1) & ~(u64)(PAGE - 1);
    if (bytes > memory_left())
        refuse("not enough memory", "give the guest more");
    next += bytes;
    return (void *)start;
}
