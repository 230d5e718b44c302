/* The web server. */
#pragma once

#include "types.h"

/* Memory needed for each connection there may be. */
u64 http_bytes_each(void);
void http_start(void);
void http_listen(void);
/* The counter has become safe up to counter_safe(), or (false) the disk refused. */
void http_counted(bool right);
