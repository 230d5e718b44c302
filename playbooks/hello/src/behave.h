/* How the guest behaves for tests: when it is healthy, and when and how it ends. */
#pragma once

#include "types.h"

void behave_start(void);
/* Carries out what is due. */
void behave_run(void);
u64 behave_next(void);

bool behave_healthy(void);
bool behave_mute(void);
/* More console output to come at once. */
bool behave_flooding(void);
/* Obeys "crash", "exit/3" and so on, a moment later, so that the answer gets out; false if there is no such thing. */
bool behave_obey(const char *what);
