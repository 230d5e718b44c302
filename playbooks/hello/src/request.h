/* Reading the head of an HTTP request. */
#pragma once

#include "types.h"

enum method { METHOD_GET, METHOD_HEAD, METHOD_POST, METHOD_OTHER };

struct request {
    enum method method;
    const char *path; /* within the input, without query */
    u32 path_length;
    u32 head_length;
    bool keep_alive;
    u64 body_length;
};

enum { REQUEST_INCOMPLETE = 0, REQUEST_WHOLE = 200 };

/* REQUEST_INCOMPLETE, REQUEST_WHOLE, or the status to refuse it with. `full`: no more bytes can come. */
u32 request_read(const char *input, u32 length, bool full, struct request *request);
