/* The memory behind the image, given out once and for ever. */
#pragma once

#include "types.h"

/* end: the first address that is not memory any more. */
void memory_start(u64 end);
/* Aligned to a page; ends the guest when there is none left. Fresh memory is zero: the host makes it so. */
void *memory_take(u64 bytes);
u64 memory_left(void);
