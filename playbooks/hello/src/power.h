/* The ways a guest ends. */
#pragma once

#include "types.h"

enum { EXIT_CONFIGURATION = 64, EXIT_DATA = 65, EXIT_CODE_LIMIT = 127 };

/* Ends with a code through isa-debug-exit (QEMU's own becomes 2 * code + 1); without that device, by a crash. */
_Noreturn void power_exit(u32 code);
/* A triple fault. */
_Noreturn void power_crash(void);
/* Deaf for ever. */
_Noreturn void power_hang(void);
/* One line on the console, then the exit that says: this will fail in the same way each time. */
_Noreturn void refuse(const char *sentence, const char *about);
