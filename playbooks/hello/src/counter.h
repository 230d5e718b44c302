/* A number kept on the disk. */
#pragma once

#include "types.h"

/* Reads what the disk holds; `committed` is called whenever a larger number is safe, or (false) the disk refused. */
void counter_start(void (*committed)(bool right));
/* The next number; it may be told to anybody once counter_safe() has reached it. */
u64 counter_next(void);
u64 counter_safe(void);
/* Starts a write if numbers wait for one: all that were asked for meanwhile share it. */
void counter_run(void);
