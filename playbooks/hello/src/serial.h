/* The console: lines on the first serial port. */
#pragma once

#include "types.h"

void serial_start(void);
/* Writes bytes; when nobody takes them for a while they are dropped, for a full pipe must not stop the guest. */
void serial_write(const char *s, u32 length);
/* "hello: " + text as text_format does + end of line. */
void say(const char *format, ...);
