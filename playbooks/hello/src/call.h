/* Calling another web service: GET / of the one address that the command line names. */
#pragma once

#include "types.h"

u64 call_bytes_each(void);
/* `answered(owner, status, text, length)`: status 0 when there was no answer, and the text says why. */
void call_start(void (*answered)(u32 owner, u32 status, const char *text, u32 length));
/* One call per owner at a time (owners are below tcp_limit()); `answered` follows unless it is cancelled. */
void call_begin(u32 owner);
void call_cancel(u32 owner);
