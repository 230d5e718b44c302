/* What GET / and GET /json say. */
#pragma once

#include "text.h"

/* What differs from one request to the next. */
struct facts {
    u64 number;         /* of this visit, with --count */
    const char *answer; /* of the service called, with --call or --counter */
    u32 answer_length;
};

void page_text(struct text *t, const struct facts *facts);
void page_json(struct text *t, const struct facts *facts);
