/* Time: microseconds since the start, and one alarm. */
#pragma once

#include "types.h"

void clock_start(void);
/* Reads the time anew; clock_now() gives what was read last, which is all one round of the main loop needs. */
u64 clock_read(void);
u64 clock_now(void);
/* An interrupt at or after this moment (or earlier, if it is far away); NEVER takes the alarm off. */
void clock_alarm(u64 moment);
